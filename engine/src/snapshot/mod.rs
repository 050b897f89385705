//! The snapshot: the source's listing as of the last commit, one row per visible row.
//!
//! Range files hold the rows sorted by key; deltas beside them hold what later runs changed,
//! removals included. A reader lays the deltas over the ranges; a writer adds a delta of what
//! changed, merges deltas in tiers and folds them into the ranges when they add up, so that a run
//! that changes k of N rows writes about k. Every byte that is read is verified against the
//! checksum that the log names.

mod block;
mod columns;
mod file;
mod layout;
mod look_up;
mod part;
mod records;
mod scan;
mod stack;
mod times;
mod view;
mod write;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use tidemark_model::{
    entry::SnapshotFiles,
    row::{Digest, RowState},
};

pub use layout::Layout;
pub use records::KeyedRecord;

pub(crate) use columns::{FileKind, FileRow, Standing};
pub(crate) use part::read_part;
pub(crate) use scan::{Breadth, Payload};
pub(crate) use stack::Stack;
pub(crate) use view::{Head, Place, View};
pub(crate) use write::{FileWriter, NewFiles, RangeWriter};

use crate::{
    blocking::{self, Runtime},
    port::{KeyTime, MirrorRow},
    store::{Folder, StoreError},
};
use file::SnapshotFile;

/// Files whose tails are fetched at once when a snapshot is opened.
const OPENED_AT_ONCE: usize = 8;

/// A committed snapshot, opened. Cheap to clone.
///
/// Opening verifies the size and the footer of every file; what is read later is verified then.
#[derive(Clone, Debug)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: SnapshotFiles,
    ranges: Vec<Arc<SnapshotFile>>,
    /// Oldest first.
    deltas: Vec<Arc<SnapshotFile>>,
}

/// A row of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    pub state: RowState,
    /// Whether the destination has a record of it: a row that became invalid keeps its own.
    pub has_record: bool,
    /// Of the record that was sent last, where there is one.
    pub digest: Digest,
    /// Seconds since 1970-01-01 UTC.
    pub modified: i64,
    /// The record's id and the record, if they were asked for and there is one.
    pub id: Option<String>,
    pub record: Option<String>,
}

impl SnapshotRow {
    /// The row as a page that shows it would carry it: a row that became invalid has the digest
    /// of an invalid row, whatever was sent before.
    #[must_use]
    pub fn reading(&self, key: &str) -> MirrorRow {
        let digest = match self.state {
            RowState::Invalid => Digest::of(key, RowState::Invalid, ""),
            RowState::Sent | RowState::Filtered => self.digest,
        };
        MirrorRow { state: self.state, digest, modified: self.modified }
    }
}

impl Snapshot {
    /// Opens the files that a manifest names.
    ///
    /// # Errors
    /// `Missing` or `Damaged` with the file's name, or the store's.
    pub async fn open(folder: &Folder, files: &SnapshotFiles) -> Result<Self, StoreError> {
        let named = files.ranges.iter().map(|range| &range.file);
        let named = named.chain(files.deltas.iter().map(|delta| &delta.file));
        let mut opened: Vec<Arc<SnapshotFile>> = futures::stream::iter(named.cloned())
            .map(|file| {
                let folder = folder.clone();
                blocking(move |runtime| SnapshotFile::open(&folder, &file, runtime).map(Arc::new))
            })
            .buffered(OPENED_AT_ONCE)
            .boxed()
            .try_collect()
            .await?;
        let deltas = opened.split_off(files.ranges.len());
        Ok(Self { inner: Arc::new(Inner { files: files.clone(), ranges: opened, deltas }) })
    }

    /// The files that it consists of, and its counts.
    #[must_use]
    pub fn files(&self) -> &SnapshotFiles {
        &self.inner.files
    }

