//! A file of a snapshot, opened: its verified tail, its footer, and readers of its blocks.

use std::{
    collections::VecDeque,
    io::Read,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Buf, Bytes, BytesMut};
use object_store::GetRange;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder, RowSelection,
        },
    },
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMask, PageIndexPolicy},
        page_index::column_index::ColumnIndexMetaData,
        reader::{ChunkReader, Length},
    },
};
use tidemark_model::entry::FileRef;

use super::{
    block::{BLOCK, Blocks, TailError},
    columns,
    part::read_part,
};
use crate::{
    blocking::Runtime,
    store::{Folder, StoreError},
};

/// The bytes at a file's end that hold its footer, as a rule.
const TAIL: u64 = 192 * 1024;

/// The windows of blocks that a reader keeps: one for each column that it reads side by side.
const WINDOWS: usize = 6;

/// Blocks that are fetched at once: few where single rows are looked up, more where all are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    LookUp,
    Scan,
}

impl Access {
    fn window(self) -> u64 {
        match self {
            Self::LookUp => BLOCK,
            Self::Scan => 4 * BLOCK,
        }
    }
}

/// An opened file of a snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    folder: Folder,
    file: FileRef,
    runtime: Runtime,
    blocks: Blocks,
    /// What follows the last block.
    tail: Bytes,
    metadata: ArrowReaderMetadata,
}

impl SnapshotFile {
    /// Reads and verifies the tail. Blocking.
    pub(super) fn open(
        folder: &Folder,
        file: &FileRef,
        runtime: &Runtime,
    ) -> Result<Self, StoreError> {
        let mut wanted = TAIL.min(file.bytes);
        let (blocks, tail) = loop {
            let tail =
                runtime.block_on(read_part(folder, file, GetRange::Suffix(wanted.max(1))))?;
            match Blocks::verify(&tail, file.bytes, &file.checksum) {
                Ok(blocks) => break (blocks, tail),
                Err(TailError::TooShort(more)) if more > wanted => wanted = more,
                Err(_) => {
                    return Err(damaged(file, "its checksum is not the one that was written down"));
                }
            }
        };
        let start = file.bytes - tail.len() as u64;
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_page_index_policy(PageIndexPolicy::Required)
            .with_column_index_mask(ColumnChunkMask::columns(columns::INDEXED));
        let metadata = ArrowReaderMetadata::load(&Tail { start, content: tail.clone() }, options)
            .map_err(|error| damaged(file, &format!("it is no snapshot: {error}")))?;
        let skip = usize::try_from(blocks.end() - start.min(blocks.end())).unwrap_or(usize::MAX);
        // A copy: the slice would hold the footer in memory, which is parsed already.
        let data_end = data_end(&metadata).saturating_sub(blocks.end());
        let keep = usize::try_from(data_end).unwrap_or(usize::MAX).min(tail.len() - skip);
        let tail = Bytes::copy_from_slice(&tail[skip..skip + keep]);
        Ok(Self {
            folder: folder.clone(),
            file: file.clone(),
            runtime: runtime.clone(),
            blocks,
            tail,
            metadata,
        })
    }

    pub(super) fn row_count(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or_default()
    }

    /// What a row takes in memory, in bytes, about.
    pub(super) fn row_bytes(&self) -> usize {
        let metadata = self.metadata.metadata();
        let groups = metadata.row_groups().iter();
        let bytes: i64 = groups.map(|group| group.total_byte_size()).sum();
        let row_count = metadata.file_metadata().num_rows().max(1);
        usize::try_from(bytes / row_count).unwrap_or_default()
    }

