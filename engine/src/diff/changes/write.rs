//! Writing a change set.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tidemark_model::entry::{FORMAT, FileRef};
use zstd::bulk::Compressor;

use super::{BatchRef, Index};
use crate::{
    blocking::Runtime,
    diff::{BatchLimits, entry::put_text},
    port::BatchKind,
    store::{Folder, StoreError, Upload},
};

/// How hard frames are compressed: they are read once or twice. Half the time of level 1, a fifth
/// more bytes.
pub(super) const LEVEL: i32 = -3;

/// Where a new change set goes. Shared by the writers of an attempt.
#[derive(Clone, Debug)]
pub(in crate::diff) struct NewChanges {
    folder: Folder,
    runtime: Runtime,
    prefix: String,
    limits: BatchLimits,
    counter: Arc<AtomicUsize>,
}

impl NewChanges {
    pub(in crate::diff) fn new(
        folder: &Folder,
        runtime: &Runtime,
        limits: BatchLimits,
        name: &str,
    ) -> Self {
        Self {
            folder: folder.clone(),
            runtime: runtime.clone(),
            prefix: format!("changes/{name}"),
            limits,
            counter: Arc::default(),
        }
    }

    pub(in crate::diff) fn writer(&self) -> ChangeWriter {
        ChangeWriter {
            new: self.clone(),
            removals: Open::default(),
            writes: Open::default(),
            compressor: Compressor::new(LEVEL).expect("zstd knows the level"),
            file: None,
            batches: Vec::new(),
        }
    }

    /// Ends the change set that several writers wrote; its index, if there is anything in it, and
    /// how many batches it has. What the writers have left over is put together, so that few
    /// changes are few batches.
    pub(in crate::diff) fn finish(
        &self,
        writers: Vec<ChangeWriter>,
    ) -> Result<(Option<FileRef>, u64), StoreError> {
        let mut last = self.writer();
        let mut files = Vec::new();
        let mut batches = Vec::new();
        for mut writer in writers {
            last.take_over(BatchKind::Remove, &writer.removals)?;
            last.take_over(BatchKind::Write, &writer.writes)?;
            writer.close(&mut files, &mut batches)?;
        }
        last.seal(BatchKind::Remove)?;
        last.seal(BatchKind::Write)?;
        last.close(&mut files, &mut batches)?;
        // Stable: within a kind the batches stay as they were written.
        batches.sort_by_key(|batch| batch.kind == BatchKind::Write);
        let batch_count = batches.len() as u64;
        let index = Index { format: FORMAT, files, batches };
        let path = format!("{}/index.json", self.prefix);
        Ok((self.runtime.block_on(index.write(&self.folder, &path))?, batch_count))
    }
}

/// Collects changes into batches and writes full ones. Blocking; one per thread.
pub(in crate::diff) struct ChangeWriter {
    new: NewChanges,
    removals: Open,
    writes: Open,
    compressor: Compressor<'static>,
    file: Option<(Upload, u64)>,
    batches: Vec<BatchRef>,
}

/// A batch that is not full.
#[derive(Default)]
struct Open {
    texts: Vec<u8>,
    /// For each record where it ends, and the bytes that count against the limit.
    ends: Vec<(usize, usize)>,
    bytes: usize,
}

impl ChangeWriter {
    pub(in crate::diff) fn write(
        &mut self,
        key: &str,
        id: &str,
        record: &str,
    ) -> Result<(), StoreError> {
        self.add(BatchKind::Write, key, id, Some(record))
    }

    pub(in crate::diff) fn remove(&mut self, key: &str, id: &str) -> Result<(), StoreError> {
        self.add(BatchKind::Remove, key, id, None)
    }

    fn add(
        &mut self,
        kind: BatchKind,
        key: &str,
        id: &str,
        record: Option<&str>,
    ) -> Result<(), StoreError> {
        let bytes = record.map_or(id.len(), str::len);
        self.make_room(kind, bytes)?;
        let open = self.open(kind);
        for text in [key, id, record.unwrap_or_default()] {
            put_text(text, &mut open.texts);
        }
        open.end(bytes);
        Ok(())
    }

    fn open(&mut self, kind: BatchKind) -> &mut Open {
        match kind {
            BatchKind::Remove => &mut self.removals,
            BatchKind::Write => &mut self.writes,
        }
    }

    fn make_room(&mut self, kind: BatchKind, bytes: usize) -> Result<(), StoreError> {
        let limits = self.new.limits;
        let records = match kind {
            BatchKind::Remove => limits.removal_records,
            BatchKind::Write => limits.write_records,
        };
        let open = self.open(kind);
        let full = open.ends.len() >= records.max(1) || open.bytes + bytes > limits.bytes;
        if full && !open.ends.is_empty() { self.seal(kind) } else { Ok(()) }
    }

    fn take_over(&mut self, kind: BatchKind, other: &Open) -> Result<(), StoreError> {
        let mut begin = 0;
        for &(end, bytes) in &other.ends {
            self.make_room(kind, bytes)?;
            let open = self.open(kind);
            open.texts.extend_from_slice(other.texts.get(begin..end).unwrap_or_default());
            open.end(bytes);
            begin = end;
        }
        Ok(())
    }

    /// Writes the open batch of a kind, if there is anything in it.
    fn seal(&mut self, kind: BatchKind) -> Result<(), StoreError> {
        let mut open = std::mem::take(self.open(kind));
        if open.ends.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(&open.texts).expect("memory takes any frame");
        let (upload, offset) = match &mut self.file {
            Some(file) => file,
            none => {
                let number = self.new.counter.fetch_add(1, Ordering::Relaxed);
                let path = format!("{}/batches-{number:05}.zst", self.new.prefix);
                let upload = self.new.runtime.block_on(self.new.folder.upload(&path))?;
                none.insert((upload, 0))
            }
        };
        self.batches.push(BatchRef {
            kind,
            record_count: open.ends.len() as u64,
            file: 0,
            offset: *offset,
            length: frame.len() as u64,
            bytes: open.texts.len(),
            checksum: blake3::hash(&frame).to_hex().to_string(),
        });
        *offset += frame.len() as u64;
        self.new.runtime.block_on(upload.write(&frame))?;
        // The next batch is about as large: it goes into the same memory.
        open.clear();
        *self.open(kind) = open;
        Ok(())
    }

    fn close(
        &mut self,
        files: &mut Vec<FileRef>,
        batches: &mut Vec<BatchRef>,
    ) -> Result<(), StoreError> {
        if let Some((upload, _)) = self.file.take() {
            let file = files.len();
            batches.extend(self.batches.drain(..).map(|batch| BatchRef { file, ..batch }));
            let records = batches.iter().filter(|batch| batch.file == file);
            let record_count = records.map(|batch| batch.record_count).sum();
            files.push(self.new.runtime.block_on(upload.finish(record_count))?);
        }
        Ok(())
    }
}

impl Open {
    fn clear(&mut self) {
        self.texts.clear();
        self.ends.clear();
        self.bytes = 0;
    }

    fn end(&mut self, bytes: usize) {
        self.ends.push((self.texts.len(), bytes));
        self.bytes += bytes;
    }
}
