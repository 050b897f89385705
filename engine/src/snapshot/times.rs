//! Questions about change times.
//!
//! Counts are sums over the files, since a row of a delta says what it replaced; and whole pages
//! are counted by their least and greatest time, unread.

use std::{ops::Range, sync::Arc};

use arrow_array::{Array, Int64Array, RecordBatch, cast::AsArray, types::Int64Type};

use super::{
    Breadth, Snapshot, View,
    columns::{KEY, MODIFIED, REPLACED, STATE, Standing},
    file::{Access, SnapshotFile},
    scan::select,
};
use crate::{port::KeyTime, store::StoreError};

/// Rows that are decoded at once.
const BATCH: usize = 8_192;

impl Snapshot {
    pub(super) fn count_until_blocking(&self, until: i64) -> Result<u64, StoreError> {
        let mut count = 0_i64;
        for range in &self.inner.ranges {
            count += count_in_range(range, until)?;
        }
        for delta in &self.inner.deltas {
            count += count_in_delta(delta, until)?;
        }
        Ok(u64::try_from(count).unwrap_or_default())
    }

    pub(super) fn keys_between_blocking(
        &self,
        after: i64,
        until: i64,
    ) -> Result<Vec<KeyTime>, StoreError> {
        let mut found = Vec::new();
        let mut over = View::new(Vec::new(), self.deltas().collect(), Breadth::Thin, "", None)?;
        let within = |modified: i64| after < modified && modified <= until;
        let take_delta = |over: &View, found: &mut Vec<KeyTime>| {
            if let Some(head) = over.head()
                && head.visible()
                && within(head.row.modified)
            {
                found.push(KeyTime { key: head.row.key.to_owned(), modified: head.row.modified });
            }
        };
        for range in &self.inner.ranges {
            let pages: Vec<Range<u64>> = range
                .modified_pages()
                .into_iter()
                .filter(|page| page.bounds.is_none_or(|(min, max)| max > after && min <= until))
                .map(|page| page.rows)
                .collect();
            if pages.is_empty() {
                continue;
            }
            let selection = select(pages, range.row_count());
            for batch in range.read(&[KEY, MODIFIED], Some(selection), BATCH, Access::Scan)? {
                let batch = batch?;
                let times = times(&batch, "modified", range)?;
                let keys = batch.column_by_name("key").and_then(|c| c.as_string_opt::<i32>());
                let keys = keys.ok_or_else(|| range.unreadable("it has no column of keys"))?;
                for index in (0..times.len()).filter(|&index| within(times.value(index))) {
                    let key = keys.value(index);
                    while over.key().is_some_and(|delta| delta < key) {
                        take_delta(&over, &mut found);
                        over.advance()?;
                    }
                    // What a delta holds is the delta's to tell.
                    if over.key() != Some(key) {
                        let modified = times.value(index);
                        found.push(KeyTime { key: key.to_owned(), modified });
                    }
                }
            }
        }
        while over.key().is_some() {
            take_delta(&over, &mut found);
            over.advance()?;
        }
        Ok(found)
    }
}

fn times<'b>(
    batch: &'b RecordBatch,
    name: &str,
    file: &SnapshotFile,
) -> Result<&'b Int64Array, StoreError> {
    let times = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
    times.ok_or_else(|| file.unreadable("it has no column of change times"))
}

fn count_in_range(file: &Arc<SnapshotFile>, until: i64) -> Result<i64, StoreError> {
    let mut count = 0_u64;
    let mut undecided = Vec::new();
    for page in file.modified_pages() {
        match page.bounds {
            Some((_, max)) if max <= until => count += page.rows.end - page.rows.start,
            Some((min, _)) if min > until => {}
            _ => undecided.push(page.rows),
        }
    }
    if !undecided.is_empty() {
        let selection = select(undecided, file.row_count());
        for batch in file.read(&[MODIFIED], Some(selection), BATCH, Access::Scan)? {
            let batch = batch?;
            let times = times(&batch, "modified", file)?;
            count += times.values().iter().filter(|&&time| time <= until).count() as u64;
        }
    }
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

fn count_in_delta(file: &Arc<SnapshotFile>, until: i64) -> Result<i64, StoreError> {
    let gone = Standing::Gone.code();
    let mut count = 0;
    for batch in file.read(&[STATE, MODIFIED, REPLACED], None, BATCH, Access::Scan)? {
        let batch = batch?;
        let states = batch.column_by_name("state").and_then(|c| c.as_primitive_opt());
        let states: &arrow_array::UInt8Array =
            states.ok_or_else(|| file.unreadable("it has no column of states"))?;
        let modified = times(&batch, "modified", file)?;
        let replaced = times(&batch, "replaced", file)?;
        for index in 0..batch.num_rows() {
            if states.value(index) != gone && modified.value(index) <= until {
                count += 1;
            }
            if replaced.is_valid(index) && replaced.value(index) <= until {
                count -= 1;
            }
        }
    }
    Ok(count)
}
