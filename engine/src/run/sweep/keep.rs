//! What a sweep keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tidemark_model::{
    definition::Policy,
    entry::{FileRef, Manifest, RunNumber},
};

use super::place::{Kind, Of, Place};
use crate::{
    definitions,
    diff::ChangeSet,
    log::{Log, LogEntry},
    run::{ended::ended_run, start::Start},
    store::{Folder, Listed, StoreError},
};

/// A run may have begun on the commit below the newest: its predecessor was dead to Temporal then,
/// and committed after all.
const LEAST_COMMITS: usize = 2;

/// All that must stay of what is named below the newest commit, and from which age on the rest goes.
pub(super) struct Keep {
    folder: Folder,
    /// No entry that does not stand yet can name an object of a number up to this one.
    closed: Option<RunNumber>,
    /// What kept entries reach.
    files: BTreeSet<String>,
    /// The runs of kept entries: their acknowledgements stay…
    numbers: BTreeSet<RunNumber>,
    /// …and what they were decided to be and read.
    owners: BTreeSet<String>,
    /// Of those, the ones that did not commit: their pages stay as well.
    unfinished: BTreeSet<String>,
    /// What is younger stays.
    old: Timestamp,
    old_page: Timestamp,
    old_record: Timestamp,
    /// Runs that were looked at lately, and whether they can still go on.
    can_go_on: BTreeMap<String, bool>,
}

/// Runs whose verdict is remembered: a listing shows a run's objects together.
const REMEMBERED: usize = 64;
/// Indexes of change sets that are read at once.
const SIMULTANEOUS_READS: usize = 8;

impl Keep {
    /// Reads the log. `None` for a connection that has no definition.
    pub(super) async fn of(folder: &Folder, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let Some(policy) = policy(folder).await? else { return Ok(None) };
        loop {
            let log = Log::open(folder).await?;
            match Self::reached(folder, &log, &policy, now).await {
                // Whoever stood still while runs committed may look for what the newest commit
                // needed then, and another sweep has deleted since.
                Err(StoreError::Missing { .. }) if log.moved_on().await? => {}
                kept => return kept.map(Some),
            }
        }
    }

    /// What the newest commits of a log reach.
    async fn reached(
        folder: &Folder,
        log: &Log,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let commits = usize::try_from(policy.keep_commits()).unwrap_or(usize::MAX);
        let commits = commits.max(LEAST_COMMITS);
        let entries = log.down_to_commit(commits).await?;
        let committed = || entries.iter().filter_map(|entry| entry.committed.as_ref());
        let newest = committed().next().map(|commit| commit.number);
        let age = policy.deadline().saturating_mul(2);
        let raw_age = age.max(policy.keep_raw());
        let (old, old_page) = (earlier(now, age), earlier(now, raw_age));
        let oldest_kept = committed().take(commits).last().map(|commit| commit.committed_at);
        let mut keep = Self {
            folder: folder.clone(),
            closed: newest.max(log.purged()),
            files: BTreeSet::new(),
            numbers: BTreeSet::new(),
            owners: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            old,
            old_page,
            old_record: old.min(oldest_kept.unwrap_or(old_page)),
            can_go_on: BTreeMap::new(),
        };
        let mut sets = Vec::new();
        for entry in &entries {
            keep.take(entry, newest, &mut sets);
        }
        keep.take_sets(sets).await?;
        Ok(keep)
    }

