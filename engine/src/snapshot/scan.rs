//! Reading a file's rows in key order.

use std::{ops::Range, sync::Arc};

use arrow_array::{
    Array, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray, UInt8Array,
    cast::AsArray,
    types::{Int64Type, UInt8Type},
};
use parquet::arrow::arrow_reader::RowSelection;
use tidemark_model::row::Digest;

use super::{
    columns::{DIGEST, FileRow, ID, KEY, MODIFIED, RECORD, REPLACED, STATE, Standing},
    file::{Access, Batches, SnapshotFile},
};
use crate::store::StoreError;

/// Rows that are decoded at once when only the narrow columns are read.
const THIN_BATCH: usize = 4_096;

/// Rows that are decoded at once with their records.
const FULL_BATCH: usize = 256;

/// Which columns a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breadth {
    /// All but `id` and `record`.
    Thin,
    Full,
}

/// The rows of a file from one key up to another, in key order. Blocking.
pub(crate) struct Scan {
    file: Arc<SnapshotFile>,
    batches: Batches,
    batch: Option<Columns>,
    index: usize,
    /// The row of the file that `index` stands at.
    position: u64,
    /// The key at which the scan ends.
    to: Option<Arc<str>>,
}

impl Scan {
    /// Begins with the first key that is at least `from`, ends before `to`.
    pub(super) fn new(
        file: &Arc<SnapshotFile>,
        breadth: Breadth,
        from: &str,
        to: Option<Arc<str>>,
    ) -> Result<Self, StoreError> {
        let first = file
            .key_pages()
            .iter()
            .find(|page| page.bounds.is_none_or(|(_, max)| max >= from.as_bytes()))
            .map_or(file.row_count(), |page| page.rows.start);
        let mut columns = vec![KEY, STATE, DIGEST, MODIFIED];
        let mut batch_rows = THIN_BATCH;
        if breadth == Breadth::Full {
            columns.extend([ID, RECORD]);
            batch_rows = FULL_BATCH;
        }
        if file.has_replaced() {
            columns.push(REPLACED);
        }
        let selection =
            (first > 0).then(|| select(std::iter::once(first..file.row_count()), file.row_count()));
        let batches = file.read(&columns, selection, batch_rows, Access::Scan)?;
        let mut scan =
            Self { file: Arc::clone(file), batches, batch: None, index: 0, position: first, to };
        scan.load()?;
        while scan.current().is_some_and(|row| row.key < from) {
            scan.advance()?;
        }
        Ok(scan)
    }

    /// The row that the scan stands at, `None` at its end.
    pub(crate) fn current(&self) -> Option<FileRow<'_>> {
        self.batch.as_ref().map(|batch| batch.row(self.index))
    }

    /// The key that the scan stands at.
    pub(crate) fn key(&self) -> Option<&str> {
        self.batch.as_ref().map(|batch| batch.keys.value(self.index))
    }

    /// The place in the file of the row that the scan stands at.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        self.position += 1;
        self.index += 1;
        if self.batch.as_ref().is_some_and(|batch| self.index >= batch.keys.len()) {
            self.load()?;
        } else {
            self.end_at_bound();
        }
        Ok(())
    }

    fn load(&mut self) -> Result<(), StoreError> {
        self.index = 0;
        self.batch = None;
        while let Some(batch) = self.batches.next().transpose()? {
            if batch.num_rows() > 0 {
                self.batch = Some(Columns::of(&batch, &self.file)?);
                break;
            }
        }
        self.end_at_bound();
        Ok(())
    }

    fn end_at_bound(&mut self) {
        if let Some(to) = &self.to
            && self.key().is_some_and(|key| key >= &**to)
        {
            self.batch = None;
        }
    }
}

/// A batch's columns.
struct Columns {
    keys: StringArray,
    states: UInt8Array,
    digests: FixedSizeBinaryArray,
    modified: Int64Array,
    ids: Option<StringArray>,
    records: Option<StringArray>,
    replaced: Option<Int64Array>,
}

