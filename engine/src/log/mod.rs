//! The commit log of a connection: what was begun and what was finished, in order.
//!
//! Entries are created only if absent and never deleted. `<number>.prepared` takes a number,
//! `<number>.committed` ends it; `<number>.purged` says that the files of everything up to there
//! were erased on request, so that their absence is no damage. Numbers have no gaps: a gap, or an
//! entry above one that is gone, means that the store lost something, and nothing is done then.

mod chapter;
mod path;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tidemark_model::{
    entry::{Committed, FORMAT, Owner, Prepared, RunNumber},
    step::Known,
};

use crate::store::{Folder, StoreError};

use chapter::{Chapter, Marks};
pub(crate) use path::Mark;

/// Entries that are read at once by [`Log::recent`].
const SIMULTANEOUS_READS: usize = 8;

/// The log of a connection as it stood when it was opened.
#[derive(Debug)]
pub struct Log {
    folder: Folder,
    highest: Option<RunNumber>,
    newest_commit: Option<Committed>,
    unfinished: Vec<Prepared>,
    purged: Option<RunNumber>,
}

/// What came of taking a number, or of ending it.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken<T> {
    /// The entry is this run's own: the one that was handed in, or that of an earlier attempt.
    Ours(T),
    /// Another run was first.
    Theirs(T),
}

/// A number of the log, with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub prepared: Prepared,
    /// `None` for a run that died, or that is at work.
    pub committed: Option<Committed>,
}

/// `<number>.purged`.
#[derive(Debug, Serialize, Deserialize)]
struct Purged {
    format: u32,
    number: RunNumber,
}

impl Log {
    /// Reads the newest commit and all entries above it: two listings and, after a run that had
    /// nothing to send, one object.
    ///
    /// # Errors
    /// `Damaged` or `Missing` when the log has a gap, `NewerFormat`, or the store's.
    pub async fn open(folder: &Folder) -> Result<Self, StoreError> {
        let mut log = Self {
            folder: folder.clone(),
            highest: None,
            newest_commit: None,
            unfinished: Vec::new(),
            purged: None,
        };
        let Some(mut chapter) = Chapter::newest(folder).await? else {
            return Ok(log);
        };
        log.highest = chapter.highest();
        let mut next = log.highest;
        while let Some(number) = next {
            if number < chapter.lowest() {
                chapter = Chapter::open(folder, number).await?;
            }
            if log.take(number, chapter.marks(number)?).await? {
                break;
            }
            next = previous(number);
        }
        log.unfinished.reverse();
        log.check_bases()?;
        Ok(log)
    }

    /// Takes an entry in, from above. Whether what is below no longer counts.
    async fn take(&mut self, number: RunNumber, marks: Marks) -> Result<bool, StoreError> {
        if marks.purged {
            self.purged = Some(number);
            return Ok(true);
        }
        if marks.committed {
            self.newest_commit = Some(self.named(number, self.committed(number).await?)?);
            return Ok(true);
        }
        let prepared = self.named(number, self.prepared(number).await?)?;
        if let Some(commit) = prepared.commit {
            self.newest_commit = Some(*commit);
            return Ok(true);
        }
        self.unfinished.push(prepared);
        Ok(false)
    }

    /// A listed entry that cannot be read is lost, not absent.
    fn named<T>(&self, number: RunNumber, entry: Option<T>) -> Result<T, StoreError> {
        entry.ok_or_else(|| StoreError::Missing { path: path::path(number, Mark::Prepared) })
    }

    /// What an unfinished run was built on must have been committed.
    fn check_bases(&self) -> Result<(), StoreError> {
        let known = self.newest_commit.as_ref().map(|commit| commit.number).max(self.purged);
        for entry in &self.unfinished {
            let Some(base) = entry.base else { continue };
            if Some(base) > known {
                return Err(StoreError::Damaged {
                    path: path::path(entry.number, Mark::Prepared),
                    reason: format!("it builds on run {base}, whose commit is not in the log"),
                });
            }
        }
        Ok(())
    }

