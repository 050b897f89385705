//! Looking rows up by their keys.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow_array::{
    Array,
    cast::AsArray,
    types::{Int64Type, UInt8Type},
};
use tidemark_model::row::Digest;

use super::{
    Payload, Place, Snapshot, SnapshotRow, Standing,
    columns::{DIGEST, KEY, MODIFIED, STATE},
    file::{Access, SnapshotFile},
    scan::select,
};
use crate::store::StoreError;

/// Rows that are decoded at once.
const BATCH: usize = 1_024;

/// A row that was looked up, and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) standing: Standing,
    pub(crate) digest: Digest,
    pub(crate) modified: i64,
    pub(crate) place: Place,
}

impl Snapshot {
    /// The visible rows of ascending keys. Blocking.
    pub(crate) fn find(&self, keys: &[&str]) -> Result<Vec<Option<Found>>, StoreError> {
        let mut answers: Vec<Option<Found>> = vec![None; keys.len()];
        let deltas: Vec<_> = self.deltas().collect();
        for (file, delta) in deltas.into_iter().rev() {
            find_in(&delta, file, keys, 0..keys.len(), &mut answers)?;
        }
        let bounds = &self.files().ranges;
        for (file, range) in self.inner.ranges.iter().enumerate() {
            let from = if file == 0 { "" } else { &*bounds[file].from_key };
            let begin = keys.partition_point(|key| *key < from);
            let next = bounds.get(file + 1);
            let end =
                next.map_or(keys.len(), |next| keys.partition_point(|k| **k < *next.from_key));
            find_in(range, file, keys, begin..end, &mut answers)?;
        }
        for answer in &mut answers {
            *answer = answer.filter(|found| found.standing != Standing::Gone);
        }
        Ok(answers)
    }

    pub(super) fn look_up_blocking(
        &self,
        keys: &[String],
        with_record: bool,
    ) -> Result<Vec<Option<SnapshotRow>>, StoreError> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by_key(|&index| &keys[index]);
        let mut sorted: Vec<&str> = order.iter().map(|&index| &*keys[index]).collect();
        sorted.dedup();
        let found = self.find(&sorted)?;
        let mut payloads = if with_record { self.payloads_of(&found)? } else { BTreeMap::new() };
        let mut rows: Vec<Option<SnapshotRow>> = found
            .into_iter()
            .map(|found| {
                let found = found?;
                let payload = payloads.remove(&found.place);
                let (id, record) = payload.map(|Payload { id, record }| (id, record)).unzip();
                Some(SnapshotRow {
                    state: found.standing.state()?,
                    has_record: found.standing.has_record(),
                    digest: found.digest,
                    modified: found.modified,
                    id,
                    record,
                })
            })
            .collect();
        if sorted.len() == keys.len() {
            let mut answers = vec![None; keys.len()];
            for (row, &index) in rows.iter_mut().zip(&order) {
                answers[index] = row.take();
            }
            return Ok(answers);
        }
        let row =
            |key: &String| rows[sorted.partition_point(|other| *other < key.as_str())].clone();
        Ok(keys.iter().map(row).collect())
    }

    fn payloads_of(&self, found: &[Option<Found>]) -> Result<BTreeMap<Place, Payload>, StoreError> {
        let with_record = found.iter().flatten().filter(|found| found.standing.has_record());
        let mut places: Vec<Place> = with_record.map(|found| found.place).collect();
        places.sort_unstable();
        let mut payloads = BTreeMap::new();
        for of_file in places.chunk_by(|one, other| one.file == other.file) {
            let rows: Vec<u64> = of_file.iter().map(|place| place.row).collect();
            let read = self.payloads(of_file[0].file, &rows, true)?;
            payloads.extend(of_file.iter().copied().zip(read));
        }
        Ok(payloads)
    }
}

/// Looks for the keys of a part of the list that have no answer yet.
fn find_in(
    file: &Arc<SnapshotFile>,
    file_index: usize,
    keys: &[&str],
    part: Range<usize>,
    answers: &mut [Option<Found>],
) -> Result<(), StoreError> {
    let asked: Vec<usize> = part.filter(|&key| answers[key].is_none()).collect();
    let pages: Vec<Range<u64>> = file
        .key_pages()
        .into_iter()
        .filter(|page| {
            page.bounds.is_none_or(|(min, max)| {
                let at_least = asked.partition_point(|&key| keys[key].as_bytes() < min);
                asked.get(at_least).is_some_and(|&key| keys[key].as_bytes() <= max)
            })
        })
        .map(|page| page.rows)
        .collect();
    if asked.is_empty() || pages.is_empty() {
        return Ok(());
    }
    let wrong = || file.unreadable("its columns are not those of a snapshot");
    let selection = select(pages.iter().cloned(), file.row_count());
    let mut places = pages.into_iter().flatten();
    let mut asked = asked.into_iter().peekable();
    for batch in
        file.read(&[KEY, STATE, DIGEST, MODIFIED], Some(selection), BATCH, Access::LookUp)?
    {
        let batch = batch?;
        let column = |name| batch.column_by_name(name).ok_or_else(wrong);
        let found = column("key")?.as_string_opt::<i32>().ok_or_else(wrong)?;
        let states = column("state")?.as_primitive_opt::<UInt8Type>().ok_or_else(wrong)?;
        let digests = column("digest")?.as_fixed_size_binary_opt().ok_or_else(wrong)?;
        let modified = column("modified")?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        for (index, row) in (0..found.len()).zip(&mut places) {
            let key = found.value(index);
            while asked.next_if(|&wanted| keys[wanted] < key).is_some() {}
            let Some(wanted) = asked.next_if(|&wanted| keys[wanted] == key) else { continue };
            let mut digest = [0; 16];
            digest.copy_from_slice(digests.value(index));
            answers[wanted] = Some(Found {
                standing: Standing::from_code(states.value(index)).ok_or_else(wrong)?,
                digest: Digest::from_bytes(digest),
                modified: modified.value(index),
                place: Place { file: file_index, row },
            });
        }
    }
    Ok(())
}
