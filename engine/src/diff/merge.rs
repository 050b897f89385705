//! The way of many rows: they are spilled by partition of the keys, and each partition is merged
//! with the base in key order.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tidemark_model::entry::{DeltaFile, RangeFile};

use super::{
    DiffError, DiffOutput, Work,
    entry::{Entries, Entry, GoneMark, Reading, ReadingPlace},
    filter::DigestFilter,
    job::Merged,
    partition::Plan,
    spill::{Spill, SpillWriter},
};
use crate::snapshot::{FileKind, FileWriter};

impl Work {
    /// Compares by partitions.
    pub(super) fn compare_by_partition(&self) -> Result<DiffOutput, DiffError> {
        // Quantiles of a sample are not those of the whole: room for some more.
        let plan = Plan::of(&self.request, self.load_limit() / 3 * 2)?;
        let spill = self.spill(&plan)?;
        let merged: Vec<Mutex<Option<Merged>>> =
            plan.jobs.iter().map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let merge_some = || {
            let mut outcomes = self.outcomes();
            let mut entries = Entries::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = plan.jobs.get(number) else { return Ok(outcomes) };
                let result = self.merge(&plan, job, &spill, &mut outcomes, &mut entries)?;
                *merged[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        let outcomes = self.on_threads(merge_some)?;
        drop(spill);
        let merged = merged
            .into_iter()
            .filter_map(|merged| merged.into_inner().unwrap_or_else(PoisonError::into_inner));
        if outcomes.iter().all(|outcomes| outcomes.tally.moved == 0)
            && let Some(base) = &self.request.base
        {
            let files = base.files();
            return self.close(outcomes, (files.ranges.clone(), files.deltas.clone()));
        }
        let files = self.next_files(merged)?;
        self.close(outcomes, files)
    }

    /// The files of the next snapshot: rewritten ranges, the base's others, and one delta.
    fn next_files(
        &self,
        merged: impl Iterator<Item = Merged>,
    ) -> Result<(Vec<RangeFile>, Vec<DeltaFile>), DiffError> {
        let base = self.request.base.as_ref().map_or(&[][..], |base| &base.files().ranges);
        let mut ranges = Vec::new();
        let mut delta: Option<FileWriter> = None;
        for part in merged {
            match part {
                Merged::Ranges(files) => ranges.extend(files),
                Merged::Beside(kept, spool) => {
                    ranges.extend(base.get(kept).unwrap_or_default().iter().cloned());
                    let mut rows = spool.rows()?;
                    loop {
                        let writer = &mut delta;
                        let written = rows.next(|row| {
                            let writer = match writer {
                                Some(writer) => writer,
                                none => none.insert(self.new_files.begin(FileKind::Delta)?),
                            };
                            writer.write(row)
                        })?;
                        match written {
                            Some(written) => written?,
                            None => break,
                        }
                    }
                }
            }
        }
        let tier = self.request.layout.last_tier;
        let delta = delta.map(FileWriter::finish).transpose()?;
        Ok((ranges, delta.map(|file| DeltaFile { file, tier }).into_iter().collect()))
    }

    /// Routes everything that is known to its partition.
    fn spill(&self, plan: &Plan) -> Result<Spill, DiffError> {
        let request = &self.request;
        let filter = match &request.base {
            // It is gone before anything is merged.
            Some(base) => Some(DigestFilter::of(base, request.budget.0 / 8 * 5, self.threads())?),
            None => None,
        };
        let next = AtomicUsize::new(0);
        let spill_some = || {
            let mut spill =
                SpillWriter::new(&request.spill, plan.partition_count(), self.spill_memory())?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= request.pages.page_count() {
                    return Ok(spill);
                }
                self.check_stop()?;
                self.spill_page(index, plan, filter.as_ref(), &mut spill)?;
            }
        };
        let mut writers = self.on_threads(spill_some)?;
        if let Some(writer) = writers.first_mut() {
            self.each_dirty(|key, id| {
                let partition = plan.partition_of(key);
                Ok(writer.push(partition, key.as_bytes(), &Entry::Dirty(id))?)
            })?;
        }
        Ok(Spill::of(writers)?)
    }

    fn spill_page(
        &self,
        index: usize,
        plan: &Plan,
        filter: Option<&DigestFilter>,
        spill: &mut SpillWriter,
    ) -> Result<(), DiffError> {
        let page = self.request.pages.page(index)?;
        let mut known: Vec<bool> = match filter {
            Some(filter) => page.rows.iter().map(|row| filter.claims(&row.digest)).collect(),
            None => Vec::new(),
        };
        // Where little is known, a wrong claim would cost more than the right ones save.
        if known.iter().filter(|known| **known).count() * 2 < page.rows.len() {
            known.clear();
        }
        let number = super::number(index);
        for (row, shown) in page.rows.iter().enumerate() {
            let thin = known.get(row).is_some_and(|known| *known);
            let reading = Reading {
                state: shown.state,
                digest: shown.digest,
                modified: shown.modified,
                place: ReadingPlace { page: number, row: super::number(row) },
                payload: (!thin).then_some((&shown.id, &shown.record)),
            };
            let partition = plan.partition_of(&shown.key);
            spill.push(partition, shown.key.as_bytes(), &Entry::Reading(reading))?;
        }
        for gone in &page.gone {
            let partition = plan.partition_of(&gone.key);
            let mark = GoneMark { modified: gone.modified, page: number };
            spill.push(partition, gone.key.as_bytes(), &Entry::Gone(mark))?;
        }
        self.request.rows_read.fetch_add(page.rows.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