    /// The highest number that is taken.
    #[must_use]
    pub fn highest(&self) -> Option<RunNumber> {
        self.highest
    }

    /// The number that the next run takes.
    #[must_use]
    pub fn next_number(&self) -> RunNumber {
        self.highest.map_or(RunNumber::FIRST, RunNumber::next)
    }

    /// The newest commit whose files are there.
    #[must_use]
    pub fn newest_commit(&self) -> Option<&Committed> {
        self.newest_commit.as_ref()
    }

    /// What it holds, for somebody who is to remember it.
    #[must_use]
    pub fn known(&self) -> Known {
        let committed = self.newest_commit.as_ref().map(|newest| newest.number);
        Known { committed, entered: self.highest }
    }

    /// What is known elsewhere and not in it, in words: `ends with commit 7, and commit 9 was made`.
    /// Then the store went back in time, or is another one.
    #[must_use]
    pub fn lacks(&self, known: Known) -> Option<String> {
        let here = self.known();
        if let Some(committed) = known.committed.filter(|known| Some(*known) > here.committed) {
            let end = here.committed.map_or_else(
                || "holds no commit".to_owned(),
                |newest| format!("ends with commit {newest}"),
            );
            return Some(format!("{end}, and commit {committed} was made"));
        }
        let entered = known.entered.filter(|known| Some(*known) > here.entered)?;
        let end = here
            .entered
            .map_or_else(|| "is empty".to_owned(), |highest| format!("ends with run {highest}"));
        Some(format!("{end}, and run {entered} took its number"))
    }

    /// The entries above the newest commit, oldest first: runs that died, or that are at work.
    #[must_use]
    pub fn unfinished(&self) -> &[Prepared] {
        &self.unfinished
    }

    /// Everything up to this number was purged.
    #[must_use]
    pub fn purged(&self) -> Option<RunNumber> {
        self.purged
    }

    /// The entry that took a number.
    ///
    /// # Errors
    /// `Damaged`, `NewerFormat`, or the store's.
    pub async fn prepared(&self, number: RunNumber) -> Result<Option<Prepared>, StoreError> {
        let path = path::path(number, Mark::Prepared);
        let found: Option<Prepared> = self.folder.document(&path).await?;
        found.map(|entry| numbered(path, number, entry.number, entry)).transpose()
    }

    /// The commit that ended a number, in an object of its own or inside `prepared`.
    ///
    /// # Errors
    /// As [`prepared`](Self::prepared).
    pub async fn committed(&self, number: RunNumber) -> Result<Option<Committed>, StoreError> {
        let path = path::path(number, Mark::Committed);
        let found: Option<Committed> = self.folder.document(&path).await?;
        match found {
            Some(entry) => numbered(path, number, entry.number, entry).map(Some),
            None => Ok(self.prepared(number).await?.and_then(|entry| entry.commit.map(|c| *c))),
        }
    }

    /// Takes the number of an entry.
    ///
    /// # Errors
    /// As [`prepared`](Self::prepared); the number may be taken nevertheless.
    pub async fn create_prepared(&self, entry: &Prepared) -> Result<Taken<Prepared>, StoreError> {
        let path = path::path(entry.number, Mark::Prepared);
        let standing: Prepared = self.folder.establish(&path, entry).await?;
        Ok(Taken::of(&entry.owner, standing.owner.clone(), standing))
    }

    /// Ends a number.
    ///
    /// # Errors
    /// As [`create_prepared`](Self::create_prepared).
    pub async fn create_committed(
        &self,
        entry: &Committed,
    ) -> Result<Taken<Committed>, StoreError> {
        let path = path::path(entry.number, Mark::Committed);
        let standing: Committed = self.folder.establish(&path, entry).await?;
        Ok(Taken::of(&entry.owner, standing.owner.clone(), standing))
    }

