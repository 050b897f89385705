//! The worker: the process that runs workflows and activities.
//!
//! It loads its configuration, connects, registers, runs, and drains. It decides nothing about
//! data.

mod config;
mod health;
mod reach;
mod run;
mod setting;

pub use config::{WorkerConfig, WorkerFlags, WorkerRole};
pub use run::{GraceExceeded, run};
pub use setting::SETTINGS;
