//! A file of standings on local disk, grouped by a hash of the key, so that many keys need little
//! memory: each group is small enough to be loaded alone.

use std::{
    collections::HashMap, fs::File, hash::BuildHasher, io, os::unix::fs::FileExt, path::Path,
};

use foldhash::fast::RandomState;

use super::{
    page::{Reader, put_text},
    standing::Standing,
};

/// Groups of keys. Ten million keys make groups of 40,000, about 10 MB in memory.
pub(super) const PARTITIONS: usize = 256;
/// What a group collects before it is written: 4 MiB for all groups.
const BLOCK_BYTES: usize = 16 * 1024;

/// The file, and where in it the blocks of each group are. It has no name on the disk, so it
/// vanishes with the process.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    end: u64,
    /// Says which group a key belongs to. What looks keys up inside a group hashes otherwise: there
    /// a part of this hash is the same for all.
    hasher: RandomState,
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    blocks: Vec<Block>,
    pending: Vec<u8>,
    /// How often something was added.
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    offset: u64,
    length: usize,
}

impl Spill {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file, end: 0, hasher: RandomState::default(), partitions })
    }

    pub(super) fn add(&mut self, key: &str, standing: &Standing) -> io::Result<()> {
        let index = self.partition_of(key);
        let partition = self.partitions.get_mut(index).expect("a hash names a partition");
        put_text(&mut partition.pending, key);
        standing.put(&mut partition.pending);
        partition.count += 1;
        if partition.pending.len() >= BLOCK_BYTES {
            self.file.write_all_at(&partition.pending, self.end)?;
            let length = partition.pending.len();
            partition.blocks.push(Block { offset: self.end, length });
            partition.pending.clear();
            self.end += length as u64;
        }
        Ok(())
    }

    /// The group that a key belongs to.
    pub(super) fn partition_of(&self, key: &str) -> usize {
        let [first, ..] = self.hasher.hash_one(key).to_be_bytes();
        usize::from(first)
    }

    /// Shows each key of a group once, with all that was added for it.
    pub(super) fn for_each(
        &self,
        index: usize,
        bytes: &mut Vec<u8>,
        mut show: impl FnMut(&str, &Standing),
    ) -> io::Result<()> {
        let count = self.load(index, bytes)?;
        let mut keys: HashMap<&str, Standing, RandomState> =
            HashMap::with_capacity_and_hasher(count, RandomState::default());
        each(bytes, |key, standing| keys.entry(key).or_default().merge(standing))?;
        keys.iter().for_each(|(key, standing)| show(key, standing));
        Ok(())
    }

    /// How some keys of a group stand, in their order; `None` for one that was not added.
    pub(super) fn find(
        &self,
        index: usize,
        bytes: &mut Vec<u8>,
        asked: &[&str],
    ) -> io::Result<Vec<Option<Standing>>> {
        self.load(index, bytes)?;
        let mut found: HashMap<&str, Option<Standing>, RandomState> =
            asked.iter().map(|key| (*key, None)).collect();
        each(bytes, |key, standing| {
            if let Some(known) = found.get_mut(key) {
                known.get_or_insert_default().merge(standing);
            }
        })?;
        Ok(asked.iter().map(|key| found.get(key).copied().flatten()).collect())
    }

    /// Puts all that was added to a group into `bytes`, in the place of what is there; how often
    /// something was.
    fn load(&self, index: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let partition = self.partitions.get(index).expect("the index is below PARTITIONS");
        bytes.clear();
        for block in &partition.blocks {
            let begin = bytes.len();
            bytes.resize(begin + block.length, 0);
            let piece = bytes.get_mut(begin..).expect("it was just made so long");
            self.file.read_exact_at(piece, block.offset)?;
        }
        bytes.extend_from_slice(&partition.pending);
        Ok(partition.count)
    }
}

/// Takes what was added off the front of bytes.
fn each<'b>(bytes: &'b [u8], mut take: impl FnMut(&'b str, Standing)) -> io::Result<()> {
    let mut bytes = Reader(bytes);
    while !bytes.is_empty() {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the spill file is damaged");
        let key = bytes.text().ok_or_else(damaged)?;
        let standing = Standing::get(&mut bytes).ok_or_else(damaged)?;
        take(key, standing);
    }
    Ok(())
}
