//! The contract of the activity: what goes in, what comes out, and under which name.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;
use tidemark_model::{failure::Failure, ids::ConnectionId, step::Timing};

/// Refused connections that a summary names at most, and the bytes of each one's reason: a summary
/// is the workflow's result.
const NAMED: usize = 4;
const REASON_BYTES: usize = 250;

/// The input of the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepRequest {
    pub timing: Timing,
}

impl SweepRequest {
    /// A sweep is over before the next one is due.
    #[must_use]
    pub fn new(heartbeat_timeout: Duration) -> Self {
        Self { timing: Timing { deadline: Duration::from_hours(20), heartbeat_timeout } }
    }
}

/// What is swept: every connection of the worker's store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepStep {}

/// What a sweep did. The workflow's result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepSummary {
    /// Connections that were swept, with or without finding anything.
    pub connections: u64,
    /// Objects that were deleted, and their bytes.
    pub objects: u64,
    pub bytes: u64,
    /// Connections of which nothing was deleted, because something of theirs is lost or damaged.
    pub refused_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A connection that was not swept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub connection: ConnectionId,
    pub reason: String,
}

impl SweepSummary {
    /// Counts a connection that was not swept.
    pub fn refuse(&mut self, connection: &ConnectionId, failure: &Failure) {
        self.refused_count += 1;
        if self.refused.len() < NAMED {
            let mut reason = failure.message.clone();
            reason.truncate(reason.floor_char_boundary(REASON_BYTES));
            self.refused.push(Refused { connection: connection.clone(), reason });
        }
    }
}

/// How far an attempt is: its heartbeat. The next attempt goes on from there, which is as good as
/// from the begin: what was swept once is not there to be swept again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepProgress {
    /// The last connection that was dealt with, in the order of their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ConnectionId>,
    pub summary: SweepSummary,
}

/// The activity of a sweep. Implemented where the store is within reach.
pub struct SweepActivities;

#[activity_definitions]
impl SweepActivities {
    /// Sweeps every connection of the store, one after the other.
    #[activity(name = "sweep_connections")]
    pub fn sweep_connections(_: SweepStep) -> Result<SweepSummary, ActivityError> {
        unimplemented!()
    }
}

/// The contract that an implementation names: `#[activity(definition = …)]`.
pub mod contract {
    pub use super::sweep_activities::SweepConnections;
}
