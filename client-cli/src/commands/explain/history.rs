//! The last run that sent the record of a row.

use std::pin::pin;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::diff::ChangeSet;
use tidemark_engine::log::Log;
use tidemark_engine::port::BatchKind;
use tidemark_engine::store::{Folder, StoreError};
use tidemark_model::entry::{FileRef, RunNumber};

use crate::error::Error;
use crate::ui::text::{counted, number_of};

/// Records that are looked through at most: some seconds' work.
const RECORD_LIMIT: u64 = 5_000_000;

/// What a run did with a record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct LastSent {
    pub(super) run: RunNumber,
    pub(super) kind: BatchKind,
    /// When the run began to send.
    pub(super) at: Timestamp,
    /// Whether the run committed.
    pub(super) committed: bool,
}

/// What was found, and how far back was looked.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) last: Option<LastSent>,
    run_count: usize,
    record_count: u64,
    /// Why older runs were not looked at.
    end: Option<&'static str>,
}

impl History {
    /// `the newest 100 runs (2,000 records)`.
    pub(super) fn extent(&self) -> String {
        let mut text = format!(
            "the newest {} ({} sent)",
            number_of(self.run_count, "run"),
            counted(self.record_count, "record")
        );
        if let Some(end) = self.end {
            text += &format!("; {end}");
        }
        text
    }
}

/// Looks through the newest runs for one that sent the record of a row.
///
/// # Errors
/// The store's. A change set that is no longer kept is no error: there the search ends.
pub(super) async fn search(folder: &Folder, key: &str, back: usize) -> Result<History, Error> {
    let log = Log::open(folder).await?;
    let mut history = History::default();
    for entry in log.recent(back).await? {
        if let Some(changes) = &entry.prepared.changes {
            if history.record_count + changes.row_count > RECORD_LIMIT {
                history.end = Some("older runs sent too many records to look through");
                return Ok(history);
            }
            let kind = match sent(folder, changes, key).await {
                Err(StoreError::Missing { .. }) => {
                    history.end = Some("what older runs sent is no longer kept");
                    return Ok(history);
                }
                found => found?,
            };
            history.record_count += changes.row_count;
            if let Some(kind) = kind {
                history.run_count += 1;
                history.last = Some(LastSent {
                    run: entry.prepared.number,
                    kind,
                    at: entry.prepared.send_from.unwrap_or(entry.prepared.prepared_at),
                    committed: entry.committed.is_some(),
                });
                return Ok(history);
            }
        }
        history.run_count += 1;
    }
    Ok(history)
}

/// What a change set does with the record of a row.
async fn sent(
    folder: &Folder,
    changes: &FileRef,
    key: &str,
) -> Result<Option<BatchKind>, StoreError> {
    let set = ChangeSet::open(folder, changes).await?;
    let mut last = None;
    let mut batches = pin!(set.all());
    while let Some(batch) = batches.try_next().await? {
        if batch.writes.iter().any(|write| write.key == key) {
            // A row whose record has a new id has both; the write comes after the removal.
            last = Some(batch.kind);
        }
    }
    Ok(last)
}
