//! The files of the next snapshot: deltas on top of ranges, merged in tiers and folded.

use std::sync::Arc;

use tidemark_model::entry::{DeltaFile, FileRef, RangeFile};

use super::{
    Breadth, FileKind, FileRow, NewFiles, RangeWriter, Snapshot, Standing, View, file::SnapshotFile,
};
use crate::store::StoreError;

/// Range files and deltas that a new snapshot is made of. All of it blocks.
pub(crate) struct Stack {
    new: NewFiles,
    ranges: Vec<(RangeFile, Arc<SnapshotFile>)>,
    /// Oldest first; their tiers never grow from one to the next.
    deltas: Vec<(DeltaFile, Arc<SnapshotFile>)>,
}

impl Stack {
    /// The files of a committed snapshot.
    pub(crate) fn of(snapshot: &Snapshot, new: &NewFiles) -> Self {
        let inner = &snapshot.inner;
        let ranges = inner.files.ranges.iter().cloned().zip(inner.ranges.iter().cloned());
        let deltas = inner.files.deltas.iter().cloned().zip(inner.deltas.iter().cloned());
        Self { new: new.clone(), ranges: ranges.collect(), deltas: deltas.collect() }
    }

    /// Lays a delta of one run on top, then merges and folds where it is due.
    pub(crate) fn push(&mut self, delta: FileRef) -> Result<(), StoreError> {
        let opened = self.open(&delta)?;
        self.deltas.push((DeltaFile { file: delta, tier: 0 }, opened));
        if self.fold_is_due() {
            return self.fold();
        }
        while self.merge_newest_tier()? {}
        Ok(())
    }

    /// The files as a manifest names them.
    pub(crate) fn into_files(self) -> (Vec<RangeFile>, Vec<DeltaFile>) {
        let ranges = self.ranges.into_iter().map(|(range, _)| range).collect();
        (ranges, self.deltas.into_iter().map(|(delta, _)| delta).collect())
    }

    fn open(&self, file: &FileRef) -> Result<Arc<SnapshotFile>, StoreError> {
        SnapshotFile::open(&self.new.folder, file, &self.new.runtime).map(Arc::new)
    }

    fn merge_newest_tier(&mut self) -> Result<bool, StoreError> {
        let layout = self.new.layout;
        let Some(tier) = self.deltas.last().map(|(delta, _)| delta.tier) else {
            return Ok(false);
        };
        let same = self.deltas.iter().rev().take_while(|(delta, _)| delta.tier == tier).count();
        let due = if tier >= layout.last_tier { 2 } else { layout.tier_fan.max(2) };
        if same < due {
            return Ok(false);
        }
        let merged = self.deltas.split_off(self.deltas.len() - same);
        let tier = (tier + 1).min(layout.last_tier);
        self.rewrite_deltas(merged, tier, |_| true)?;
        Ok(true)
    }

    /// Writes deltas as one, without the keys that are not to be kept.
    fn rewrite_deltas(
        &mut self,
        deltas: Vec<(DeltaFile, Arc<SnapshotFile>)>,
        tier: u32,
        mut keep: impl FnMut(&str) -> bool,
    ) -> Result<(), StoreError> {
        let mut view = deltas_view(&deltas, Breadth::Full)?;
        let mut writer = None;
        while let Some(head) = view.head() {
            let replaced = head.first_replaced;
            // Gone, and never there before these deltas: nothing is left to be said.
            let void = !head.visible() && replaced.is_none();
            if !void && keep(head.row.key) {
                let writer = match &mut writer {
                    Some(writer) => writer,
                    none => none.insert(self.new.begin(FileKind::Delta)?),
                };
                writer.write(&FileRow { replaced, ..head.row })?;
            }
            view.advance()?;
        }
        if let Some(writer) = writer {
            let file = writer.finish()?;
            let opened = self.open(&file)?;
            self.deltas.push((DeltaFile { file, tier }, opened));
        }
        Ok(())
    }

    fn fold_is_due(&self) -> bool {
        let in_deltas: u64 = self.deltas.iter().map(|(delta, _)| delta.file.row_count).sum();
        let in_ranges: u64 = self.ranges.iter().map(|(range, _)| range.file.row_count).sum();
        in_deltas.saturating_mul(self.new.layout.fold_at) > in_ranges
    }

    /// Rewrites the ranges that the deltas replace much of, and the deltas without these.
    fn fold(&mut self) -> Result<(), StoreError> {
        let ranges = std::mem::take(&mut self.ranges);
        let deltas = std::mem::take(&mut self.deltas);
        let due = self.due_ranges(&ranges, &deltas)?;
        let from = |range: usize| {
            if range == 0 { "" } else { ranges.get(range).map_or("", |(r, _)| &*r.from_key) }
        };
        let mut at = 0;
        while at < due.len() {
            if !due[at] {
                self.ranges.push(ranges[at].clone());
                at += 1;
                continue;
            }
            let end = at + due[at..].iter().take_while(|due| **due).count();
            let to = (end < ranges.len()).then(|| from(end));
            let part = ranges.iter().take(end).skip(at);
            let part: Vec<_> =
                part.enumerate().map(|(i, (_, file))| (i, Arc::clone(file))).collect();
            let layers = deltas.iter().map(|(_, file)| Arc::clone(file));
            let layers = layers.enumerate().map(|(i, file)| (part.len() + i, file)).collect();
            let expected = part.iter().map(|(_, file)| file.row_count()).sum();
            let view = View::new(part, layers, Breadth::Full, from(at), to)?;
            for file in self.rewrite_range(view, expected)? {
                let opened = self.open(&file.file)?;
                self.ranges.push((file, opened));
            }
            at = end;
        }
        self.rewrite_deltas(deltas, self.new.layout.last_tier, |key| {
            let range = ranges.partition_point(|(range, _)| *range.from_key <= *key);
            !due[range.saturating_sub(1)]
        })
    }

    fn rewrite_range(&self, mut view: View, expected: u64) -> Result<Vec<RangeFile>, StoreError> {
        let mut writer = RangeWriter::new(&self.new, expected);
        while let Some(head) = view.head() {
            if head.row.standing != Standing::Gone {
                writer.write(&head.row)?;
            }
            view.advance()?;
        }
        writer.finish()
    }

    /// Which ranges have too many rows in deltas; where there is no range, the one to be made.
    fn due_ranges(
        &self,
        ranges: &[(RangeFile, Arc<SnapshotFile>)],
        deltas: &[(DeltaFile, Arc<SnapshotFile>)],
    ) -> Result<Vec<bool>, StoreError> {
        let mut in_deltas = vec![0_u64; ranges.len().max(1)];
        let mut view = deltas_view(deltas, Breadth::Thin)?;
        while let Some(key) = view.key() {
            let range = ranges.partition_point(|(range, _)| *range.from_key <= *key);
            in_deltas[range.saturating_sub(1)] += 1;
            view.advance()?;
        }
        let rows = |range: usize| ranges.get(range).map_or(0, |(_, file)| file.row_count());
        let due = |(range, count): (usize, u64)| count * self.new.layout.fold_at > rows(range);
        Ok(in_deltas.into_iter().enumerate().map(due).collect())
    }
}

fn deltas_view(
    deltas: &[(DeltaFile, Arc<SnapshotFile>)],
    breadth: Breadth,
) -> Result<View, StoreError> {
    let layers = deltas.iter().enumerate().map(|(i, (_, file))| (i, Arc::clone(file))).collect();
    View::new(Vec::new(), layers, breadth, "", None)
}
