//! The way of many rows: they are spilled by partition of the keys, and each partition is merged
//! with the base in key order.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tidemark_model::entry::{DeltaFile, RangeFile};

use super::{
    DiffError, DiffOutput, Work,
    decide::OldRow,
    entry::{Entries, Entry, KeyEntries, Reading, ReadingPlace, decode, skip},
    filter::DigestFilter,
    outcome::{Old, Outcomes, Rows, text},
    partition::{Job, Plan, quantiles},
    spill::{Spill, SpillWriter},
    spool::Spool,
};
use crate::snapshot::{Breadth, FileKind, FileWriter, Head, RangeWriter, View};

/// The most keys that are sampled of a partition that does not fit into memory.
const SAMPLED_KEYS: usize = 10_000;

/// What a job's keys became.
enum Merged {
    /// New range files.
    Ranges(Vec<RangeFile>),
    /// The base's ranges stay, with these rows in the delta.
    Beside(Range<usize>, Spool),
}

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
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = plan.jobs.get(number) else { return Ok(outcomes) };
                let result = self.merge(&plan, job, &spill, &mut outcomes)?;
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
        let memory = usize::try_from(request.budget.0 / 8).unwrap_or(usize::MAX) / self.threads();
        let next = AtomicUsize::new(0);
        let spill_some = || {
            let mut spill = SpillWriter::new(&request.spill, plan.partition_count(), memory)?;
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
            spill.push(partition, gone.key.as_bytes(), &Entry::Gone(gone.modified))?;
        }
        self.request.rows_read.fetch_add(page.rows.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn merge(
        &self,
        plan: &Plan,
        job: &Job,
        spill: &Spill,
        outcomes: &mut Outcomes<'_>,
    ) -> Result<Merged, DiffError> {
        let Job { partitions, ranges } = job;
        let (from, to) = (plan.from(partitions.start), plan.until(partitions.end));
        let base = self.request.base.as_ref();
        let mut view = match base {
            Some(base) => Some(base.view(Breadth::Thin, from, to)?),
            None => None,
        };
        let base_rows: u64 = match (base, ranges) {
            (Some(base), Some(ranges)) => {
                let files = base.files().ranges.get(ranges.clone()).unwrap_or_default();
                files.iter().map(|range| range.file.row_count).sum()
            }
            _ => 0,
        };
        let mut rows = match ranges {
            Some(_) => Rows::Spooled(Spool::new(&self.request.spill)),
            None => {
                let expected = partitions.clone().map(|part| spill.entry_count(part)).sum();
                Rows::Ranges(RangeWriter::new(&self.new_files, expected))
            }
        };
        let moved = outcomes.tally.moved;
        for partition in partitions.clone() {
            self.merge_spilled(spill, partition, &mut view, outcomes, &mut rows)?;
        }
        self.merge_until(&mut view, None, outcomes, &mut rows)?;
        outcomes.settle(&mut rows)?;
        drop(view);
        match (rows, ranges) {
            (Rows::Spooled(spool), Some(ranges)) => {
                let too_much =
                    spool.row_count().saturating_mul(self.request.layout.fold_at) > base_rows;
                if too_much && outcomes.tally.moved > moved {
                    self.fold((from, to), base_rows, spool).map(Merged::Ranges)
                } else {
                    Ok(Merged::Beside(ranges.clone(), spool))
                }
            }
            (Rows::Ranges(writer), _) => Ok(Merged::Ranges(writer.finish()?)),
            _ => unreachable!("a partition's rows are spooled or written as ranges"),
        }
    }

    /// Merges a partition's entries, in parts if they do not fit into memory.
    fn merge_spilled(
        &self,
        spill: &Spill,
        index: usize,
        view: &mut Option<View>,
        outcomes: &mut Outcomes<'_>,
        rows: &mut Rows,
    ) -> Result<(), DiffError> {
        if spill.bytes(index) > self.load_limit() {
            let bounds = self.sampled_bounds(spill, index)?;
            if !bounds.is_empty() {
                let parts = self.split(spill, index, &bounds)?;
                return (0..=bounds.len())
                    .try_for_each(|part| self.merge_spilled(&parts, part, view, outcomes, rows));
            }
        }
        let room = spill.bytes(index).min(self.load_limit());
        let count = if room > 0 { spill.entry_count(index) * room / spill.bytes(index) } else { 0 };
        let mut entries = Entries::with_capacity(count, room);
        let mut reduced_to = 0;
        spill.read(index, |encoded| -> Result<(), DiffError> {
            self.check_stop()?;
            entries.push_encoded(encoded)?;
            // One key, shown again and again.
            if (entries.memory() - reduced_to) as u64 > self.load_limit() * 2 {
                entries.sort();
                entries.reduce();
                reduced_to = entries.memory();
            }
            Ok(())
        })?;
        entries.sort();
        for known in entries.by_key() {
            self.merge_until(view, Some(known.key), outcomes, rows)?;
            merge_key(view, &known, outcomes, rows)?;
        }
        Ok(())
    }

    /// Takes the base's keys that the reading does not know, up to a key.
    fn merge_until(
        &self,
        view: &mut Option<View>,
        to: Option<&[u8]>,
        outcomes: &mut Outcomes<'_>,
        rows: &mut Rows,
    ) -> Result<(), DiffError> {
        let Some(view) = view else { return Ok(()) };
        while let Some(head) = view.head() {
            if to.is_some_and(|to| head.row.key.as_bytes() >= to) {
                break;
            }
            outcomes.take(head.row.key.as_bytes(), old(&head), None, |_| None, rows)?;
            view.advance()?;
        }
        Ok(())
    }

    fn sampled_bounds(&self, spill: &Spill, index: usize) -> Result<Vec<String>, DiffError> {
        let every =
            usize::try_from(spill.entry_count(index)).unwrap_or(usize::MAX) / SAMPLED_KEYS + 1;
        let mut keys = Vec::new();
        let mut count = 0;
        spill.read(index, |mut encoded| -> Result<(), DiffError> {
            while !encoded.is_empty() {
                let key = skip(&mut encoded)?;
                if count % every == 0 {
                    keys.push(text(key).to_owned());
                }
                count += 1;
            }
            Ok(())
        })?;
        let parts = spill.bytes(index) / (self.load_limit() / 2).max(1) + 2;
        Ok(quantiles(keys, usize::try_from(parts).unwrap_or(usize::MAX)))
    }

    fn split(&self, spill: &Spill, index: usize, bounds: &[String]) -> Result<Spill, DiffError> {
        let memory =
            usize::try_from(self.request.budget.0 / 8).unwrap_or(usize::MAX) / self.threads();
        let mut parts = SpillWriter::new(&self.request.spill, bounds.len() + 1, memory)?;
        spill.read(index, |mut encoded| -> Result<(), DiffError> {
            self.check_stop()?;
            while !encoded.is_empty() {
                let (key, entry) = decode(&mut encoded)?;
                let part = bounds.partition_point(|bound| bound.as_bytes() <= key);
                parts.push(part, key, &entry)?;
            }
            Ok(())
        })?;
        Ok(Spill::of(vec![parts])?)
    }

    /// Writes a job's ranges anew, with the spooled rows in them.
    fn fold(
        &self,
        (from, to): (&str, Option<&str>),
        base_rows: u64,
        spool: Spool,
    ) -> Result<Vec<RangeFile>, DiffError> {
        let base = self.request.base.as_ref().expect("only a base's ranges are folded");
        let mut view = base.range_view(from, to)?;
        let mut writer = RangeWriter::new(&self.new_files, base_rows);
        let mut spooled = spool.rows()?;
        loop {
            self.check_stop()?;
            let taken = spooled.next(|row| -> Result<(), DiffError> {
                while let Some(head) = view.head()
                    && head.row.key < row.key
                {
                    writer.write(&head.row)?;
                    view.advance()?;
                }
                if view.key() == Some(row.key) {
                    view.advance()?;
                }
                if row.standing.state().is_some() {
                    writer.write(row)?;
                }
                Ok(())
            })?;
            match taken {
                Some(taken) => taken?,
                None => break,
            }
        }
        while let Some(head) = view.head() {
            writer.write(&head.row)?;
            view.advance()?;
        }
        Ok(writer.finish()?)
    }
}

/// Takes a key that the reading knows; the view stands at it or behind it.
fn merge_key(
    view: &mut Option<View>,
    known: &KeyEntries<'_>,
    outcomes: &mut Outcomes<'_>,
    rows: &mut Rows,
) -> Result<(), DiffError> {
    let Some(view) = view.as_mut().filter(|view| view.key().map(str::as_bytes) == Some(known.key))
    else {
        return outcomes.take(known.key, Old::default(), Some(known), |_| None, rows);
    };
    let old = view.head().map(|head| old(&head)).unwrap_or_default();
    let elsewhere =
        |digest: &_| view.versions().find(|(row, _)| row.digest == *digest).map(|(_, place)| place);
    outcomes.take(known.key, old, Some(known), elsewhere, rows)?;
    Ok(view.advance()?)
}

/// The base's deltas do not stay: the new one replaces what the range files hold.
fn old(head: &Head<'_>) -> Old {
    Old {
        row: head.visible().then(|| (OldRow::of(&head.row), head.place)),
        replaces: head.in_range,
        carried: head.in_delta,
    }
}
