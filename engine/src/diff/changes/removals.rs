//! Taking removals out of a change set, for those that wait for an operator.
//!
//! Indexes only name batches, so most of this moves no data. Where single removals are chosen,
//! new batches are written; however many there are, only so many ids are in memory at once.

use std::collections::HashSet;

use bytes::Bytes;
use futures::TryStreamExt;
use tidemark_model::entry::{FORMAT, FileRef};

use super::{BatchRef, ChangeSet, DirtyKey, Index, write::LEVEL};
use crate::{
    diff::{BatchLimits, entry::put_text},
    port::BatchKind,
    store::{Folder, StoreError, Upload},
};

/// Ids that are held in memory at once.
const IDS_AT_ONCE: u64 = 100_000;

/// Which removals are meant.
#[derive(Clone, Debug)]
pub enum Chosen {
    Ids(HashSet<String>),
    /// Those whose ids stand in a change set, whatever that does with them.
    In(ChangeSet),
}

/// A change set in two parts; a part without batches is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    pub chosen: Option<FileRef>,
    pub others: Option<FileRef>,
}

impl ChangeSet {
    /// Parts the set into its removals and its writes, under `name`, which no other attempt may
    /// use.
    ///
    /// # Errors
    /// The store's.
    pub async fn part_removals(&self, name: &str) -> Result<Parted, StoreError> {
        let removals = self.index.of_kind(BatchKind::Remove);
        let writes = self.index.of_kind(BatchKind::Write);
        Ok(Parted {
            chosen: removals.write(&self.folder, &format!("changes/{name}/removals.json")).await?,
            others: writes.write(&self.folder, &format!("changes/{name}/writes.json")).await?,
        })
    }

    /// The batches of several sets as one set, each kind in the order of the sets.
    ///
    /// # Errors
    /// The store's.
    pub async fn join(
        folder: &Folder,
        sets: &[Self],
        path: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        let mut joined = Index { format: FORMAT, files: Vec::new(), batches: Vec::new() };
        for set in sets {
            let first = joined.files.len();
            joined.files.extend(set.index.files.iter().cloned());
            let batches = set.index.batches.iter().cloned();
            joined
                .batches
                .extend(batches.map(|batch| BatchRef { file: first + batch.file, ..batch }));
        }
        joined.batches.sort_by_key(|batch| batch.kind == BatchKind::Write);
        joined.write(folder, path).await
    }

    /// A set of removals, under `name`, which no other attempt may use; none if there are none.
    ///
    /// # Errors
    /// The store's.
    pub async fn of_removals(
        folder: &Folder,
        removals: Vec<DirtyKey>,
        limits: BatchLimits,
        name: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        let mut new = Removals::new(folder, format!("changes/{name}"), limits);
        for removal in &removals {
            new.push(removal).await?;
        }
        new.finish().await
    }

    /// Parts a set of removals into those that are chosen and all others, in batches of the
    /// destination's size, under `name`, which no other attempt may use.
    ///
    /// # Errors
    /// The store's.
    pub async fn part(
        &self,
        chosen: &Chosen,
        limits: BatchLimits,
        name: &str,
    ) -> Result<Parted, StoreError> {
        let new = |part| Removals::new(&self.folder, format!("changes/{name}/{part}"), limits);
        let (mut inside, mut outside) = (new("chosen"), new("others"));
        let pass_count = match chosen {
            Chosen::Ids(_) => 1,
            Chosen::In(set) => set.record_count().div_ceil(IDS_AT_ONCE).max(1),
        };
        for pass in 0..pass_count {
            let of_pass = |id: &str| pass_count == 1 || pass_of(id, pass_count) == pass;
            let loaded;
            let ids = match chosen {
                Chosen::Ids(ids) => ids,
                Chosen::In(set) => {
                    loaded = ids(set, &of_pass).await?;
                    &loaded
                }
            };
            let mut keys = std::pin::pin!(self.keys());
            while let Some(batch) = keys.try_next().await? {
                for removal in batch.into_iter().filter(|removal| of_pass(&removal.id)) {
                    let part = if ids.contains(&removal.id) { &mut inside } else { &mut outside };
                    part.push(&removal).await?;
                }
            }
        }
        Ok(Parted { chosen: inside.finish().await?, others: outside.finish().await? })
    }
}

