//! The Temporal side of a run: activities around the engine, failures, heartbeats, and schedules.
//!
//! Activities stay thin, so that what the engine's simulation drove is what runs.

mod attempt;
mod check;
pub mod connect;
pub mod failure;
mod heartbeat;
mod host;
pub mod measure;
mod patience;
mod payload;
mod permission;
mod publish;
pub mod schedule;
pub mod setup;
pub mod sweep;
mod sync;

pub use attempt::Drain;
pub use check::CheckActivities;
pub use heartbeat::HeartbeatTimes;
pub use host::is_open;
pub use publish::{Newest, Publisher, standing};
pub use sync::{COMPARISONS_AT_ONCE, SyncActivities};
