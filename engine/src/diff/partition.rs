//! How the keys are divided, so that each part can be compared in memory and by a thread of its
//! own.

use super::{DiffError, DiffRequest, entry::ReadingPlace};
use crate::snapshot::Layout;

/// Pages that are looked at to learn how the keys of a listing lie.
const SAMPLED_PAGES: usize = 40;

/// Pages that are looked at to learn whether the base's ranges will do.
const GLANCED_PAGES: usize = 3;

/// What an entry takes in memory beside its texts, in bytes, about.
const ENTRY_BYTES: u64 = size_of::<ReadingPlace>() as u64 + 50;

/// A part of the keys: from `from` up to `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) from: String,
    pub(super) to: Option<String>,
    /// Which of the base's range files it consists of; `None` where it cuts through them. Then
    /// its rows are written anew.
    pub(super) ranges: Option<std::ops::Range<usize>>,
}

/// Divides the keys by the base's ranges, or by the pages where these show much more than the
/// base.
pub(super) fn plan(request: &DiffRequest, memory: u64) -> Result<Vec<Partition>, DiffError> {
    let base_rows = request.base.as_ref().map_or(0, |base| {
        base.files().ranges.iter().map(|range| range.file.row_count).sum::<u64>()
    });
    if base_rows > 0 {
        let glance = Sample::of(request, GLANCED_PAGES)?;
        if glance.rows <= base_rows.saturating_mul(2) {
            return Ok(by_ranges(request, &request.layout));
        }
    }
    Ok(by_sample(Sample::of(request, SAMPLED_PAGES)?, base_rows, &request.layout, memory))
}

/// Neighbouring ranges that one range file could hold are one partition.
fn by_ranges(request: &DiffRequest, layout: &Layout) -> Vec<Partition> {
    let ranges = request.base.as_ref().map_or(&[][..], |base| &base.files().ranges);
    let mut partitions: Vec<Partition> = Vec::new();
    let mut rows = 0;
    for (index, range) in ranges.iter().enumerate() {
        let more = range.file.row_count;
        match partitions.last_mut() {
            Some(last) if rows + more <= layout.range_rows => {
                rows += more;
                last.ranges = last.ranges.take().map(|ranges| ranges.start..index + 1);
            }
            last => {
                let mut from = String::new();
                if let Some(last) = last {
                    from.clone_from(&range.from_key);
                    last.to = Some(from.clone());
                }
                rows = more;
                partitions.push(Partition { from, to: None, ranges: Some(index..index + 1) });
            }
        }
    }
    partitions
}

fn by_sample(sample: Sample, base_rows: u64, layout: &Layout, memory: u64) -> Vec<Partition> {
    // A fifth less than a file holds, since quantiles of a sample are not those of the whole.
    let by_rows = (sample.rows + base_rows).div_ceil((layout.range_rows * 4 / 5).max(1));
    let by_bytes = sample.bytes.div_ceil(memory.max(1));
    let count = by_rows.max(by_bytes).max(1);
    let mut bounds = quantiles(sample.keys, usize::try_from(count).unwrap_or(usize::MAX));
    bounds.insert(0, String::new());
    let tos = bounds.iter().skip(1).cloned().map(Some).chain([None]).collect::<Vec<_>>();
    let parts = bounds.into_iter().zip(tos);
    parts.map(|(from, to)| Partition { from, to, ranges: None }).collect()
}

/// Bounds between `count` parts of about as many keys each: ascending, distinct, none of them the
/// least key.
pub(super) fn quantiles(mut keys: Vec<String>, count: usize) -> Vec<String> {
    keys.sort_unstable();
    let least = keys.first().cloned().unwrap_or_default();
    let at = |part: usize| keys.get(keys.len().saturating_mul(part) / count).cloned();
    let mut bounds: Vec<String> =
        if count > keys.len() { keys.clone() } else { (1..count).filter_map(at).collect() };
    bounds.dedup();
    bounds.retain(|bound| *bound > least);
    bounds
}

/// Keys of some pages, and how large the whole reading is, by estimate.
struct Sample {
    keys: Vec<String>,
    rows: u64,
    bytes: u64,
}

impl Sample {
    fn of(request: &DiffRequest, pages: usize) -> Result<Self, DiffError> {
        let count = request.pages.page_count();
        let looked_at = count.min(pages);
        let mut sample = Self { keys: Vec::new(), rows: 0, bytes: 0 };
        for index in 0..looked_at {
            let page = request.pages.page(index * count / looked_at)?;
            sample.rows += page.rows.len() as u64;
            for row in page.rows {
                let texts = row.key.len() + row.id.len() + row.record.len();
                sample.bytes += texts as u64 + ENTRY_BYTES;
                sample.keys.push(row.key);
            }
        }
        let scale = |value: u64| value.saturating_mul(count as u64) / looked_at.max(1) as u64;
        (sample.rows, sample.bytes) = (scale(sample.rows), scale(sample.bytes));
        Ok(sample)
    }
}

/// The partition that a key belongs to.
pub(super) fn partition_of(partitions: &[Partition], key: &str) -> usize {
    partitions.partition_point(|partition| *partition.from <= *key).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_distinct_and_leave_nothing_empty() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(quantiles(keys(&["d", "b", "a", "c"]), 2), ["c"]);
        assert_eq!(quantiles(keys(&["a", "b"]), 10), ["b"]);
        assert_eq!(quantiles(keys(&["a", "a", "a"]), 3), Vec::<String>::new());
        assert_eq!(quantiles(Vec::new(), 3), Vec::<String>::new());
    }
}
