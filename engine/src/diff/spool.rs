//! Rows of the next delta on their way to it, in key order: in memory while they are few.

use std::{
    io::{self, Read, Seek, Write},
    path::Path,
};

use tempfile::SpooledTempFile;
use tidemark_model::row::Digest;

use super::entry::{garbled, put_text, take, take_text};
use crate::snapshot::{FileRow, Standing};

/// Bytes that stay in memory.
const IN_MEMORY: usize = 64 * 1024;

/// Bytes that are written and read at once.
const CHUNK: usize = 64 * 1024;

/// Rows of a part of the keys.
pub(super) struct Spool {
    file: SpooledTempFile,
    pending: Vec<u8>,
    row_count: u64,
}

impl Spool {
    pub(super) fn new(folder: &Path) -> Self {
        let file = tempfile::spooled_tempfile_in(IN_MEMORY, folder);
        Self { file, pending: Vec::new(), row_count: 0 }
    }

    pub(super) fn row_count(&self) -> u64 {
        self.row_count
    }

    pub(super) fn push(&mut self, row: &FileRow<'_>) -> io::Result<()> {
        let into = &mut self.pending;
        put_text(row.key, into);
        into.push(row.standing.code());
        into.extend_from_slice(row.digest.as_bytes());
        into.extend_from_slice(&row.modified.to_le_bytes());
        into.push(u8::from(row.replaced.is_some()));
        into.extend_from_slice(&row.replaced.unwrap_or_default().to_le_bytes());
        into.push(u8::from(row.id.is_some()));
        put_text(row.id.unwrap_or_default(), into);
        put_text(row.record.unwrap_or_default(), into);
        self.row_count += 1;
        if self.pending.len() >= CHUNK {
            self.file.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }

    /// Reads the rows back.
    pub(super) fn rows(mut self) -> io::Result<SpoolReader> {
        self.file.write_all(&self.pending)?;
        self.file.rewind()?;
        Ok(SpoolReader { file: self.file, buffer: Vec::new(), at: 0, left: self.row_count })
    }
}

/// Rows of a spool, in the order in which they were put in.
pub(super) struct SpoolReader {
    file: SpooledTempFile,
    buffer: Vec<u8>,
    at: usize,
    left: u64,
}

impl SpoolReader {
    /// Hands the next row to `each`; `None` at the end.
    pub(super) fn next<T>(
        &mut self,
        each: impl FnOnce(&FileRow<'_>) -> T,
    ) -> io::Result<Option<T>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.fill()?;
        let mut rest = self.buffer.get(self.at..).unwrap_or_default();
        let before = rest.len();
        let row = decode(&mut rest)?;
        self.at += before - rest.len();
        Ok(Some(each(&row)))
    }

    /// Reads on until the next row is in the buffer as a whole.
    fn fill(&mut self) -> io::Result<()> {
        loop {
            let mut rest = self.buffer.get(self.at..).unwrap_or_default();
            if decode(&mut rest).is_ok() {
                return Ok(());
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let chunk = CHUNK.max(self.buffer.len()) as u64;
            if Read::by_ref(&mut self.file).take(chunk).read_to_end(&mut self.buffer)? == 0 {
                return Err(garbled());
            }
        }
    }
}

fn decode<'a>(bytes: &mut &'a [u8]) -> io::Result<FileRow<'a>> {
    let key = take_text(bytes)?;
    let standing = Standing::from_code(take::<1>(bytes)?[0]).ok_or_else(garbled)?;
    let digest = Digest::from_bytes(take(bytes)?);
    let modified = i64::from_le_bytes(take(bytes)?);
    let replaced = take::<1>(bytes)? == [1];
    let replaced = Some(i64::from_le_bytes(take(bytes)?)).filter(|_| replaced);
    let has_record = take::<1>(bytes)? == [1];
    let id = Some(take_text(bytes)?).filter(|_| has_record);
    let record = Some(take_text(bytes)?).filter(|_| has_record);
    Ok(FileRow { key, standing, digest, modified, id, record, replaced })
}
