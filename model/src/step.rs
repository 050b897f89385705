//! What the steps of a run hand to one another through Temporal: references and counts, under
//! 16 KiB each, never contact data, never a secret.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    entry::{Coverage, Owner, RunNumber},
    failure::{Failure, FailureClass},
    ids::ConnectionId,
    progress::Stage,
    receipt::{Outcome, PushCounts, Receipt},
    schedule::duration::serde_text,
};

/// The input of a sync workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    pub connection: ConnectionId,
    #[serde(default)]
    pub timing: Timing,
    #[serde(flatten)]
    pub known: Known,
}

/// What the schedule knew of the commit log when it started the run: a log that ends below it is that
/// of a store that went back in time. Published now and then only, so the log may be ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The newest commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<RunNumber>,
    /// The highest number that a run took, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered: Option<RunNumber>,
}

impl Known {
    /// What either knows.
    #[must_use]
    pub fn or_newer(self, other: Self) -> Self {
        Self {
            committed: self.committed.max(other.committed),
            entered: self.entered.max(other.entered),
        }
    }
}

/// The times that a run gives to Temporal. They are input, so that a replay sees the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// How long one step is retried before the run is given up.
    #[serde(with = "serde_text")]
    pub deadline: Duration,
    /// Without a sign of life for so long, an attempt counts as lost and another one starts.
    #[serde(with = "serde_text")]
    pub heartbeat_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { deadline: Duration::from_hours(24), heartbeat_timeout: Duration::from_secs(20) }
    }
}

/// What reading found. `reading` names the reading's object in the connection's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ReadOutcome {
    /// Another run is at work; this one has nothing to do.
    Skipped { reason: String },
    /// Nothing new, nothing owed: commit at once.
    Unchanged(ReadSummary),
    /// There may be something to send.
    Read(ReadSummary),
}

/// What was read, for the next steps and for the Web UI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadSummary {
    /// The number that the run takes in the log.
    pub number: RunNumber,
    /// The reading's object, relative to the connection's folder.
    pub reading: String,
    pub coverage: Coverage,
    pub definition_version: u32,
    pub page_count: u64,
    /// Rows that the pages show (a key may be shown more than once).
    pub row_count: u64,
    pub source_total: u64,
    pub complete_as_of: Timestamp,
    pub request_count: u64,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    pub number: RunNumber,
    pub push: PushCounts,
    pub batch_count: u64,
    /// No batch may be sent before: the workflow waits with a timer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_from: Option<Timestamp>,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    pub number: RunNumber,
    pub push: PushCounts,
    pub request_count: u64,
    /// The first rejections' reasons with their counts, for people; five at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<(String, u64)>,
}

/// What to commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum CommitRequest {
    /// A reading that found nothing to do.
    Unchanged(ReadSummary),
    /// A change set that was pushed.
    Pushed { number: RunNumber },
}

/// How a run ended that did not commit, kept as `runs/<run id>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndedRun {
    pub owner: Owner,
    /// `None` when it ended before it had a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<RunNumber>,
    pub outcome: Outcome,
    pub stage: Stage,
    pub ended_at: Timestamp,
    /// Absent for a skipped or cancelled run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Attempts of the step that ended the run.
    pub attempt_count: u32,
}

impl EndedRun {
    /// Who must act, if anybody.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        self.failure.as_ref().map(Failure::class)
    }
}

/// The result of a sync workflow that did not fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum SyncResult {
    Committed(Box<Receipt>),
    Skipped { reason: String },
}