    /// Keeps what an entry names. Of a run that died and was superseded nothing is needed but
    /// the change set, by which people find out what was sent.
    fn take<'e>(
        &mut self,
        entry: &'e LogEntry,
        newest: Option<RunNumber>,
        sets: &mut Vec<KeptSet<'e>>,
    ) {
        let LogEntry { prepared, committed } = entry;
        let needed = Some(prepared.number) >= newest;
        self.numbers.insert(prepared.number);
        self.owners.insert(prepared.owner.run_id.clone());
        sets.extend(prepared.changes.iter().map(|index| KeptSet { index, needed }));
        let manifest: &Manifest = match committed {
            Some(commit) => &commit.manifest,
            None if needed => {
                self.unfinished.insert(prepared.owner.run_id.clone());
                &prepared.next
            }
            None => return,
        };
        let ranges = manifest.snapshot.ranges.iter().map(|range| &range.file);
        let deltas = manifest.snapshot.deltas.iter().map(|delta| &delta.file);
        let files = ranges.chain(deltas).chain(&manifest.exceptions);
        self.files.extend(files.map(|file| file.path.clone()));
        let held = manifest.hold.iter().map(|hold| &hold.removals);
        let held = held.chain(&manifest.waived_removals).chain(&manifest.kept);
        sets.extend(held.map(|index| KeptSet { index, needed }));
    }

    /// Keeps the indexes of change sets and what they name.
    async fn take_sets(&mut self, sets: Vec<KeptSet<'_>>) -> Result<(), StoreError> {
        // Newest first: what the next run needs and older commits reach as well is needed.
        let sets: Vec<KeptSet<'_>> =
            sets.into_iter().filter(|set| self.files.insert(set.index.path.clone())).collect();
        let folder = &self.folder;
        let files: Vec<Vec<FileRef>> = stream::iter(sets)
            .map(|set| set.files(folder))
            .buffered(SIMULTANEOUS_READS)
            .boxed()
            .try_collect()
            .await?;
        self.files.extend(files.into_iter().flatten().map(|file| file.path));
        Ok(())
    }

    /// Whether an object goes.
    ///
    /// # Errors
    /// What is known of its run cannot be read.
    pub(super) async fn lets_go(
        &mut self,
        place: &Place,
        object: &Listed,
    ) -> Result<bool, StoreError> {
        let from = match place.kind {
            Kind::Pages => self.old_page,
            Kind::RunRecords => self.old_record,
            Kind::Snapshots
            | Kind::Changes
            | Kind::Exceptions
            | Kind::Acknowledgements
            | Kind::RunFiles => self.old,
        };
        if object.modified >= from {
            return Ok(false);
        }
        match (&place.of, place.kind) {
            (Of::Number(number), Kind::Acknowledgements) => {
                Ok(self.is_closed(*number) && !self.numbers.contains(number))
            }
            (Of::Number(number), _) => {
                Ok(self.is_closed(*number) && !self.files.contains(&object.path))
            }
            (Of::Run(_), Kind::RunRecords) => Ok(true),
            (Of::Run(id), Kind::Pages) => {
                Ok(!self.unfinished.contains(id) && !self.can_go_on(id).await?)
            }
            (Of::Run(id), _) => Ok(!self.owners.contains(id) && !self.can_go_on(id).await?),
        }
    }

    fn is_closed(&self, number: RunNumber) -> bool {
        Some(number) <= self.closed
    }

    /// Whether a run that has no entry may still make one: nobody took its number, and nothing
    /// says that it ended. One that nothing is known of was swept before.
    async fn can_go_on(&mut self, run_id: &str) -> Result<bool, StoreError> {
        if let Some(verdict) = self.can_go_on.get(run_id) {
            return Ok(*verdict);
        }
        let start: Option<Start> = self.folder.document(&Start::path(run_id)).await?;
        let open = start.is_some_and(|start| !self.is_closed(start.number));
        let verdict = open && ended_run(&self.folder, run_id).await?.is_none();
        if self.can_go_on.len() == REMEMBERED {
            self.can_go_on.clear();
        }
        self.can_go_on.insert(run_id.to_owned(), verdict);
        Ok(verdict)
    }
}

/// A change set that a kept entry names.
#[derive(Clone, Copy)]
struct KeptSet<'e> {
    index: &'e FileRef,
    /// The next run needs it: if it is not there, that is for a person to know, and no time to
    /// delete anything. What older commits reach may have been swept under a smaller
    /// `keep_commits`.
    needed: bool,
}

impl KeptSet<'_> {
    async fn files(self, folder: &Folder) -> Result<Vec<FileRef>, StoreError> {
        match ChangeSet::open(folder, self.index).await {
            Ok(set) => Ok(set.files().to_vec()),
            Err(StoreError::Missing { .. }) if !self.needed => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The newest policy that the connection had. That of a removed one still holds.
async fn policy(folder: &Folder) -> Result<Option<Policy>, StoreError> {
    let Some(newest) = definitions::newest(folder).await? else { return Ok(None) };
    let mut version = newest.version;
    let mut found = newest.definition;
    while found.is_none() && version > 1 {
        version -= 1;
        found = definitions::at(folder, version).await?.and_then(|stored| stored.definition);
    }
    Ok(found.map(|definition| definition.policy().clone()))
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
