//! The Temporal side of a run: activities around the engine, failures, heartbeats, and what is published.
//!
//! Activities stay thin, so that what the engine's simulation drove is what runs.

mod attempt;
mod check;
pub mod failure;
mod heartbeat;
mod host;
pub mod measure;
mod permission;
mod publish;
pub mod setup;
pub mod sweep;
mod sync;

pub use attempt::Drain;
pub use check::CheckActivities;
pub use heartbeat::HeartbeatTimes;
pub use host::is_open;
pub use publish::Publisher;
pub use sync::{COMPARISONS_AT_ONCE, SyncActivities};
