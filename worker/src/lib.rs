//! The worker: the process that runs workflows and activities.
//!
//! It loads its configuration, connects, registers, runs, and drains. It decides nothing about
//! data.

mod config;
mod drain;
mod ops;
mod reach;
mod run;
mod setting;
mod telemetry;

pub use config::{ConfigError, LogFormat, WorkerConfig, WorkerFlags};
pub use drain::stop_signal;
pub use run::{GraceExceeded, run};
pub use setting::{SETTINGS, Setting};
pub use telemetry::init as init_telemetry;