    /// Reads columns of selected rows (all without a selection) in batches.
    pub(super) fn read(
        self: &Arc<Self>,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
        access: Access,
    ) -> Result<Batches, StoreError> {
        let failure = Arc::new(Mutex::new(None));
        let reader = FileReader {
            file: Arc::clone(self),
            window: access.window(),
            windows: Arc::new(Mutex::new(VecDeque::new())),
            failure: Arc::clone(&failure),
        };
        let projection =
            ProjectionMask::leaves(self.metadata.parquet_schema(), columns.iter().copied());
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(reader, self.metadata.clone())
                .with_projection(projection)
                .with_batch_size(batch_rows);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let batches = builder.build().map_err(|error| self.unreadable(&error.to_string()))?;
        Ok(Batches { batches, file: Arc::clone(self), failure })
    }

    /// The pages of the key column, in row order, with a lower and an upper bound of each page's
    /// keys (which may be cut, so no keys themselves).
    pub(super) fn key_pages(&self) -> Vec<Page<&[u8]>> {
        self.pages(columns::KEY, |statistics, page| match statistics {
            ColumnIndexMetaData::BYTE_ARRAY(keys) => {
                Some((keys.min_value(page)?, keys.max_value(page)?))
            }
            _ => None,
        })
    }

    /// The pages of the change times, in row order, with their least and greatest.
    pub(super) fn modified_pages(&self) -> Vec<Page<i64>> {
        self.pages(columns::MODIFIED, |statistics, page| match statistics {
            ColumnIndexMetaData::INT64(times) => {
                Some((*times.min_value(page)?, *times.max_value(page)?))
            }
            _ => None,
        })
    }

    fn pages<'a, T>(
        &'a self,
        column: usize,
        bounds: impl Fn(&'a ColumnIndexMetaData, usize) -> Option<(T, T)>,
    ) -> Vec<Page<T>> {
        let metadata = self.metadata.metadata();
        let mut pages = Vec::new();
        let mut group_start = 0_u64;
        for (group, row_group) in metadata.row_groups().iter().enumerate() {
            let group_end = group_start + u64::try_from(row_group.num_rows()).unwrap_or_default();
            let index = metadata.page_index();
            let statistics = index.and_then(|index| index.column_index(group, column));
            let locations = index
                .and_then(|index| index.offset_index(group, column))
                .map_or(&[][..], |index| index.page_locations().as_slice());
            let mut begins: Vec<u64> = locations
                .iter()
                .map(|page| group_start + u64::try_from(page.first_row_index).unwrap_or_default())
                .collect();
            if begins.is_empty() {
                begins.push(group_start);
            }
            for (page, &begin) in begins.iter().enumerate() {
                let end = begins.get(page + 1).copied().unwrap_or(group_end);
                let bounds = statistics.and_then(|statistics| bounds(statistics, page));
                pages.push(Page { rows: begin..end, bounds });
            }
            group_start = group_end;
        }
        pages
    }

    /// Whether it is a delta: only these say what their rows replace.
    pub(super) fn has_replaced(&self) -> bool {
        self.metadata.parquet_schema().num_columns() > columns::REPLACED
    }

    pub(super) fn unreadable(&self, reason: &str) -> StoreError {
        damaged(&self.file, &format!("it cannot be read: {reason}"))
    }
}

/// A page of a column: its rows, and bounds of its values if they are known.
#[derive(Clone, Debug)]
pub(super) struct Page<T> {
    pub(super) rows: Range<u64>,
    pub(super) bounds: Option<(T, T)>,
}

/// Where the columns' pages end and the footer begins.
fn data_end(metadata: &ArrowReaderMetadata) -> u64 {
    let columns = metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
    columns
        .map(|column| {
            let (start, len) = column.byte_range();
            start + len
        })
        .max()
        .unwrap_or_default()
}

fn damaged(file: &FileRef, reason: &str) -> StoreError {
    StoreError::Damaged { path: file.path.clone(), reason: reason.to_owned() }
}

/// The tail alone, for the footer.
struct Tail {
    start: u64,
    content: Bytes,
}

impl Length for Tail {
    fn len(&self) -> u64 {
        self.start + self.content.len() as u64
    }
}

