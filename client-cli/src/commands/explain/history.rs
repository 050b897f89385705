//! The last run that sent the record of a row.

use std::pin::pin;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::diff::ChangeSet;
use tidemark_engine::log::{Log, LogEntry};
use tidemark_engine::port::{BatchKind, Write};
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

/// A run, and what its change set shows: one thing at least.
type Seen<T> = (LogEntry, Vec<T>);

/// Looks through the newest runs for one that sent the record of a row.
///
/// # Errors
/// The store's. A change set that is no longer kept is no error: there the search ends.
pub(super) async fn search(folder: &Folder, key: &str, back: usize) -> Result<History, Error> {
    let sent = |kind: BatchKind, write: &Write| (write.key == key).then_some(kind);
    let (mut history, seen) = look_through(folder, back, sent).await?;
    history.last = seen.and_then(|(entry, kinds)| {
        Some(LastSent {
            run: entry.prepared.number,
            // A row whose record has a new id has both; the write comes after the removal.
            kind: kinds.last().copied()?,
            at: entry.prepared.send_from.unwrap_or(entry.prepared.prepared_at),
            committed: entry.committed.is_some(),
        })
    });
    Ok(history)
}

/// Looks through the newest runs for one that wrote records that are meant, and names their keys.
///
/// # Errors
/// As [`search`].
pub(super) async fn wrote(
    folder: &Folder,
    back: usize,
    means: impl Fn(&str) -> bool,
) -> Result<Option<(RunNumber, Vec<String>)>, Error> {
    let wrote = |kind: BatchKind, write: &Write| {
        (kind == BatchKind::Write && means(&write.record)).then(|| write.key.clone())
    };
    let (_, seen) = look_through(folder, back, wrote).await?;
    Ok(seen.map(|(entry, keys)| (entry.prepared.number, keys)))
}

/// Looks through the newest runs, up to the first whose change set shows something.
async fn look_through<T>(
    folder: &Folder,
    back: usize,
    look: impl Fn(BatchKind, &Write) -> Option<T>,
) -> Result<(History, Option<Seen<T>>), Error> {
    let log = Log::open(folder).await?;
    let mut history = History::default();
    for entry in log.recent(back).await? {
        if let Some(changes) = &entry.prepared.changes {
            if history.record_count + changes.row_count > RECORD_LIMIT {
                history.end = Some("older runs sent too many records to look through");
                return Ok((history, None));
            }
            let seen = match seen_in(folder, changes, &look).await {
                Err(StoreError::Missing { .. }) => {
                    history.end = Some("what older runs sent is no longer kept");
                    return Ok((history, None));
                }
                seen => seen?,
            };
            history.record_count += changes.row_count;
            if !seen.is_empty() {
                history.run_count += 1;
                return Ok((history, Some((entry, seen))));
            }
        }
        history.run_count += 1;
    }
    Ok((history, None))
}

/// What a change set shows, in the order in which it is sent.
async fn seen_in<T>(
    folder: &Folder,
    changes: &FileRef,
    look: impl Fn(BatchKind, &Write) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let set = ChangeSet::open(folder, changes).await?;
    let mut seen = Vec::new();
    let mut batches = pin!(set.all());
    while let Some(batch) = batches.try_next().await? {
        seen.extend(batch.writes.iter().filter_map(|write| look(batch.kind, write)));
    }
    Ok(seen)
}