    /// Visible rows.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.inner.files.row_count
    }

    /// The rows of keys, in the order asked; `None` for a key without a row. Reads the pages that
    /// hold the keys, not the files.
    ///
    /// # Errors
    /// `Missing` or `Damaged` with the file's name, or the store's.
    pub async fn look_up(
        &self,
        keys: &[String],
        with_record: bool,
    ) -> Result<Vec<Option<SnapshotRow>>, StoreError> {
        let this = self.clone();
        let keys = keys.to_vec();
        blocking(move |_| this.look_up_blocking(&keys, with_record)).await
    }

    /// How many rows have a change time of at most `until` (seconds).
    ///
    /// # Errors
    /// As [`look_up`](Self::look_up).
    pub async fn count_until(&self, until: i64) -> Result<u64, StoreError> {
        let this = self.clone();
        blocking(move |_| this.count_until_blocking(until)).await
    }

    /// The keys whose change time is greater than `after` and at most `until`, in key order.
    ///
    /// # Errors
    /// As [`look_up`](Self::look_up).
    pub async fn keys_between(&self, after: i64, until: i64) -> Result<Vec<KeyTime>, StoreError> {
        let this = self.clone();
        blocking(move |_| this.keys_between_blocking(after, until)).await
    }

    /// The rows from one key up to another. Blocking.
    pub(crate) fn view(
        &self,
        breadth: Breadth,
        from: &str,
        to: Option<&str>,
    ) -> Result<View, StoreError> {
        let deltas = self.deltas().collect();
        View::new(self.ranges_between(from, to), deltas, breadth, from, to)
    }

    /// The rows of the range files alone from one key up to another. Blocking.
    pub(crate) fn range_view(&self, from: &str, to: Option<&str>) -> Result<View, StoreError> {
        View::new(self.ranges_between(from, to), Vec::new(), Breadth::Full, from, to)
    }

    fn deltas(&self) -> impl Iterator<Item = (usize, Arc<SnapshotFile>)> {
        let first = self.inner.ranges.len();
        let deltas = self.inner.deltas.iter().cloned().enumerate();
        deltas.map(move |(index, delta)| (first + index, delta))
    }

    fn ranges_between(&self, from: &str, to: Option<&str>) -> Vec<(usize, Arc<SnapshotFile>)> {
        let bounds = &self.inner.files.ranges;
        let first = bounds.partition_point(|range| *range.from_key <= *from).saturating_sub(1);
        let end = to.map_or(bounds.len(), |to| bounds.partition_point(|r| *r.from_key < *to));
        let ranges = self.inner.ranges.iter().cloned().enumerate();
        ranges.take(end).skip(first).collect()
    }

    fn file(&self, index: usize) -> &Arc<SnapshotFile> {
        let ranges = &self.inner.ranges;
        ranges.get(index).unwrap_or_else(|| &self.inner.deltas[index - ranges.len()])
    }

    /// Every file's digests, those of replaced rows among them, file by file. Blocking.
    pub(crate) fn digests_of_file(
        &self,
        index: usize,
        each: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        scan::digests(self.file(index), each)
    }

    /// What a row of a file takes in memory, in bytes, about.
    pub(crate) fn row_bytes(&self, file: usize) -> usize {
        self.file(file).row_bytes()
    }

    /// Range files and deltas.
    pub(crate) fn file_count(&self) -> usize {
        self.inner.ranges.len() + self.inner.deltas.len()
    }

    /// The ids, and with `records` the records, of rows that have one, at ascending places of one
    /// file. Blocking.
    pub(crate) fn payloads(
        &self,
        file: usize,
        rows: &[u64],
        records: bool,
    ) -> Result<Vec<Payload>, StoreError> {
        scan::payloads(self.file(file), rows, records)
    }
}

/// Runs what waits for the store, or computes for long, on a thread that may.
async fn blocking<T: Send + 'static>(
    step: impl FnOnce(&Runtime) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let runtime = Runtime::current();
    blocking::blocking(move || step(&runtime)).await
}