async fn ids(
    set: &ChangeSet,
    of_pass: &impl Fn(&str) -> bool,
) -> Result<HashSet<String>, StoreError> {
    let mut ids = HashSet::new();
    let mut keys = std::pin::pin!(set.keys());
    while let Some(batch) = keys.try_next().await? {
        ids.extend(batch.into_iter().map(|dirty| dirty.id).filter(|id| of_pass(id)));
    }
    Ok(ids)
}

/// The pass in which an id is looked at.
fn pass_of(id: &str, pass_count: u64) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u64::from(u32::from_le_bytes([a, b, c, d])) % pass_count
}

impl Index {
    /// Its batches of one kind, and the files that these need.
    fn of_kind(&self, kind: BatchKind) -> Self {
        let mut part = Self { format: FORMAT, files: Vec::new(), batches: Vec::new() };
        let mut places = vec![None; self.files.len()];
        for batch in self.batches.iter().filter(|batch| batch.kind == kind) {
            let Some(place) = places.get_mut(batch.file) else { continue };
            let file = *place.get_or_insert_with(|| {
                part.files.extend(self.files.get(batch.file).cloned());
                part.files.len() - 1
            });
            part.batches.push(BatchRef { file, ..batch.clone() });
        }
        part
    }

    /// Makes it durable; nothing if it has no batch.
    pub(super) async fn write(
        &self,
        folder: &Folder,
        path: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        if self.batches.is_empty() {
            return Ok(None);
        }
        let record_count = self.batches.iter().map(|batch| batch.record_count).sum();
        let content = serde_json::to_vec(self).expect("an index is plain JSON");
        folder.write(path, Bytes::from(content), record_count).await.map(Some)
    }
}

/// Removals on their way into batches.
struct Removals<'f> {
    folder: &'f Folder,
    prefix: String,
    limits: BatchLimits,
    texts: Vec<u8>,
    record_count: u64,
    id_bytes: usize,
    upload: Option<(Upload, u64)>,
    batches: Vec<BatchRef>,
}

impl<'f> Removals<'f> {
    fn new(folder: &'f Folder, prefix: String, limits: BatchLimits) -> Self {
        Self {
            folder,
            prefix,
            limits,
            texts: Vec::new(),
            record_count: 0,
            id_bytes: 0,
            upload: None,
            batches: Vec::new(),
        }
    }

    async fn push(&mut self, removal: &DirtyKey) -> Result<(), StoreError> {
        let full = self.record_count >= self.limits.removal_records.max(1) as u64
            || self.id_bytes + removal.id.len() > self.limits.bytes;
        if full {
            self.seal().await?;
        }
        for text in [removal.key.as_str(), removal.id.as_str(), ""] {
            put_text(text, &mut self.texts);
        }
        self.record_count += 1;
        self.id_bytes += removal.id.len();
        Ok(())
    }

    async fn seal(&mut self) -> Result<(), StoreError> {
        if self.record_count == 0 {
            return Ok(());
        }
        let texts = std::mem::take(&mut self.texts);
        let frame = zstd::bulk::compress(&texts, LEVEL).expect("memory takes any frame");
        let (upload, offset) = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let upload = self.folder.upload(&format!("{}.zst", self.prefix)).await?;
                none.insert((upload, 0))
            }
        };
        self.batches.push(BatchRef {
            kind: BatchKind::Remove,
            record_count: self.record_count,
            file: 0,
            offset: *offset,
            length: frame.len() as u64,
            bytes: texts.len(),
            checksum: blake3::hash(&frame).to_hex().to_string(),
        });
        *offset += frame.len() as u64;
        upload.write(&frame).await?;
        (self.record_count, self.id_bytes) = (0, 0);
        Ok(())
    }

    async fn finish(mut self) -> Result<Option<FileRef>, StoreError> {
        self.seal().await?;
        let Some((upload, _)) = self.upload.take() else { return Ok(None) };
        let record_count = self.batches.iter().map(|batch| batch.record_count).sum();
        let file = upload.finish(record_count).await?;
        let index = Index { format: FORMAT, files: vec![file], batches: self.batches };
        index.write(self.folder, &format!("{}.json", self.prefix)).await
    }
}
