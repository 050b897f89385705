//! The change set of a run: batches of writes and removals, ready to be sent, durable before the
//! first one is.
//!
//! An index names the data objects and the batches in them, removals first: an id that is written
//! is never removed after. Each batch is a zstd frame with a checksum of its own; in it, of each
//! record, its key, its id and the record itself, which a removal leaves empty.

mod removals;
mod write;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::GetRange;
use serde::{Deserialize, Serialize};
use tidemark_model::entry::{FORMAT, FileRef};

pub use removals::{Chosen, Parted};
pub(super) use write::{ChangeWriter, NewChanges};

use super::entry::take_text;
use crate::{
    port::{Batch, BatchKind, Write},
    snapshot::read_part,
    store::{Folder, StoreError},
};

/// Bytes that are read at once where all batches are. A destination that removes records one by one
/// has a batch for each.
const READ_AT_ONCE: u64 = 1024 * 1024;

/// A change set, opened. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    folder: Folder,
    path: Arc<str>,
    index: Arc<Index>,
}

/// The index object.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    format: u32,
    files: Vec<FileRef>,
    batches: Vec<BatchRef>,
}

/// A batch of a change set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRef {
    pub kind: BatchKind,
    pub record_count: u64,
    /// Which of the index's files it is in.
    file: usize,
    offset: u64,
    /// Compressed.
    length: u64,
    /// Uncompressed.
    bytes: usize,
    /// BLAKE3 over the compressed bytes, hexadecimal.
    checksum: String,
}

/// A key whose record may stand at the destination otherwise than the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DirtyKey {
    /// The source's key.
    pub key: String,
    /// The id of the record.
    pub id: String,
}

impl ChangeSet {
    /// Reads the index that a `prepared` entry names.
    ///
    /// # Errors
    /// `Missing`, `Damaged` or `NewerFormat` with the object's name, or the store's.
    pub async fn open(folder: &Folder, index: &FileRef) -> Result<Self, StoreError> {
        let content = folder.read(index).await?;
        let damaged = |error: serde_json::Error| StoreError::Damaged {
            path: index.path.clone(),
            // serde's words could quote what the object holds.
            reason: format!("it is no index of a change set (line {})", error.line()),
        };
        let format: Format = serde_json::from_slice(&content).map_err(damaged)?;
        if format.format > FORMAT {
            let path = index.path.clone();
            return Err(StoreError::NewerFormat { path, format: format.format, known: FORMAT });
        }
        let parsed: Index = serde_json::from_slice(&content).map_err(damaged)?;
        Ok(Self {
            folder: folder.clone(),
            path: index.path.as_str().into(),
            index: Arc::new(parsed),
        })
    }

    /// The batches, in the order in which they are sent.
    #[must_use]
    pub fn batches(&self) -> &[BatchRef] {
        &self.index.batches
    }

    /// The data objects.
    #[must_use]
    pub fn files(&self) -> &[FileRef] {
        &self.index.files
    }

    /// Records in all batches.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.index.batches.iter().map(|batch| batch.record_count).sum()
    }

    /// Reads and verifies a batch.
    ///
    /// # Errors
    /// `Missing` or `Damaged` with the object's name, or the store's. A number beyond the last
    /// batch's is `Damaged` too: the books do not fit the index.
    pub async fn load(&self, number: usize) -> Result<Batch, StoreError> {
        let mut batches = self.read(number..number.saturating_add(1)).await?;
        batches.next().unwrap_or_else(|| Err(self.without(number)))
    }

    /// All batches, in the order in which they are sent.
    pub fn all(&self) -> impl Stream<Item = Result<Batch, StoreError>> + Send + '_ {
        let stretches = stream::iter(self.stretches());
        stretches.then(move |stretch| self.read(stretch)).map_ok(stream::iter).try_flatten()
    }

    /// The batches in stretches that are read at once: each lies in one file, without a gap.
    fn stretches(&self) -> impl Iterator<Item = Range<usize>> + Send + '_ {
        let batches = &self.index.batches;
        let mut next = 0;
        std::iter::from_fn(move || {
            let (begin, first) = (next, batches.get(next)?);
            let mut end = first.offset + first.length;
            next += 1;
            while let Some(batch) = batches.get(next)
                && (batch.file, batch.offset) == (first.file, end)
                && end + batch.length - first.offset <= READ_AT_ONCE
            {
                end += batch.length;
                next += 1;
            }
            Some(begin..next)
        })
    }

    /// Reads a stretch; its batches are verified one by one.
    async fn read(
        &self,
        stretch: Range<usize>,
    ) -> Result<impl Iterator<Item = Result<Batch, StoreError>> + Send + '_, StoreError> {
        let begin = stretch.start;
        let batches = self.index.batches.get(stretch).unwrap_or_default();
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Err(self.without(begin));
        };
        let file = self.index.files.get(first.file).ok_or_else(|| self.without(begin))?;
        let range = GetRange::Bounded(first.offset..last.offset + last.length);
        let mut rest = read_part(&self.folder, file, range).await?;
        Ok((begin..).zip(batches).map(move |(number, batch)| {
            let length = usize::try_from(batch.length).unwrap_or(usize::MAX);
            let frame = rest.split_to(length.min(rest.len()));
            batch.decode(&frame).ok_or_else(|| StoreError::Damaged {
                path: file.path.clone(),
                reason: format!("batch {number} is not what was written"),
            })
        }))
    }

    fn without(&self, number: usize) -> StoreError {
        let reason = format!("it has no batch {number}");
        StoreError::Damaged { path: self.path.to_string(), reason }
    }

    /// The keys of all records, batch by batch: what may differ at the destination when the run
    /// that sent them did not end.
    pub fn keys(&self) -> impl Stream<Item = Result<Vec<DirtyKey>, StoreError>> + Send + '_ {
        self.all().map_ok(|batch| {
            let keys = batch.writes.into_iter();
            keys.map(|write| DirtyKey { key: write.key, id: write.id }).collect()
        })
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl BatchRef {
    fn decode(&self, frame: &Bytes) -> Option<Batch> {
        if blake3::hash(frame).to_hex().as_str() != self.checksum {
            return None;
        }
        let texts = zstd::bulk::decompress(frame, self.bytes).ok()?;
        let mut rest = &*texts;
        let mut writes = Vec::with_capacity(usize::try_from(self.record_count).ok()?);
        while !rest.is_empty() {
            let mut text = || take_text(&mut rest).ok().map(str::to_owned);
            writes.push(Write { key: text()?, id: text()?, record: text()? });
        }
        (writes.len() as u64 == self.record_count).then_some(Batch { kind: self.kind, writes })
    }
}

#[cfg(test)]
mod tests;
