//! A file of standings on local disk, grouped by a hash of the key, so that many keys need little
//! memory: each group is small enough to be loaded alone.

use std::{
    collections::HashMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

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
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    blocks: Vec<Block>,
    pending: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    offset: u64,
    length: usize,
}

impl Spill {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let partitions = (0..PARTITIONS).map(|_| Partition::default()).collect();
        Ok(Self { file: tempfile::tempfile_in(folder)?, end: 0, partitions })
    }

    pub(super) fn add(&mut self, key: &str, standing: &Standing) -> io::Result<()> {
        let partition =
            self.partitions.get_mut(partition_of(key)).expect("a hash names a partition");
        put_text(&mut partition.pending, key);
        standing.put(&mut partition.pending);
        if partition.pending.len() >= BLOCK_BYTES {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&partition.pending)?;
            let length = partition.pending.len();
            partition.blocks.push(Block { offset: self.end, length });
            partition.pending.clear();
            self.end += length as u64;
        }
        Ok(())
    }

    /// A group of keys, each with all that was added for it.
    pub(super) fn partition(&self, index: usize) -> io::Result<HashMap<Box<str>, Standing>> {
        let partition = self.partitions.get(index).expect("the index is below PARTITIONS");
        let mut keys = HashMap::new();
        let mut file = &self.file;
        let mut bytes = Vec::new();
        for block in &partition.blocks {
            bytes.resize(block.length, 0);
            file.seek(SeekFrom::Start(block.offset))?;
            file.read_exact(&mut bytes)?;
            merge(&mut keys, &bytes)?;
        }
        merge(&mut keys, &partition.pending)?;
        Ok(keys)
    }
}

/// The group that a key belongs to.
pub(super) fn partition_of(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::from(hasher.finish().to_le_bytes().first().copied().unwrap_or_default())
}

fn merge(keys: &mut HashMap<Box<str>, Standing>, bytes: &[u8]) -> io::Result<()> {
    let mut bytes = Reader(bytes);
    while !bytes.is_empty() {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the spill file is damaged");
        let key = bytes.text().ok_or_else(damaged)?;
        let standing = Standing::get(&mut bytes).ok_or_else(damaged)?;
        keys.entry(key.into()).or_default().merge(standing);
    }
    Ok(())
}