    /// Whether it may say something else by now than when it was opened: an entry was added, or the
    /// highest is gone. Cheaper than to open it again: it asks for the few names that can be next.
    ///
    /// # Errors
    /// The store's.
    pub async fn moved_on(&self) -> Result<bool, StoreError> {
        if self.stands(self.next_number(), Mark::Prepared).await? {
            return Ok(true);
        }
        if let Some(highest) = self.highest
            && (!self.stands(highest, Mark::Prepared).await?
                || self.stands(highest, Mark::Purged).await?)
        {
            return Ok(true);
        }
        for entry in &self.unfinished {
            if self.stands(entry.number, Mark::Committed).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says that the files of everything in the log are erased. Said before it is done.
    pub(crate) async fn create_purged(&self) -> Result<(), StoreError> {
        let Some(number) = self.highest else { return Ok(()) };
        let mark = Purged { format: FORMAT, number };
        self.folder.establish(&path::path(number, Mark::Purged), &mark).await.map(drop)
    }

    /// Whether an entry is there now, whatever the log was when it was opened.
    pub(crate) async fn stands(&self, number: RunNumber, mark: Mark) -> Result<bool, StoreError> {
        self.folder.exists(&path::path(number, mark)).await
    }

    /// The entries down to the `count`th commit whose files are there, newest first, with those of
    /// the runs in between that died.
    ///
    /// # Errors
    /// `Damaged` or `Missing` when the log has a gap there, or as [`prepared`](Self::prepared).
    pub(crate) async fn down_to_commit(&self, count: usize) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = Vec::new();
        let Some(highest) = self.highest else { return Ok(entries) };
        let chapter = Chapter::with(&self.folder, highest).await?;
        let marked = stream::try_unfold((chapter, Some(highest)), |(chapter, next)| async move {
            let Some(number) = next else { return Ok(None) };
            let chapter = if number < chapter.lowest() {
                Chapter::open(&self.folder, number).await?
            } else {
                chapter
            };
            let marks = chapter.marks(number)?;
            let next = (chapter, previous(number));
            Ok::<_, StoreError>((!marks.purged).then_some(((number, marks), next)))
        });
        let mut read = marked
            .map_ok(|(number, marks)| self.marked(number, marks))
            .try_buffered(SIMULTANEOUS_READS)
            .boxed();
        let mut commits = 0;
        while commits < count
            && let Some(entry) = read.try_next().await?
        {
            commits += usize::from(entry.committed.is_some());
            entries.push(entry);
        }
        Ok(entries)
    }

    async fn marked(&self, number: RunNumber, marks: Marks) -> Result<LogEntry, StoreError> {
        let prepared = self.named(number, self.prepared(number).await?)?;
        let committed = match &prepared.commit {
            None if marks.committed => Some(self.named(number, self.committed(number).await?)?),
            commit => commit.as_deref().cloned(),
        };
        Ok(LogEntry { prepared, committed })
    }

    /// The newest entries, newest first.
    ///
    /// # Errors
    /// `Missing` when one in between is lost, or as [`prepared`](Self::prepared).
    pub async fn recent(&self, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        let numbers = std::iter::successors(self.highest, |number| previous(*number)).take(limit);
        stream::iter(numbers)
            .map(|number| async move {
                let prepared = self.named(number, self.prepared(number).await?)?;
                let committed = self.committed(number).await?;
                Ok(LogEntry { prepared, committed })
            })
            .buffered(SIMULTANEOUS_READS)
            .try_collect()
            .await
    }
}

impl<T> Taken<T> {
    fn of(asking: &Owner, standing: Owner, entry: T) -> Self {
        if *asking == standing { Self::Ours(entry) } else { Self::Theirs(entry) }
    }
}

fn previous(number: RunNumber) -> Option<RunNumber> {
    number.get().checked_sub(1).filter(|previous| *previous > 0).map(RunNumber::new)
}

/// An entry must say the number under which it is kept.
fn numbered<T>(path: String, asked: RunNumber, said: RunNumber, entry: T) -> Result<T, StoreError> {
    if asked == said {
        Ok(entry)
    } else {
        Err(StoreError::Damaged { path, reason: format!("it says that it is run {said}") })
    }
}

#[cfg(test)]
mod tests;
