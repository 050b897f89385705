//! The pages of a finished reading, for the comparison.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tidemark_model::{
    defect::{self, Defect},
    row::{InvalidReason, RowState},
};

use super::page::{self, Front, PageRef};
use crate::{
    blocking::Runtime,
    diff::{StagedPage, StagedPages},
    store::{Folder, StoreError},
};

/// So many keys of invalid rows are noted by name; the counts are exact whatever their number.
const NOTED_KEYS: usize = 10_000;

/// Rows that were shown as invalid, by their keys. The reason is absent where an older version
/// staged the page.
pub type InvalidRows = BTreeMap<String, Option<Box<InvalidReason>>>;

/// The pages that a reading lists. Each is checked against the list whenever it is read.
#[derive(Debug)]
pub struct StagedReading {
    folder: Folder,
    pages: Vec<PageRef>,
    runtime: Runtime,
    invalid: Mutex<InvalidRows>,
}

impl StagedReading {
    /// Must be made inside a Tokio runtime, which carries out the reads; the pages themselves are
    /// asked for on threads outside of it.
    #[must_use]
    pub fn new(folder: Folder, pages: Vec<PageRef>) -> Self {
        Self { folder, pages, runtime: Runtime::current(), invalid: Mutex::default() }
    }

    /// The rows that were shown as invalid by the pages read so far, the first 10,000 in key
    /// order, and why: what the last page that was read says of each.
    #[must_use]
    pub fn invalid_rows(&self) -> InvalidRows {
        self.invalid.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StagedPages for StagedReading {
    fn page_count(&self) -> usize {
        self.pages.len()
    }

    fn page(&self, index: usize) -> Result<StagedPage, StoreError> {
        let page = self.pages.get(index).expect("the index is below the page count");
        let read = self.runtime.block_on(page::read(&self.folder, page));
        if defect::on(Defect::MissingPageIsEmpty) && matches!(read, Err(StoreError::Missing { .. }))
        {
            return Ok(StagedPage { sent_at: page.sent_at, rows: Vec::new(), gone: Vec::new() });
        }
        let Front { head, rows, gone, .. } = read?;
        let invalid = rows.iter().filter(|row| row.state == RowState::Invalid);
        let mut invalid = invalid.map(|row| (row.key.clone(), row.invalid.clone())).peekable();
        if invalid.peek().is_some() {
            let mut noted = self.invalid.lock().unwrap_or_else(PoisonError::into_inner);
            noted.extend(invalid);
            while noted.len() > NOTED_KEYS {
                noted.pop_last();
            }
        }
        Ok(StagedPage { sent_at: head.sent_at, rows, gone })
    }
}
