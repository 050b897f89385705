//! Entries of a connection's commit log, and the manifest that a commit carries.
//!
//! `<number>.prepared` takes a number, `<number>.committed` ends it. Both are created only if
//! absent and never change. A run that found nothing to do carries its commit inside `prepared`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    definition::Fingerprint,
    exception::{Hold, HourOfRemovals},
    receipt::{Cost, Proof, PushCounts, Receipt, RecordCounts, RowCounts},
};

/// The format of entries, readings and manifests that this version writes. A reader refuses a
/// greater one by name.
pub const FORMAT: u32 = 1;

/// The number of a run in its connection's log: 1, 2, 3… without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunNumber(u64);

impl RunNumber {
    pub const FIRST: Self = Self(1);

    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for RunNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The workflow run that wrote an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    pub namespace: String,
    pub workflow_id: String,
    pub run_id: String,
}

/// A stored object that an entry names: its place below the connection's folder, and what it must
/// be when it is read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    pub path: String,
    pub bytes: u64,
    /// BLAKE3 over the whole object, hexadecimal.
    pub checksum: String,
    /// Rows, records or pages in it.
    pub row_count: u64,
}

/// The definition that a run worked under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionRef {
    pub version: u32,
    pub source_hash: Fingerprint,
    pub destination_hash: Fingerprint,
}

/// A range file of a snapshot: all rows whose keys lie from `first_key` up to the next range's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeFile {
    pub file: FileRef,
    /// The range's lower bound; empty for the first range.
    pub from_key: String,
}

/// A delta file of a snapshot: rows that replace those of the range files and of older deltas,
/// removals included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaFile {
    pub file: FileRef,
    /// 0 for a delta of one run; merging deltas of one tier makes one of the next.
    pub tier: u32,
}

/// The files of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFiles {
    /// In key order.
    pub ranges: Vec<RangeFile>,
    /// Oldest first.
    pub deltas: Vec<DeltaFile>,
    /// Visible rows, by state, and records (rows with a record id).
    pub row_count: u64,
    pub sent_count: u64,
    pub filtered_count: u64,
    pub invalid_count: u64,
    pub record_count: u64,
}

/// What a commit says about the connection from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub definition: DefinitionRef,
    pub snapshot: SnapshotFiles,
    /// The watermark.
    pub complete_as_of: Timestamp,
    /// When the last full read was complete: content that does not move the change time is proven
    /// as of then.
    pub full_read_as_of: Timestamp,
    /// Keys whose state at the destination is not what the snapshot says (NDJSON of exceptions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceptions: Option<FileRef>,
    /// No later run sends before this instant: a request without an answer may still be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after: Option<Timestamp>,
    /// Names of the late marks that are dealt with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late_handled: Vec<String>,
    /// Removals that wait for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Removals that an operator does not want.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived_removals: Option<FileRef>,
    /// Records whose rows are gone and that stayed under `deletions = "keep"`, as a change set of
    /// removals that no run sends until all records are given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<FileRef>,
    /// What was removed lately, by hour, oldest first; hours without removals are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<HourOfRemovals>,
    /// Decisions up to this number are dealt with.
    #[serde(default)]
    pub decided: u64,
    /// The last of them that were not carried out, because what they were about had moved on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale_decisions: Vec<u64>,
}

/// What a reading covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    /// The whole listing: a row that no page shows is gone.
    Full,
    /// What changed since the last commit, and the rows that are gone, by name.
    Changes,
}

/// `<number>.prepared`: the change set stands and may have begun to reach the destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    pub format: u32,
    pub number: RunNumber,
    /// The commit that this run builds on.
    pub base: Option<RunNumber>,
    pub owner: Owner,
    pub prepared_at: Timestamp,
    pub coverage: Coverage,
    /// The definition, snapshot and watermark that hold once this is committed. Its `exceptions`
    /// and `quiet_after` are those known before the push.
    pub next: Manifest,
    /// The index of the change set's batches; absent when nothing is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<FileRef>,
    /// No batch is sent before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_from: Option<Timestamp>,
    pub rows: RowCounts,
    pub records: RecordCounts,
    /// What is to be sent; `acknowledged` and `rejected` are 0.
    pub push: PushCounts,
    pub proof: Proof,
    pub source_cost: Cost,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_paths: Vec<String>,
    /// The commit of a run that had nothing to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Box<Committed>>,
}

/// `<number>.committed`, or the commit inside a `prepared`: the run is over and green.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    pub format: u32,
    pub number: RunNumber,
    pub owner: Owner,
    pub committed_at: Timestamp,
    pub manifest: Manifest,
    pub receipt: Receipt,
}
