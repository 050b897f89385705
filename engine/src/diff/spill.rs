//! Entries on disk, by partition of keys.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use super::entry::{self, Entry};

/// The most bytes of a partition that are collected before they are written.
const BLOCK_MAX: usize = 64 * 1024;

/// Less would make more writes than they are worth.
const BLOCK_MIN: usize = 4 * 1024;

/// Takes entries of one thread.
pub(super) struct SpillWriter {
    file: File,
    end: u64,
    block: usize,
    partitions: Vec<Part>,
}

#[derive(Default)]
struct Part {
    pending: Vec<u8>,
    segments: Vec<Segment>,
    entry_count: u64,
}

/// Whole entries that lie together.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    len: usize,
}

impl SpillWriter {
    /// Into a file without a name in `folder`, with `memory` bytes for what is collected.
    pub(super) fn new(folder: &Path, partitions: usize, memory: usize) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(folder)?,
            end: 0,
            block: (memory / partitions.max(1)).clamp(BLOCK_MIN, BLOCK_MAX),
            partitions: (0..partitions).map(|_| Part::default()).collect(),
        })
    }

    pub(super) fn push(
        &mut self,
        partition: usize,
        key: &[u8],
        entry: &Entry<'_>,
    ) -> io::Result<()> {
        let part = &mut self.partitions[partition];
        entry::encode(key, entry, &mut part.pending);
        part.entry_count += 1;
        if part.pending.len() >= self.block { self.flush(partition) } else { Ok(()) }
    }

    fn flush(&mut self, partition: usize) -> io::Result<()> {
        let part = &mut self.partitions[partition];
        let len = part.pending.len();
        if len > 0 {
            self.file.write_all_at(&part.pending, self.end)?;
            part.segments.push(Segment { offset: self.end, len });
            self.end += len as u64;
            part.pending.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<(File, Vec<Part>)> {
        (0..self.partitions.len()).try_for_each(|partition| self.flush(partition))?;
        for part in &mut self.partitions {
            part.pending = Vec::new();
        }
        Ok((self.file, self.partitions))
    }
}

/// What several threads spilled.
pub(super) struct Spill {
    parts: Vec<(File, Vec<Part>)>,
}

impl Spill {
    pub(super) fn of(writers: Vec<SpillWriter>) -> io::Result<Self> {
        let parts = writers.into_iter().map(SpillWriter::finish).collect::<io::Result<_>>()?;
        Ok(Self { parts })
    }

    fn partition(&self, partition: usize) -> impl Iterator<Item = (&File, &Part)> {
        self.parts.iter().filter_map(move |(file, parts)| Some((file, parts.get(partition)?)))
    }

    pub(super) fn bytes(&self, partition: usize) -> u64 {
        let segments = self.partition(partition).flat_map(|(_, part)| &part.segments);
        segments.map(|segment| segment.len as u64).sum()
    }

    pub(super) fn entry_count(&self, partition: usize) -> u64 {
        self.partition(partition).map(|(_, part)| part.entry_count).sum()
    }

    /// Hands the entries of a partition over, some at a time.
    pub(super) fn read<E: From<io::Error>>(
        &self,
        partition: usize,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = Vec::new();
        for (file, part) in self.partition(partition) {
            for segment in &part.segments {
                buffer.resize(segment.len, 0);
                file.read_exact_at(&mut buffer, segment.offset)?;
                each(&buffer)?;
            }
        }
        Ok(())
    }
}
