//! One run of one connection: read, compute, push, commit.

mod details;
pub(crate) mod options;
mod step;
mod workflow;

pub use step::{
    CommitStep, ComputeStep, EndStep, HeartbeatDetails, PushStep, ReadStep, StepFailure,
    SyncActivities, contract,
};
pub use workflow::{FailedRun, SyncConnection};
