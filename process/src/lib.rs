//! What every role that stays has in common: settings in layers, log lines, metrics, the operators'
//! door, and the signal to stop.
//!
//! Which settings a role has, and what makes it healthy, is the role's own.

mod flags;
mod layers;
pub mod ops;
mod setting;
mod signal;
mod telemetry;

pub use flags::{Flags, Role};
pub use layers::{ConfigError, Layers, SettingsFile, variable};
pub use setting::Setting;
pub use signal::stop_signal;
pub use telemetry::{LogFormat, init_logs, log_filter, recorder};
