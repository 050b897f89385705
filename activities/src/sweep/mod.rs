//! The sweep of the store: its activity and its schedule.

mod activity;
mod schedule;

pub use activity::SweepActivities;
pub use schedule::{EnsuredSchedule, command, ensure_schedule};
