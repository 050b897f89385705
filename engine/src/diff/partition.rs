//! How the keys are divided, so that each part can be compared in memory and by a thread of its
//! own.

use std::ops::Range;

use tidemark_model::entry::RangeFile;

use super::{DiffError, DiffRequest, entry::ReadingPlace};
use crate::snapshot::Layout;

/// Pages that are looked at to learn how the keys of a listing lie.
const SAMPLED_PAGES: usize = 40;

/// Pages that are looked at to learn whether the base's ranges will do.
const GLANCED_PAGES: usize = 4;

/// What an entry takes in memory beside its texts, in bytes, about.
const ENTRY_BYTES: u64 = size_of::<ReadingPlace>() as u64 + 50;

/// How the keys are divided.
///
/// A partition is what is held in memory at once; a job is one or more neighbouring partitions
/// that one thread merges and whose rows go into the same files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where each partition begins; the first one with the empty key.
    froms: Vec<String>,
    pub(super) jobs: Vec<Job>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) partitions: Range<usize>,
    /// The base's range files that hold the job's keys and no others; `None` where the job cuts
    /// through them. Then all its rows are written anew.
    pub(super) ranges: Option<Range<usize>>,
}

impl Plan {
    /// Divides the keys by the base's ranges, or by the pages where these show much more than the
    /// base. `memory`: bytes of entries that a partition should have.
    pub(super) fn of(request: &DiffRequest, memory: u64) -> Result<Self, DiffError> {
        let ranges = request.base.as_ref().map_or(&[][..], |base| &base.files().ranges);
        let base_rows = ranges.iter().map(|range| range.file.row_count).sum::<u64>();
        if base_rows > 0 {
            let glance = Sample::of(request, GLANCED_PAGES)?;
            if glance.rows <= base_rows.saturating_mul(2) {
                return Ok(Self::by_ranges(ranges, &glance, &request.layout, memory));
            }
        }
        let sample = Sample::of(request, SAMPLED_PAGES)?;
        Ok(Self::by_sample(sample, base_rows, &request.layout, memory))
    }

    /// Neighbouring ranges that one range file could hold are one job; its partitions are those
    /// of a reading that the base knows for the most part.
    fn by_ranges(ranges: &[RangeFile], glance: &Sample, layout: &Layout, memory: u64) -> Self {
        let mut jobs: Vec<Range<usize>> = Vec::new();
        let mut rows = 0;
        for (index, range) in ranges.iter().enumerate() {
            rows += range.file.row_count;
            match jobs.last_mut() {
                Some(job) if rows <= layout.range_rows => job.end = index + 1,
                _ => {
                    rows = range.file.row_count;
                    jobs.push(index..index + 1);
                }
            }
        }
        let begin = |range: usize| match ranges.get(range) {
            Some(first) if range > 0 => &*first.from_key,
            _ => "",
        };
        let mut plan = Self { froms: Vec::new(), jobs: Vec::new() };
        for ranges in jobs {
            let (from, to) = (begin(ranges.start), begin(ranges.end));
            let within = |key: &&String| ***key >= *from && (to.is_empty() || ***key < *to);
            let keys: Vec<String> = glance.keys.iter().filter(within).cloned().collect();
            let texts: usize = keys.iter().map(String::len).sum();
            let bytes = glance.scaled(texts as u64 + keys.len() as u64 * ENTRY_BYTES);
            let count = usize::try_from(bytes.div_ceil(memory.max(1))).unwrap_or(usize::MAX);
            let first = plan.froms.len();
            plan.froms.push(from.to_owned());
            plan.froms.extend(quantiles(keys, count.max(1)));
            plan.jobs.push(Job { partitions: first..plan.froms.len(), ranges: Some(ranges) });
        }
        plan
    }

    fn by_sample(sample: Sample, base_rows: u64, layout: &Layout, memory: u64) -> Self {
        let count = |count: u64| usize::try_from(count.max(1)).unwrap_or(usize::MAX);
        // A fifth less than a file holds: most jobs that are larger than they should be still are
        // one file.
        let file_rows = (layout.range_rows / 5 * 4).max(1);
        let by_rows = count((sample.rows + base_rows).div_ceil(file_rows));
        let by_bytes = count(sample.bytes.div_ceil(memory.max(1)));
        // As many partitions for each job, so that its files are full.
        let of_job = by_bytes.div_ceil(by_rows);
        let mut froms = quantiles(sample.keys, by_rows.saturating_mul(of_job));
        froms.insert(0, String::new());
        let partitions = froms.len();
        let jobs = (0..partitions).step_by(of_job);
        let jobs = jobs.map(|begin| begin..(begin + of_job).min(partitions));
        let jobs = jobs.map(|partitions| Job { partitions, ranges: None }).collect();
        Self { froms, jobs }
    }

    pub(super) fn partition_count(&self) -> usize {
        self.froms.len()
    }

    /// The partition that a key belongs to.
    pub(super) fn partition_of(&self, key: &str) -> usize {
        self.froms.partition_point(|from| **from <= *key).saturating_sub(1)
    }

    /// The least key that may belong to a partition.
    pub(super) fn from(&self, partition: usize) -> &str {
        self.froms.get(partition).map_or("", String::as_str)
    }

    /// Where the partitions before this one end; `None` if all keys belong to them.
    pub(super) fn until(&self, partition: usize) -> Option<&str> {
        self.froms.get(partition).map(String::as_str)
    }
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
    /// Of entries that carry their records.
    bytes: u64,
    page_count: u64,
    sampled_count: u64,
}

impl Sample {
    fn of(request: &DiffRequest, pages: usize) -> Result<Self, DiffError> {
        let count = request.pages.page_count();
        let looked_at = count.min(pages);
        let mut sample = Self {
            keys: Vec::new(),
            rows: 0,
            bytes: 0,
            page_count: count as u64,
            sampled_count: looked_at.max(1) as u64,
        };
        for index in 0..looked_at {
            for row in request.pages.page(index * count / looked_at)?.rows {
                let texts = row.key.len() + row.id.len() + row.record.len();
                sample.bytes += texts as u64 + ENTRY_BYTES;
                sample.keys.push(row.key);
            }
        }
        sample.rows = sample.scaled(sample.keys.len() as u64);
        sample.bytes = sample.scaled(sample.bytes);
        Ok(sample)
    }

    /// What is so much in the sampled pages is so much in all.
    fn scaled(&self, value: u64) -> u64 {
        value.saturating_mul(self.page_count) / self.sampled_count
    }
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
