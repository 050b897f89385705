//! What the monitor is told.
//!
//! Every problem of a table is reported at once, with its place, and none repeats a value.

mod address;
mod monitor;
mod sink;

pub(crate) use self::address::not_at_hand;
pub use self::address::{Address, AddressError, Place};
pub use self::monitor::{MonitorConfig, MonitorConfigError, MonitorFlags, MonitorRole};
pub use self::sink::{SinkConfig, SinkKind, sinks};