impl ChunkReader for Tail {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let length = usize::try_from(self.len().saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(self.get_bytes(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        start
            .checked_sub(self.start)
            .and_then(|from| usize::try_from(from).ok())
            .and_then(|from| Some(from..from.checked_add(length)?))
            .filter(|range| range.end <= self.content.len())
            .map(|range| self.content.slice(range))
            .ok_or_else(|| ParquetError::EOF("the footer lies outside the tail".to_owned()))
    }
}

/// Batches of selected rows and columns; an error names the file.
pub(super) struct Batches {
    batches: ParquetRecordBatchReader,
    file: Arc<SnapshotFile>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl Iterator for Batches {
    type Item = Result<arrow_array::RecordBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        // The store's own error says more than what Parquet made of it.
        Some(batch.map_err(|error| {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            failure.unwrap_or_else(|| self.file.unreadable(&error.to_string()))
        }))
    }
}

/// Reads verified blocks for Parquet, a window of them at a time.
#[derive(Clone)]
struct FileReader {
    file: Arc<SnapshotFile>,
    window: u64,
    /// The windows read last, oldest first.
    windows: Arc<Mutex<VecDeque<(u64, Bytes)>>>,
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl FileReader {
    /// The window that holds an offset, and where it begins.
    fn window_at(&self, offset: u64) -> Result<(u64, Bytes), StoreError> {
        let end = self.file.blocks.end();
        if offset >= end {
            return Ok((end, self.file.tail.clone()));
        }
        let begin = offset / self.window * self.window;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, content)) = windows.iter().find(|(start, _)| *start == begin) {
            return Ok((begin, content.clone()));
        }
        let range = begin..(begin + self.window).min(end);
        let len = range.end - range.start;
        let SnapshotFile { runtime, folder, file, .. } = &*self.file;
        let content = runtime.block_on(read_part(folder, file, GetRange::Bounded(range)))?;
        if content.len() as u64 != len || !self.file.blocks.hold(begin, &content) {
            return Err(damaged(&self.file.file, "a part of it is not what was written"));
        }
        if windows.len() == WINDOWS {
            windows.pop_front();
        }
        windows.push_back((begin, content.clone()));
        Ok((begin, content))
    }

    fn bytes(&self, start: u64, length: usize) -> Result<Bytes, StoreError> {
        let outside = || damaged(&self.file.file, "its footer points outside of it");
        let mut joined = BytesMut::new();
        let mut at = start;
        loop {
            let (begin, window) = self.window_at(at)?;
            let from = usize::try_from(at - begin).map_err(|_| outside())?;
            let missing = length - joined.len();
            let to = from.saturating_add(missing).min(window.len());
            if from >= to && missing > 0 {
                return Err(outside());
            }
            if joined.is_empty() && to - from == length {
                return Ok(window.slice(from..to));
            }
            joined.extend_from_slice(window.get(from..to).ok_or_else(outside)?);
            at += (to - from) as u64;
            if joined.len() == length {
                return Ok(joined.freeze());
            }
        }
    }

    fn note(&self, error: StoreError) -> ParquetError {
        let reason = error.to_string();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        ParquetError::General(reason)
    }
}

impl Length for FileReader {
    fn len(&self) -> u64 {
        self.file.file.bytes
    }
}

impl ChunkReader for FileReader {
    type T = Sequential;

    fn get_read(&self, start: u64) -> Result<Sequential, ParquetError> {
        Ok(Sequential { reader: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.bytes(start, length).map_err(|error| self.note(error))
    }
}

/// Reads on from an offset.
struct Sequential {
    reader: FileReader,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let (begin, window) = self
            .reader
            .window_at(self.at)
            .map_err(|error| std::io::Error::other(self.reader.note(error)))?;
        let from = usize::try_from(self.at - begin).unwrap_or(usize::MAX);
        let content = window.get(from..).unwrap_or_default();
        let len = content.len().min(into.len());
        into[..len].copy_from_slice(&content[..len]);
        self.at += len as u64;
        Ok(len)
    }
}
