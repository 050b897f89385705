//! One folder of a thousand entries, as a listing shows it.

use std::collections::BTreeMap;

use tidemark_model::entry::RunNumber;

use super::path::{self, CHAPTER_SIZE, LOG, Mark};
use crate::store::{Folder, StoreError};

/// Which entries a number has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) prepared: bool,
    pub(super) committed: bool,
    pub(super) purged: bool,
}

/// A folder whose entries follow one another without a gap.
#[derive(Debug)]
pub(super) struct Chapter {
    lowest: u64,
    entries: BTreeMap<u64, Marks>,
}

impl Chapter {
    /// The chapter with the highest numbers, `None` for an empty log.
    pub(super) async fn newest(folder: &Folder) -> Result<Option<Self>, StoreError> {
        let names = folder.list(LOG).await?;
        let chapters: Vec<u64> = names.iter().filter_map(|name| path::chapter_of(name)).collect();
        for (expected, found) in (0..).zip(&chapters) {
            if expected != *found {
                return Err(lost(path::chapter_folder(expected), "the folder", expected));
            }
        }
        // A local store keeps the folder of an entry whose creation failed.
        for number in chapters.into_iter().rev() {
            let chapter = Self::list(folder, number).await?;
            if !chapter.entries.is_empty() {
                return Ok(Some(chapter));
            }
        }
        Ok(None)
    }

    /// The whole chapter below a newer one that ends with `last`.
    pub(super) async fn open(folder: &Folder, last: RunNumber) -> Result<Self, StoreError> {
        let number = last.get() / CHAPTER_SIZE;
        let chapter = Self::list(folder, number).await?;
        if chapter.highest() == Some(last) {
            Ok(chapter)
        } else {
            Err(lost(path::chapter_folder(number), "entry", last.get()))
        }
    }

    /// The chapter that a number is in; others may have been taken above it.
    pub(super) async fn with(folder: &Folder, number: RunNumber) -> Result<Self, StoreError> {
        Self::list(folder, number.get() / CHAPTER_SIZE).await
    }

    async fn list(folder: &Folder, number: u64) -> Result<Self, StoreError> {
        let chapter_folder = path::chapter_folder(number);
        let mut entries: BTreeMap<u64, Marks> = BTreeMap::new();
        for name in folder.list(&chapter_folder).await? {
            let Some((number, mark)) = path::entry_of(&name) else { continue };
            let marks = entries.entry(number).or_default();
            match mark {
                Mark::Prepared => marks.prepared = true,
                Mark::Committed => marks.committed = true,
                Mark::Purged => marks.purged = true,
            }
        }
        // Numbers begin with 1.
        let lowest = (number * CHAPTER_SIZE).max(1);
        for (expected, (found, marks)) in (lowest..).zip(&entries) {
            if expected != *found || !marks.prepared {
                return Err(lost(chapter_folder, "entry", expected));
            }
        }
        Ok(Self { lowest, entries })
    }

    pub(super) fn lowest(&self) -> RunNumber {
        RunNumber::new(self.lowest)
    }

    pub(super) fn highest(&self) -> Option<RunNumber> {
        self.entries.keys().next_back().copied().map(RunNumber::new)
    }

    pub(super) fn marks(&self, number: RunNumber) -> Result<Marks, StoreError> {
        self.entries.get(&number.get()).copied().ok_or_else(|| {
            lost(path::chapter_folder(number.get() / CHAPTER_SIZE), "entry", number.get())
        })
    }
}

fn lost(path: String, what: &str, number: u64) -> StoreError {
    StoreError::Damaged {
        path,
        reason: format!("{what} {number} of the log is missing below newer ones"),
    }
}
