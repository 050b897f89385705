//! The contracts of the activities: what goes in, what comes out, and under which name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;
use tidemark_model::{
    entry::RunNumber,
    failure::Failure,
    ids::ConnectionId,
    progress::Progress,
    receipt::Receipt,
    step::{CommitRequest, Computed, EndedRun, Known, Pushed, ReadOutcome, ReadSummary},
};

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadStep {
    pub connection: ConnectionId,
    #[serde(flatten)]
    pub known: Known,
}

/// Of which reading the changes are computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputeStep {
    pub connection: ConnectionId,
    pub read: ReadSummary,
}

/// Which change set is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushStep {
    pub connection: ConnectionId,
    pub number: RunNumber,
}

/// What is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitStep {
    pub connection: ConnectionId,
    pub request: CommitRequest,
}

/// How a run ended that does not commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndStep {
    pub connection: ConnectionId,
    pub ended: EndedRun,
}

/// The details of every application failure of an activity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepFailure {
    pub failure: Failure,
    /// Which attempt failed, from 1.
    pub attempt: u32,
}

/// What an attempt tells about itself while it is at work; the next attempt is given the last
/// one. Never where to go on from: staged pages and acknowledged batches say that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Failures since the last durable page or batch.
    #[serde(default)]
    pub failure_count: u32,
    /// When that was written; before the first one, when the step's first attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<Timestamp>,
    /// How many rows or records were durable by then, by all attempts.
    #[serde(default)]
    pub row_count: u64,
}

/// The activities of a run. Implemented where the engine is within reach.
pub struct SyncActivities;

#[activity_definitions]
impl SyncActivities {
    /// Stages the source's pages durably, or finds that there is nothing new.
    #[activity(name = "read_source")]
    pub fn read_source(_: ReadStep) -> Result<ReadOutcome, ActivityError> {
        unimplemented!()
    }

    /// Lays the pages over the snapshot and writes `prepared`.
    #[activity(name = "compute_changes")]
    pub fn compute_changes(_: ComputeStep) -> Result<Computed, ActivityError> {
        unimplemented!()
    }

    /// Sends the batches that are not acknowledged yet.
    #[activity(name = "push_changes")]
    pub fn push_changes(_: PushStep) -> Result<Pushed, ActivityError> {
        unimplemented!()
    }

    /// Checks the receipt, writes `committed`, and publishes how the connection is doing.
    #[activity(name = "commit")]
    pub fn commit(_: CommitStep) -> Result<Receipt, ActivityError> {
        unimplemented!()
    }

    /// Leaves a note of a run that did not commit, and publishes how the connection is doing.
    #[activity(name = "end_run")]
    pub fn end_run(_: EndStep) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The contracts that an implementation names: `#[activity(definition = …)]`.
pub mod contract {
    pub use super::sync_activities::{Commit, ComputeChanges, EndRun, PushChanges, ReadSource};
}
