//! The columns of a snapshot's files.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::SortingColumn,
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
    },
    schema::types::ColumnPath,
};
use tidemark_model::row::{Digest, RowState};

use super::Layout;

pub(super) const KEY: usize = 0;
pub(super) const ID: usize = 1;
pub(super) const STATE: usize = 2;
pub(super) const DIGEST: usize = 3;
pub(super) const MODIFIED: usize = 4;
pub(super) const RECORD: usize = 5;
/// In delta files alone.
pub(super) const REPLACED: usize = 6;

/// The columns with statistics by page: what is looked for.
pub(super) const INDEXED: [usize; 2] = [KEY, MODIFIED];

/// Rows of a page of the columns that are only read as a whole.
const SCANNED_PAGE_ROWS: usize = 8_192;

/// A digest's bytes.
pub(super) const DIGEST_LEN: i32 = 16;

static RANGE: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields())));

static DELTA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = fields();
    fields.push(Field::new("replaced", DataType::Int64, true));
    Arc::new(Schema::new(fields))
});

fn fields() -> Vec<Field> {
    vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("id", DataType::Utf8, true),
        Field::new("state", DataType::UInt8, false),
        Field::new("digest", DataType::FixedSizeBinary(DIGEST_LEN), false),
        Field::new("modified", DataType::Int64, false),
        Field::new("record", DataType::Utf8, true),
    ]
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Rows of a range of keys.
    Range,
    /// Rows that replace others, and keys whose rows are gone.
    Delta,
}

impl FileKind {
    pub(super) fn schema(self) -> SchemaRef {
        match self {
            Self::Range => Arc::clone(&RANGE),
            Self::Delta => Arc::clone(&DELTA),
        }
    }
}

/// How the columns are written, as measured: what is random stays as it is, what is looked into
/// stands in small pages, and only what is looked for has statistics.
pub(super) fn properties(kind: FileKind, layout: &Layout) -> WriterProperties {
    let path = |column: usize| ColumnPath::from(kind.schema().field(column).name().as_str());
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("zstd has a level 1"));
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("tidemark ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(None)
        .set_dictionary_enabled(false)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(layout.page_rows)
        .set_write_batch_size(layout.page_rows.min(1_024))
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: i32::try_from(KEY).expect("a small number"),
            descending: false,
            nulls_first: false,
        }]))
        .set_column_encoding(path(KEY), Encoding::DELTA_BYTE_ARRAY)
        .set_column_encoding(path(MODIFIED), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(path(STATE), true);
    for column in INDEXED {
        properties =
            properties.set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in [KEY, ID, RECORD] {
        properties = properties.set_column_compression(path(column), zstd);
    }
    let scanned = layout.page_rows.max(SCANNED_PAGE_ROWS.min(layout.page_rows * 8));
    for column in [STATE, DIGEST, MODIFIED] {
        properties = properties.set_column_data_page_row_count_limit(path(column), scanned);
    }
    properties.build()
}

/// What a row of a snapshot's file is: its state, and whether the destination has its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Sent,
    Filtered,
    /// Cannot be mapped and never was sent.
    Invalid,
    /// Cannot be mapped any more; the record that was sent last is still there.
    InvalidWithRecord,
    /// No row: the key is gone. In delta files alone.
    Gone,
}

impl Standing {
    pub(crate) fn of(state: RowState) -> Self {
        match state {
            RowState::Sent => Self::Sent,
            RowState::Filtered => Self::Filtered,
            RowState::Invalid => Self::Invalid,
        }
    }

    /// `None` for a key that is gone.
    pub(crate) fn state(self) -> Option<RowState> {
        match self {
            Self::Sent => Some(RowState::Sent),
            Self::Filtered => Some(RowState::Filtered),
            Self::Invalid | Self::InvalidWithRecord => Some(RowState::Invalid),
            Self::Gone => None,
        }
    }

    pub(crate) fn has_record(self) -> bool {
        matches!(self, Self::Sent | Self::InvalidWithRecord)
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Sent => 0,
            Self::Filtered => 1,
            Self::Invalid => 2,
            Self::InvalidWithRecord => 3,
            Self::Gone => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Sent),
            1 => Some(Self::Filtered),
            2 => Some(Self::Invalid),
            3 => Some(Self::InvalidWithRecord),
            4 => Some(Self::Gone),
            _ => None,
        }
    }
}

/// A row as a file holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileRow<'a> {
    pub(crate) key: &'a str,
    pub(crate) standing: Standing,
    pub(crate) digest: Digest,
    pub(crate) modified: i64,
    pub(crate) id: Option<&'a str>,
    pub(crate) record: Option<&'a str>,
    /// In a delta: the change time of the row that this one replaces, `None` if there was none.
    /// It keeps counts by change time sums over files.
    pub(crate) replaced: Option<i64>,
}

impl<'a> FileRow<'a> {
    /// What a delta says of a key whose row is gone.
    pub(crate) fn gone(key: &'a str, replaced: i64) -> Self {
        Self {
            key,
            standing: Standing::Gone,
            digest: Digest::from_bytes([0; 16]),
            modified: 0,
            id: None,
            record: None,
            replaced: Some(replaced),
        }
    }
}
