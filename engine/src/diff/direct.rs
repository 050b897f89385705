//! The way of a few rows: each key is looked up, and a delta says what became of it.

use std::sync::atomic::Ordering;

use futures::StreamExt;
use tidemark_model::entry::Coverage;

use super::{
    DiffError, Resend, Work,
    decide::OldRow,
    entry::{Entries, Entry, GoneMark, Reading, ReadingPlace},
    outcome::{Old, Rows, text},
};
use crate::snapshot::{Snapshot, Stack};

impl Work {
    /// The entries of the whole reading and all dirty ids, if the base need not be scanned for
    /// them and they are few; `None` if they are not.
    pub(super) fn few_entries(&self) -> Result<Option<Entries>, DiffError> {
        let request = &self.request;
        let limit = request.layout.direct_rows;
        let dirty: u64 = request.dirty.sets.iter().map(super::ChangeSet::record_count).sum();
        let dirty = usize::try_from(dirty).unwrap_or(usize::MAX);
        let scans = request.coverage == Coverage::Full || request.resend != Resend::Nothing;
        if request.base.is_none() || scans || dirty.saturating_add(request.dirty.keys.len()) > limit
        {
            return Ok(None);
        }
        // One thread does all of it.
        let memory = self.load_limit() * self.threads() as u64;
        let mut entries = Entries::default();
        let mut read = 0;
        for index in 0..request.pages.page_count() {
            self.check_stop()?;
            let page = request.pages.page(index)?;
            read += page.rows.len() as u64;
            let number = super::number(index);
            for (row, shown) in page.rows.iter().enumerate() {
                let reading = Reading {
                    state: shown.state,
                    digest: shown.digest,
                    modified: shown.modified,
                    place: ReadingPlace { page: number, row: super::number(row) },
                    payload: Some((&shown.id, &shown.record)),
                };
                entries.push(shown.key.as_bytes(), &Entry::Reading(reading));
            }
            for gone in &page.gone {
                let mark = GoneMark { modified: gone.modified, page: number };
                entries.push(gone.key.as_bytes(), &Entry::Gone(mark));
            }
            if entries.len() > limit || entries.memory() as u64 > memory {
                return Ok(None);
            }
        }
        self.each_dirty(|key, id| {
            entries.push(key.as_bytes(), &Entry::Dirty(id));
            Ok(())
        })?;
        request.rows_read.fetch_add(read, Ordering::Relaxed);
        entries.sort();
        Ok(Some(entries))
    }

    /// Hands over every dirty id with its key.
    pub(super) fn each_dirty(
        &self,
        mut each: impl FnMut(&str, &str) -> Result<(), DiffError>,
    ) -> Result<(), DiffError> {
        let dirty = &self.request.dirty;
        for set in &dirty.sets {
            let mut keys = std::pin::pin!(set.keys());
            while let Some(batch) = self.runtime.block_on(keys.next()) {
                self.check_stop()?;
                batch?.iter().try_for_each(|dirty| each(&dirty.key, &dirty.id))?;
            }
        }
        dirty.keys.iter().try_for_each(|dirty| each(&dirty.key, &dirty.id))
    }

    /// Compares a few keys with the base.
    pub(super) fn compare_directly(
        &self,
        base: &Snapshot,
        entries: &Entries,
    ) -> Result<super::DiffOutput, DiffError> {
        let known: Vec<_> = entries.by_key().collect();
        let keys: Vec<&str> = known.iter().map(|known| text(known.key)).collect();
        let found = base.find(&keys)?;
        let mut outcomes = self.outcomes();
        let mut rows = Rows::Delta(self.new_files.clone(), None);
        for (known, found) in known.iter().zip(found) {
            let row = found.map(|found| {
                let standing = found.standing;
                let row = OldRow { standing, digest: found.digest, modified: found.modified };
                (row, found.place)
            });
            let replaces = row.map(|(row, _)| row.modified);
            let old = Old { row, replaces, carried: false };
            outcomes.take(known.key, old, Some(known), |_| None, &mut rows)?;
        }
        outcomes.settle(&mut rows)?;
        let mut stack = Stack::of(base, &self.new_files);
        if let Rows::Delta(_, Some(writer)) = rows {
            stack.push(writer.finish()?)?;
        }
        self.close(vec![outcomes], stack.into_files())
    }
}
