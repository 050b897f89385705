//! Writing a snapshot's files.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{FixedSizeBinaryBuilder, Int64Builder, StringBuilder, UInt8Builder},
};
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    errors::ParquetError,
    file::metadata::KeyValue,
};
use tidemark_model::entry::{FileRef, RangeFile};

use super::{
    Layout,
    block::BlockList,
    columns::{self, DIGEST_LEN, FileKind, FileRow},
};
use crate::{
    blocking::Runtime,
    store::{Folder, StoreError, Upload},
};

/// Rows that are handed to the Parquet writer at once, at most.
const BATCH_ROWS: usize = 1_024;

/// Bytes of keys, ids and records that are handed to the Parquet writer at once, about.
const BATCH_BYTES: usize = 1024 * 1024;

/// Where new files go, and how they are named. Shared by all writers of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct NewFiles {
    pub(crate) folder: Folder,
    pub(crate) runtime: Runtime,
    pub(crate) layout: Layout,
    /// The folder of the new files, below the connection's.
    pub(crate) prefix: String,
    counter: Arc<AtomicU32>,
}

impl NewFiles {
    pub(crate) fn new(folder: &Folder, runtime: &Runtime, layout: Layout, name: &str) -> Self {
        Self {
            folder: folder.clone(),
            runtime: runtime.clone(),
            layout,
            prefix: format!("snapshots/{name}"),
            counter: Arc::default(),
        }
    }

    /// Begins a file. Blocking.
    pub(crate) fn begin(&self, kind: FileKind) -> Result<FileWriter, StoreError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let word = match kind {
            FileKind::Range => "range",
            FileKind::Delta => "delta",
        };
        FileWriter::begin(self, kind, &format!("{}/{word}-{number:05}.parquet", self.prefix))
    }
}

/// Writes a range file or a delta, rows in key order. Blocking.
pub(crate) struct FileWriter {
    kind: FileKind,
    path: String,
    writer: ArrowWriter<Sink>,
    rows: Rows,
    row_count: u64,
    layout: Layout,
    failure: Failure,
}

/// What the store said when it failed.
type Failure = Arc<Mutex<Option<StoreError>>>;

impl FileWriter {
    fn begin(files: &NewFiles, kind: FileKind, path: &str) -> Result<Self, StoreError> {
        let upload = files.runtime.block_on(files.folder.upload(path))?;
        let failure = Failure::default();
        let sink = Sink {
            upload,
            runtime: files.runtime.clone(),
            blocks: BlockList::default(),
            failure: Arc::clone(&failure),
        };
        let options = ArrowWriterOptions::new()
            .with_skip_arrow_metadata(true)
            .with_properties(columns::properties(kind, &files.layout));
        let writer = ArrowWriter::try_new_with_options(sink, kind.schema(), options)
            .map_err(|error| unwritable(path, &error))?;
        Ok(Self {
            kind,
            path: path.to_owned(),
            writer,
            rows: Rows::default(),
            row_count: 0,
            layout: files.layout,
            failure,
        })
    }

    pub(crate) fn row_count(&self) -> u64 {
        self.row_count
    }

    /// About the bytes that the file holds in memory until it is finished.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.writer.in_progress_size() + self.rows.bytes
    }

    /// Adds a row; its key is greater than the one before.
    pub(crate) fn write(&mut self, row: &FileRow<'_>) -> Result<(), StoreError> {
        self.rows.append(row);
        self.row_count += 1;
        if self.rows.count >= BATCH_ROWS || self.rows.bytes >= BATCH_BYTES {
            self.flush_rows()?;
            // A range file is one row group; its writer is closed before it grows beyond this.
            if self.kind == FileKind::Delta && self.pending_bytes() >= self.layout.range_bytes {
                self.attempt(ArrowWriter::flush)?;
            }
        }
        Ok(())
    }

    fn flush_rows(&mut self) -> Result<(), StoreError> {
        if self.rows.count == 0 {
            return Ok(());
        }
        let batch = self.rows.take(self.kind);
        self.attempt(|writer| writer.write(&batch))
    }

    fn attempt<T>(
        &mut self,
        step: impl FnOnce(&mut ArrowWriter<Sink>) -> Result<T, ParquetError>,
    ) -> Result<T, StoreError> {
        step(&mut self.writer).map_err(|error| cause(&self.failure, &self.path, &error))
    }

    /// Ends the file; it is durable when this returns.
    pub(crate) fn finish(mut self) -> Result<FileRef, StoreError> {
        self.flush_rows()?;
        self.attempt(|writer| {
            writer.flush()?;
            writer.sync()?;
            Ok(())
        })?;
        let blocks = self.writer.inner().blocks.to_text();
        self.writer.append_key_value_metadata(KeyValue::new("blake3-blocks".to_owned(), blocks));
        let Self { writer, path, row_count, failure, .. } = self;
        let sink = writer.into_inner().map_err(|error| cause(&failure, &path, &error))?;
        sink.runtime.block_on(sink.upload.finish(row_count))
    }
}

