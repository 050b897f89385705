//! Exceptions: keys whose state at the destination is not what the snapshot says, and what an
//! operator decides about them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    entry::{FileRef, RunNumber},
    row::Digest,
};

/// Why a key is an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionKind {
    /// The destination refused the record or its removal.
    Rejected,
    /// The row cannot be mapped to a record.
    Invalid,
    /// The row is gone, and the removal of its record waits for an operator.
    Held,
}

impl ExceptionKind {
    pub const ALL: [Self; 3] = [Self::Rejected, Self::Invalid, Self::Held];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Held => "held",
        }
    }
}

/// A key whose state at the destination is not what the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    pub key: String,
    /// The record's id; empty for a row that never had a record.
    pub id: String,
    pub kind: ExceptionKind,
    /// The destination's words, or what is wrong with the row.
    pub reason: String,
    /// How often the destination refused it.
    pub attempt_count: u32,
    /// The run that met it first.
    pub since: RunNumber,
    /// Set while an operator accepts the exception as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

/// An operator's word that an exception is accepted. It ends when the source's row changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    pub who: String,
    pub at: Timestamp,
    pub why: String,
    /// The source's row as it was then; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowStamp>,
}

/// By what a row is known to be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowStamp {
    pub digest: Digest,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
}

/// Removals that are not sent until an operator approves of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The run that held the first of them.
    pub since: RunNumber,
    /// When the last of them were held.
    pub held_at: Timestamp,
    /// The rule that fired last.
    pub rule: HoldRule,
    /// A change set of removals that no run sends.
    pub removals: FileRef,
}

/// What made a run hold its removals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum HoldRule {
    /// No record would be left.
    NothingLeft { records: u64 },
    /// More than half of the records would be gone within 24 hours.
    MoreThanHalf { removals: u64, records: u64 },
    /// Rows came without their own key: each may be one that seems to be gone.
    KeysLost { rows: u64 },
    /// More than `policy.hold_deletions` allows would be gone within 24 hours.
    OverLimit { removals: u64, records: u64, over: u32, and_over_fraction: f64 },
}

impl fmt::Display for HoldRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingLeft { records } => {
                write!(f, "none of {records} records would be left")
            }
            Self::MoreThanHalf { removals, records } => {
                write!(f, "{removals} of {records} records within 24 hours are more than half")
            }
            Self::KeysLost { rows: 1 } => f.write_str(
                "a row came without its key, and may be one of those that seem to be gone",
            ),
            Self::KeysLost { rows } => write!(
                f,
                "{rows} rows came without their keys, and may be among those that seem to be gone"
            ),
            Self::OverLimit { removals, records, over, and_over_fraction } => write!(
                f,
                "{removals} of {records} records within 24 hours are more than \
                 policy.hold_deletions allows: over {over} and over {} %",
                and_over_fraction * 100.0
            ),
        }
    }
}

/// Removals of one hour, for the rules that look 24 hours back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourOfRemovals {
    /// Hours since 1970-01-01 UTC.
    pub hour: i64,
    /// The records before the hour's first run.
    pub records: u64,
    /// Removals that were sent and that nobody had approved of.
    pub removals: u64,
}

/// What an operator decided; the next run carries it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// 1, 2, 3… in its connection.
    pub number: u64,
    pub who: String,
    pub at: Timestamp,
    /// The newest commit that the operator saw.
    pub commit: Option<RunNumber>,
    pub verdict: Verdict,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Verdict {
    /// Held removals are carried out.
    Approve(HeldRemovals),
    /// Held removals are not wanted: their records stay where they are.
    Waive { removals: HeldRemovals, why: String },
    /// Rejected records are sent again, invalid rows are read again.
    Retry { keys: Vec<ExceptionKey> },
    /// Exceptions are accepted as they are.
    Ignore { keys: Vec<ExceptionKey>, why: String },
    /// The next run reads the whole listing.
    ReadInFull,
    /// The next run sends every record again.
    SendAgain,
    /// The records of these keys are sent again as they stand, or removed where they are none.
    Repair { records: Vec<RecordName> },
    /// The next run reads nothing and removes every record, for a connection that is given up. A
    /// connection that was defined anew since is not.
    RemoveRecords {
        /// The definition that is given up.
        definition_version: u32,
    },
    /// The next run sends exactly what a preview showed, or nothing.
    Exactly(ExactChanges),
}

/// What a preview showed, in a form that a run can compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactChanges {
    /// The commit that the changes are against.
    pub base: Option<RunNumber>,
    pub definition_version: u32,
    /// Over keys, ids and records of all changes, whatever their order; hexadecimal.
    pub digest: String,
}

/// Some or all of a hold's removals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRemovals {
    /// The hold's change set as the operator saw it. If it is another one by then, the decision is
    /// not carried out.
    pub hold: FileRef,
    /// Record ids; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}

/// A record and the row that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordName {
    /// The source's key.
    pub key: String,
    pub id: String,
}

/// Names an exception.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExceptionKey {
    pub kind: ExceptionKind,
    pub key: String,
    pub id: String,
}

impl Exception {
    /// The name under which decisions refer to it.
    #[must_use]
    pub fn name(&self) -> ExceptionKey {
        ExceptionKey { kind: self.kind, key: self.key.clone(), id: self.id.clone() }
    }
}
