//! The schedules of connections in Temporal and the runs that they start, seen from outside of a
//! workflow.
//!
//! The SDK's own schedule calls send no conflict token, no search attributes, no catch-up window,
//! and trigger with the wrong overlap policy. So the workers (which publish how a connection is
//! doing), the command line (which applies, pauses and starts) and the monitor (which looks) go
//! through this layer, over the raw service.

mod client;
pub mod connect;
mod description;
mod error;
mod fairness;
mod links;
mod list;
mod open;
mod past;
pub mod patience;
mod pause;
pub mod payload;
mod projection;
mod queue;
mod standing;
mod trigger;

pub use client::{Created, Published, ScheduleClient};
pub use description::{Description, Listed, RunRef, RunStatus, ScheduleAttributes, StartedRun};
pub use error::{Operation, ScheduleError, is_lost};
pub use links::Links;
pub use list::ScheduleFilter;
pub use open::{OpenRun, OpenStep};
pub use pause::{Pause, Undo};
pub use projection::{ProjectedFrom, Projection, ProjectionSettings};
pub use standing::{Newest, Standing, standing};
pub use trigger::Trigger;