/// The store's own error, if it was the store: it says more than what Parquet made of it.
fn cause(failure: &Failure, path: &str, error: &ParquetError) -> StoreError {
    let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    failure.unwrap_or_else(|| unwritable(path, error))
}

fn unwritable(path: &str, error: &ParquetError) -> StoreError {
    StoreError::Access {
        operation: "encode",
        path: path.to_owned(),
        source: object_store::Error::Generic { store: "parquet", source: error.to_string().into() },
    }
}

/// Where Parquet's bytes go.
struct Sink {
    upload: Upload,
    runtime: Runtime,
    blocks: BlockList,
    failure: Failure,
}

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.blocks.update(piece);
        match self.runtime.block_on(self.upload.write(piece)) {
            Ok(()) => Ok(piece.len()),
            Err(error) => {
                let reason = error.to_string();
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(io::Error::other(reason))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rows on their way to the Parquet writer.
struct Rows {
    keys: StringBuilder,
    ids: StringBuilder,
    states: UInt8Builder,
    digests: FixedSizeBinaryBuilder,
    modified: Int64Builder,
    records: StringBuilder,
    replaced: Int64Builder,
    count: usize,
    bytes: usize,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            keys: StringBuilder::new(),
            ids: StringBuilder::new(),
            states: UInt8Builder::new(),
            digests: FixedSizeBinaryBuilder::new(DIGEST_LEN),
            modified: Int64Builder::new(),
            records: StringBuilder::new(),
            replaced: Int64Builder::new(),
            count: 0,
            bytes: 0,
        }
    }
}

impl Rows {
    fn append(&mut self, row: &FileRow<'_>) {
        self.keys.append_value(row.key);
        self.ids.append_option(row.id);
        self.states.append_value(row.standing.code());
        self.digests.append_value(row.digest.as_bytes()).expect("a digest has 16 bytes");
        self.modified.append_value(row.modified);
        self.records.append_option(row.record);
        self.replaced.append_option(row.replaced);
        self.count += 1;
        let text = |text: Option<&str>| text.map_or(0, str::len);
        self.bytes += row.key.len() + text(row.id) + text(row.record);
    }

    /// None, with room for as many as these: the next ones are about as large.
    fn as_many(&self) -> Self {
        let texts = |texts: &StringBuilder| {
            let bytes = texts.values_slice().len();
            StringBuilder::with_capacity(self.count, bytes + bytes / 8)
        };
        Self {
            keys: texts(&self.keys),
            ids: texts(&self.ids),
            states: UInt8Builder::with_capacity(self.count),
            digests: FixedSizeBinaryBuilder::with_capacity(self.count, DIGEST_LEN),
            modified: Int64Builder::with_capacity(self.count),
            records: texts(&self.records),
            replaced: Int64Builder::with_capacity(self.count),
            count: 0,
            bytes: 0,
        }
    }

    fn take(&mut self, kind: FileKind) -> RecordBatch {
        let empty = self.as_many();
        let mut rows = std::mem::replace(self, empty);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows.keys.finish()),
            Arc::new(rows.ids.finish()),
            Arc::new(rows.states.finish()),
            Arc::new(rows.digests.finish()),
            Arc::new(rows.modified.finish()),
            Arc::new(rows.records.finish()),
        ];
        if kind == FileKind::Delta {
            columns.push(Arc::new(rows.replaced.finish()));
        }
        RecordBatch::try_new(kind.schema(), columns).expect("the columns are the schema's")
    }
}

/// Writes rows in key order into range files, as many as it takes. Blocking.
pub(crate) struct RangeWriter {
    files: NewFiles,
    /// Rows per file: what splits the expected rows evenly.
    target: u64,
    current: Option<(String, FileWriter)>,
    done: Vec<RangeFile>,
}

impl RangeWriter {
    /// `expected` rows, about.
    pub(crate) fn new(files: &NewFiles, expected: u64) -> Self {
        let limit = files.layout.range_rows.max(1);
        let count = expected.div_ceil(limit).max(1);
        Self {
            files: files.clone(),
            target: expected.div_ceil(count).clamp(limit.div_ceil(2), limit),
            current: None,
            done: Vec::new(),
        }
    }

    /// Adds a row; its key is greater than the one before.
    pub(crate) fn write(&mut self, row: &FileRow<'_>) -> Result<(), StoreError> {
        let full = |writer: &FileWriter| {
            writer.row_count() >= self.target
                || writer.pending_bytes() >= self.files.layout.range_bytes
        };
        if self.current.as_ref().is_some_and(|(_, writer)| full(writer)) {
            self.close()?;
        }
        if self.current.is_none() {
            self.current = Some((row.key.to_owned(), self.files.begin(FileKind::Range)?));
        }
        let (_, writer) = self.current.as_mut().expect("it was just begun");
        writer.write(row)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if let Some((from_key, writer)) = self.current.take() {
            self.done.push(RangeFile { file: writer.finish()?, from_key });
        }
        Ok(())
    }

    /// The files, in key order.
    pub(crate) fn finish(mut self) -> Result<Vec<RangeFile>, StoreError> {
        self.close()?;
        Ok(self.done)
    }
}
