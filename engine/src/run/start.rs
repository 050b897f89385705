//! What a run is decided to be, written down before its first request.
//!
//! Every attempt of every step reads it, so a definition that is applied or a log that moves on in
//! the middle of a run changes nothing for that run.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::{
    defect::{self, Defect},
    entry::{Coverage, Prepared, RunNumber},
};

use super::later;
use crate::{
    diff::{ChangeSet, Dirty, DirtyKey},
    log::Log,
    port::{Batch, Capabilities},
    store::{Folder, Formatted, StoreError},
};

/// `runs/<run id>/start.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) format: u32,
    /// The number that the run takes in the log.
    pub(super) number: RunNumber,
    /// The commit that it builds on; `None` for a first sync.
    pub(super) base: Option<RunNumber>,
    pub(super) definition_version: u32,
    pub(super) coverage: Coverage,
    /// The base's watermark.
    pub(super) since: Option<Timestamp>,
    /// Runs that died: part of their change sets may have reached the destination.
    pub(super) unfinished: Vec<RunNumber>,
    /// Late marks that the run deals with.
    pub(super) late: Vec<LateMark>,
    /// Decisions up to this number are carried out by the run.
    #[serde(default)]
    pub(super) decided: u64,
    pub(super) sending: SendingTimes,
}

/// How long a request of the run may take effect after it was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SendingTimes {
    pub(super) longest_request: Duration,
    pub(super) settle: Duration,
}

impl SendingTimes {
    pub(super) fn of(capabilities: &Capabilities) -> Self {
        Self { longest_request: capabilities.request_timeout, settle: capabilities.settle }
    }

    /// From when on no request is at work any more that was begun on a look before `looked_at`,
    /// unless its sender left a late mark. It leaves none if it gave the request up within the
    /// longest request after the look's age; the request may have left it at the last moment, and
    /// be at work for as long once more.
    pub(super) fn over_at(self, looked_at: Timestamp, look_max_age: Duration) -> Timestamp {
        let given_up = look_max_age.saturating_add(self.longest_request);
        later(looked_at, given_up.saturating_add(self.longest_request) + self.settle)
    }

    pub(super) fn longer(self, other: Self) -> Self {
        Self {
            longest_request: self.longest_request.max(other.longest_request),
            settle: self.settle.max(other.settle),
        }
    }
}

/// `late/<number>-<nonce>`: a sender found that it had sent on a look that was too old. The object
/// holds the keys of that one request: every other was sent on a fresh look, and the sender's
/// change set may be swept by the time at which it wakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LateMark {
    pub(super) name: String,
    /// The run whose change set it was.
    pub(super) number: RunNumber,
}

const LATE: &str = "late";

impl LateMark {
    /// Says that a batch of a run was late.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn leave(
        folder: &Folder,
        number: RunNumber,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let nonce = uuid::Uuid::new_v4().simple();
        let mark = Self { name: format!("{:012}-{nonce}", number.get()), number };
        let writes = batch.writes.iter();
        let keys: Vec<DirtyKey> =
            writes.map(|write| DirtyKey { key: write.key.clone(), id: write.id.clone() }).collect();
        folder.establish(&mark.path(), &Formatted::new(keys)).await.map(drop)
    }

    async fn keys(&self, folder: &Folder) -> Result<Vec<DirtyKey>, StoreError> {
        let path = self.path();
        let found: Option<Formatted<Vec<DirtyKey>>> = folder.document(&path).await?;
        Ok(found.ok_or(StoreError::Missing { path })?.content)
    }

    fn path(&self) -> String {
        format!("{LATE}/{}", self.name)
    }

    fn of_name(name: String) -> Option<Self> {
        let number = name.split_once('-')?.0.parse().ok()?;
        Some(Self { name, number: RunNumber::new(number) })
    }

    /// The marks that no commit has dealt with and no purge has made void.
    pub(crate) async fn open(
        folder: &Folder,
        log: &Log,
        handled: &[String],
    ) -> Result<Vec<Self>, StoreError> {
        let names = folder.list(LATE).await?.into_iter();
        let names = names.filter(|_| !defect::on(Defect::IgnoreLateMarks));
        Ok(names
            .filter(|name| !handled.contains(name))
            .filter_map(Self::of_name)
            .filter(|mark| log.purged().is_none_or(|purged| mark.number > purged))
            .collect())
    }
}

impl Start {
    pub(super) fn path(run_id: &str) -> String {
        format!("runs/{run_id}/start.json")
    }

    /// Whether requests of other runs may still be at work at the destination.
    pub(super) fn supersedes(&self) -> bool {
        !self.unfinished.is_empty() || !self.late.is_empty()
    }

    /// The runs that may have left something else at the destination, each once, oldest first.
    fn owed(&self) -> Vec<RunNumber> {
        let mut owed = self.unfinished.clone();
        owed.extend(self.late.iter().map(|mark| mark.number));
        owed.sort_unstable();
        owed.dedup();
        owed
    }

    /// The log's entries of those runs.
    pub(super) async fn owed_entries(&self, log: &Log) -> Result<Vec<Prepared>, StoreError> {
        let mut entries = Vec::new();
        for number in self.owed() {
            let entry = log.prepared(number).await?;
            entries.push(entry.ok_or_else(|| StoreError::Missing {
                path: format!("entry {number} of the log"),
            })?);
        }
        Ok(entries)
    }

    /// What some of those runs may have left at the destination: all that the unfinished ones sent,
    /// and what was late. `owed` are their entries. They are few, or the run would read in full.
    pub(super) async fn dirty(
        &self,
        folder: &Folder,
        owed: &[Prepared],
    ) -> Result<Dirty, StoreError> {
        let mut dirty = Dirty::default();
        if defect::on(Defect::ForgetDirty) {
            return Ok(dirty);
        }
        for entry in owed {
            if let Some(changes) = &entry.changes
                && self.unfinished.contains(&entry.number)
            {
                dirty.sets.push(ChangeSet::open(folder, changes).await?);
            }
            for mark in self.late.iter().filter(|mark| mark.number == entry.number) {
                dirty.keys.extend(mark.keys(folder).await?);
            }
        }
        Ok(dirty)
    }
}
