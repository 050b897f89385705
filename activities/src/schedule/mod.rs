//! The schedules of connections in Temporal, through the raw service.
//!
//! The SDK's own schedule calls send no conflict token, no search attributes, no catch-up window,
//! and trigger with the wrong overlap policy. Both the activities (which publish how a connection
//! is doing) and the command line (which applies, pauses and starts) go through this layer.

mod client;
mod description;
mod error;
mod list;
mod pause;
mod projection;
mod trigger;

pub use client::{Created, Published, ScheduleClient};
pub use description::{Description, Listed, RunRef, RunStatus, ScheduleAttributes, StartedRun};
pub use error::{Operation, ScheduleError};
pub use list::ScheduleFilter;
pub use pause::{Pause, Undo};
pub use projection::{ProjectedFrom, Projection, ProjectionSettings, Standing};
pub use trigger::Trigger;
