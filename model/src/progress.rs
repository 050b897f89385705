//! What a running step tells about itself: heartbeat details, `watch` and progress bars read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The steps of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Read,
    Compute,
    Push,
    Commit,
}

impl Stage {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compute => "compute",
            Self::Push => "push",
            Self::Commit => "commit",
        }
    }
}

/// How far a step is. Counts and times only: it is shown in the Web UI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub stage: Stage,
    /// Rows read or compared, or records acknowledged, by all attempts so far.
    pub row_count: u64,
    /// Of how many, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_total: Option<u64>,
    /// Rows a second in this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<f64>,
    /// When the step is expected to end, at that pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_end_at: Option<Timestamp>,
    /// What it waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Until when it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<Timestamp>,
}

impl Progress {
    #[must_use]
    pub fn new(stage: Stage, row_count: u64, row_total: Option<u64>) -> Self {
        Self {
            stage,
            row_count,
            row_total,
            rows_per_second: None,
            expected_end_at: None,
            waiting_for: None,
            waiting_until: None,
        }
    }
}
