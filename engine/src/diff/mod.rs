//! The comparison: staged pages are laid over a snapshot, and out come a change set and the next
//! snapshot.
//!
//! Two ways lead to the same answer. A few rows are looked up one by one and become a small delta
//! file; many are spilled to disk by range of keys and merged range by range. Memory is bounded
//! by the [`MemoryBudget`], never by the listing.

mod changes;
mod decide;
mod direct;
mod entry;
mod error;
mod filter;
mod job;
mod merge;
mod outcome;
mod partition;
mod spill;
mod spool;
mod tally;
#[cfg(test)]
mod tests;
mod work;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use jiff::Timestamp;
use tidemark_model::{
    definition::Deletions,
    entry::{Coverage, FileRef, SnapshotFiles},
    receipt::{PushCounts, RecordCounts, RowCounts},
    row::Row,
};

pub use changes::{BatchRef, ChangeSet, Chosen, DirtyKey, Parted};
pub use error::DiffError;
pub use work::diff;

use work::{Work, joined, number};

use crate::{
    port::KeyTime,
    snapshot::{Layout, Snapshot},
    store::StoreError,
};

/// The pages of a reading, sorted by the time at which they were asked for.
pub trait StagedPages: Send + Sync {
    fn page_count(&self) -> usize;

    /// A page. Blocking; called from several threads, for some pages more than once.
    ///
    /// # Errors
    /// The store's: a page that cannot be read is never an empty one.
    fn page(&self, index: usize) -> Result<StagedPage, StoreError>;
}

/// What a page showed.
#[derive(Clone, Debug)]
pub struct StagedPage {
    /// When its request began. Of two readings of a key with the same change time the one that
    /// was asked for later wins.
    pub sent_at: Timestamp,
    pub rows: Vec<Row>,
    /// Rows that it proves to be gone: one with the same change time as a reading wins over it,
    /// unless that was asked for later.
    pub gone: Vec<KeyTime>,
}

/// What to compare, and what to make of it.
pub struct DiffRequest {
    /// The snapshot of the last commit; `None` before the first.
    pub base: Option<Snapshot>,
    pub pages: Arc<dyn StagedPages>,
    /// `Full`: a row that no page shows is gone. `Changes`: it stays as it was.
    pub coverage: Coverage,
    pub dirty: Dirty,
    pub deletions: Deletions,
    pub resend: Resend,
    pub limits: BatchLimits,
    pub budget: MemoryBudget,
    /// Threads that compare, at least 1.
    pub threads: usize,
    /// An existing folder on a disk with room for about 80 bytes per unchanged row and all of
    /// every other row. What is put there vanishes with the process.
    pub spill: PathBuf,
    /// Makes the names of the new files unique: no other attempt may use it.
    pub name: String,
    pub layout: Layout,
    /// Rows that were read from the pages so far, for whoever shows progress.
    pub rows_read: Arc<AtomicU64>,
}

/// What may differ at the destination from what the base says: the records of unfinished runs.
#[derive(Clone, Debug, Default)]
pub struct Dirty {
    /// The change sets of unfinished runs.
    pub sets: Vec<ChangeSet>,
    /// Further ones.
    pub keys: Vec<DirtyKey>,
}

/// What to send although it did not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    Nothing,
    /// Every record. What no page shows is sent as the base has it, so a changed id rule needs
    /// full coverage.
    Everything {
        /// Whether a record that has another id now is removed under its old one: yes at the same
        /// destination, no at a new one.
        remove_old_ids: bool,
    },
}

/// The largest batches that the destination takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub write_records: usize,
    pub removal_records: usize,
    /// Bytes of the records' JSON; a greater record is a batch of its own.
    pub bytes: usize,
}

impl From<crate::port::Capabilities> for BatchLimits {
    fn from(capabilities: crate::port::Capabilities) -> Self {
        Self {
            write_records: capabilities.batch_records,
            removal_records: capabilities.removal_batch_records,
            bytes: capabilities.batch_bytes,
        }
    }
}

/// How many bytes of memory the comparison may take, about. Pages in hand come on top: one per
/// thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget(pub u64);

impl Default for MemoryBudget {
    fn default() -> Self {
        Self(40 * 1024 * 1024)
    }
}

/// What came of a comparison. Every file that it names is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOutput {
    pub snapshot: SnapshotFiles,
    /// The index of the change set; `None` when nothing is to be sent. Under [`Deletions::Keep`]
    /// its removals are those of the records that stay: they are in no count of `push`.
    pub changes: Option<FileRef>,
    /// `source_total` is left 0.
    pub rows: RowCounts,
    pub records: RecordCounts,
    /// What the change set holds; `acknowledged` and `rejected` are 0.
    pub push: PushCounts,
    pub batch_count: u64,
}