impl Columns {
    fn of(batch: &RecordBatch, file: &SnapshotFile) -> Result<Self, StoreError> {
        let text = |name| batch.column_by_name(name).and_then(|c| c.as_string_opt().cloned());
        let times = |name| {
            batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>().cloned())
        };
        let columns = (|| {
            let states: UInt8Array =
                batch.column_by_name("state")?.as_primitive_opt::<UInt8Type>()?.clone();
            // Codes of a later version must not be taken for anything.
            states.values().iter().try_for_each(|&code| Standing::from_code(code).map(drop))?;
            Some(Self {
                keys: text("key")?,
                states,
                digests: batch.column_by_name("digest")?.as_fixed_size_binary_opt()?.clone(),
                modified: times("modified")?,
                ids: text("id"),
                records: text("record"),
                replaced: times("replaced"),
            })
        })();
        columns.ok_or_else(|| file.unreadable("its columns are not those of a snapshot"))
    }

    fn row(&self, index: usize) -> FileRow<'_> {
        let text = |column: &'_ Option<StringArray>| -> Option<usize> {
            column.as_ref().filter(|column| column.is_valid(index)).map(|_| index)
        };
        let mut digest = [0; 16];
        digest.copy_from_slice(self.digests.value(index));
        FileRow {
            key: self.keys.value(index),
            standing: Standing::from_code(self.states.value(index))
                .expect("every code was looked at"),
            digest: Digest::from_bytes(digest),
            modified: self.modified.value(index),
            id: text(&self.ids).and(self.ids.as_ref()).map(|column| column.value(index)),
            record: text(&self.records).and(self.records.as_ref()).map(|c| c.value(index)),
            replaced: self
                .replaced
                .as_ref()
                .filter(|column| column.is_valid(index))
                .map(|column| column.value(index)),
        }
    }
}

/// A selection of ascending ranges of rows.
pub(super) fn select(ranges: impl IntoIterator<Item = Range<u64>>, row_count: u64) -> RowSelection {
    let index = |row: u64| usize::try_from(row).expect("a file has fewer rows than memory");
    RowSelection::from_consecutive_ranges(
        ranges.into_iter().map(|rows| index(rows.start)..index(rows.end)),
        index(row_count),
    )
}

/// What a record is at the destination: its id, and the record itself where it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) id: String,
    pub(crate) record: String,
}

/// Reads the ids, and with `records` the records, of rows of a file that have one, by their
/// ascending places.
pub(super) fn payloads(
    file: &Arc<SnapshotFile>,
    rows: &[u64],
    records: bool,
) -> Result<Vec<Payload>, StoreError> {
    let mut columns = vec![ID];
    if records {
        columns.push(RECORD);
    }
    let selection = select(rows.iter().map(|&row| row..row + 1), file.row_count());
    let mut payloads = Vec::with_capacity(rows.len());
    for batch in file.read(&columns, Some(selection), FULL_BATCH, Access::LookUp)? {
        let batch = batch?;
        let text = |name| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let ids = text("id").ok_or_else(|| file.unreadable("it has no column of ids"))?;
        let records = text("record");
        for index in 0..batch.num_rows() {
            if ids.is_null(index) || records.is_some_and(|records| records.is_null(index)) {
                return Err(file.unreadable("a row lacks the record that its state promises"));
            }
            payloads.push(Payload {
                id: ids.value(index).to_owned(),
                record: records.map_or("", |records| records.value(index)).to_owned(),
            });
        }
    }
    if payloads.len() != rows.len() {
        return Err(file.unreadable("it has fewer rows than it says"));
    }
    Ok(payloads)
}

/// Hands every digest of a file to `each`, in row order.
pub(super) fn digests(
    file: &Arc<SnapshotFile>,
    mut each: impl FnMut(&[u8]),
) -> Result<(), StoreError> {
    for batch in file.read(&[DIGEST], None, THIN_BATCH, Access::Scan)? {
        let batch = batch?;
        let digests = batch.column_by_name("digest").and_then(|c| c.as_fixed_size_binary_opt());
        let digests = digests.ok_or_else(|| file.unreadable("it has no column of digests"))?;
        (0..digests.len()).for_each(|index| each(digests.value(index)));
    }
    Ok(())
}
