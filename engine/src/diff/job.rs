//! One job: the entries of some partitions merged with the base's rows between two keys.

use std::ops::Range;

use tidemark_model::entry::RangeFile;

use super::{
    DiffError, Work,
    decide::OldRow,
    entry::{Entries, KeyEntries, decode, skip},
    outcome::{Old, Outcomes, Rows, text},
    partition::{Job, Plan, quantiles},
    spill::{Spill, SpillWriter},
    spool::Spool,
};
use crate::snapshot::{Breadth, Head, RangeWriter, View};

/// The most keys that are sampled of a partition that does not fit into memory.
const SAMPLED_KEYS: usize = 10_000;

/// What a job's keys became.
pub(super) enum Merged {
    /// New range files.
    Ranges(Vec<RangeFile>),
    /// The base's ranges stay, with these rows in the delta.
    Beside(Range<usize>, Spool),
}

/// A merge at work.
struct Merge<'m, 'w> {
    work: &'w Work,
    view: Option<View>,
    outcomes: &'m mut Outcomes<'w>,
    rows: Rows,
    /// Of one partition after the other, in the same memory.
    entries: &'m mut Entries,
}

impl Work {
    /// Merges the partitions of a job.
    pub(super) fn merge<'w>(
        &'w self,
        plan: &Plan,
        job: &Job,
        spill: &Spill,
        outcomes: &mut Outcomes<'w>,
        entries: &mut Entries,
    ) -> Result<Merged, DiffError> {
        let Job { partitions, ranges } = job;
        let (from, to) = (plan.from(partitions.start), plan.until(partitions.end));
        let base = self.request.base.as_ref();
        let view = base.map(|base| base.view(Breadth::Thin, from, to)).transpose()?;
        let rows = match ranges {
            Some(_) => Rows::Spooled(Spool::new(&self.request.spill)),
            None => {
                let expected = partitions.clone().map(|part| spill.entry_count(part)).sum();
                Rows::Ranges(RangeWriter::new(&self.new_files, expected))
            }
        };
        let moved = outcomes.tally.moved;
        let mut merge = Merge { work: self, view, outcomes, rows, entries };
        for partition in partitions.clone() {
            merge.partition(spill, partition)?;
        }
        merge.silent_keys(None)?;
        let Merge { mut rows, .. } = merge;
        outcomes.settle(&mut rows)?;
        match (rows, ranges) {
            (Rows::Spooled(spool), Some(ranges)) => {
                let files = base.and_then(|base| base.files().ranges.get(ranges.clone()));
                let files = files.unwrap_or_default().iter();
                let base_rows: u64 = files.map(|range| range.file.row_count).sum();
                let spooled = spool.row_count().saturating_mul(self.request.layout.fold_at);
                if spooled > base_rows && outcomes.tally.moved > moved {
                    self.fold((from, to), base_rows, spool).map(Merged::Ranges)
                } else {
                    Ok(Merged::Beside(ranges.clone(), spool))
                }
            }
            (Rows::Ranges(writer), _) => Ok(Merged::Ranges(writer.finish()?)),
            _ => unreachable!("a job's rows are spooled or written as ranges"),
        }
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

impl Merge<'_, '_> {
    /// Merges a partition's entries, in parts if they do not fit into memory.
    fn partition(&mut self, spill: &Spill, index: usize) -> Result<(), DiffError> {
        let limit = self.work.load_limit();
        if spill.bytes(index) > limit {
            let bounds = sampled_bounds(spill, index, limit / 2)?;
            if !bounds.is_empty() {
                let parts = self.split(spill, index, &bounds)?;
                return (0..=bounds.len()).try_for_each(|part| self.partition(&parts, part));
            }
        }
        let mut entries = std::mem::take(self.entries);
        entries.clear();
        let mut reduced_to = 0;
        spill.read(index, |encoded| -> Result<(), DiffError> {
            self.work.check_stop()?;
            entries.push_encoded(encoded)?;
            // One key, shown again and again.
            if (entries.memory() - reduced_to) as u64 > limit * 2 {
                entries.sort();
                entries.reduce();
                reduced_to = entries.memory();
            }
            Ok(())
        })?;
        entries.sort();
        for known in entries.by_key() {
            self.silent_keys(Some(known.key))?;
            self.known_key(&known)?;
        }
        *self.entries = entries;
        Ok(())
    }

    /// Takes the base's keys that the reading does not know, up to a key.
    fn silent_keys(&mut self, to: Option<&[u8]>) -> Result<(), DiffError> {
        let Some(view) = &mut self.view else { return Ok(()) };
        while let Some(head) = view.head() {
            let key = head.row.key.as_bytes();
            if to.is_some_and(|to| key >= to) {
                break;
            }
            self.outcomes.take(key, old(&head), None, |_| None, &mut self.rows)?;
            view.advance()?;
        }
        Ok(())
    }

    /// Takes a key that the reading knows; the view stands at it or behind it.
    fn known_key(&mut self, known: &KeyEntries<'_>) -> Result<(), DiffError> {
        let at_key = |view: &&mut View| view.key().map(str::as_bytes) == Some(known.key);
        let Some(view) = self.view.as_mut().filter(at_key) else {
            let none = Old::default();
            return self.outcomes.take(known.key, none, Some(known), |_| None, &mut self.rows);
        };
        let old = view.head().map(|head| old(&head)).unwrap_or_default();
        let elsewhere = |digest: &_| {
            view.versions().find(|(row, _)| row.digest == *digest).map(|(_, place)| place)
        };
        self.outcomes.take(known.key, old, Some(known), elsewhere, &mut self.rows)?;
        Ok(view.advance()?)
    }

    fn split(&self, spill: &Spill, index: usize, bounds: &[String]) -> Result<Spill, DiffError> {
        let Work { request, .. } = self.work;
        let memory = self.work.spill_memory();
        let mut parts = SpillWriter::new(&request.spill, bounds.len() + 1, memory)?;
        spill.read(index, |mut encoded| -> Result<(), DiffError> {
            self.work.check_stop()?;
            while !encoded.is_empty() {
                let (key, entry) = decode(&mut encoded)?;
                let part = bounds.partition_point(|bound| bound.as_bytes() <= key);
                parts.push(part, key, &entry)?;
            }
            Ok(())
        })?;
        Ok(Spill::of(vec![parts])?)
    }
}

/// Bounds of parts of a partition of about so many bytes each; none if all its keys are one.
fn sampled_bounds(spill: &Spill, index: usize, bytes: u64) -> Result<Vec<String>, DiffError> {
    let entry_count = usize::try_from(spill.entry_count(index)).unwrap_or(usize::MAX);
    let every = entry_count / SAMPLED_KEYS + 1;
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
    let parts = spill.bytes(index) / bytes.max(1) + 2;
    Ok(quantiles(keys, usize::try_from(parts).unwrap_or(usize::MAX)))
}

/// The base's deltas do not stay: the new one replaces what the range files hold.
fn old(head: &Head<'_>) -> Old {
    Old {
        row: head.visible().then(|| (OldRow::of(&head.row), head.place)),
        replaces: head.in_range,
        carried: head.in_delta,
    }
}
