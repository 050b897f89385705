//! How a key stands after several readings of it, in whatever order they arrived.

use jiff::Timestamp;
use tidemark_model::row::{Digest, Row, RowState};

use super::page::Reader;
use crate::port::MirrorRow;

/// Everything that is known of a key beside the snapshot's own row, which is kept along.
///
/// Of several readings the greater change time wins, then the later request, and so it does of a
/// reading and a gone mark: a row can go and come back within a second. A mark wins over a reading of
/// its own request, and over a row of the snapshot that is not younger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    base: Option<MirrorRow>,
    newest: Option<Seen>,
    /// The greatest gone mark.
    gone: Option<Mark>,
}

/// That a row is gone, its change time, and when that was asked, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    modified: i64,
    sent_at: i64,
}

/// A reading of a row. When it was asked for counts in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    row: MirrorRow,
    sent_at: i64,
}

impl Standing {
    /// What a page says of a row.
    pub(super) fn seen(row: &Row, sent_at: Timestamp, base: Option<MirrorRow>) -> Self {
        let shown = MirrorRow { state: row.state, digest: row.digest, modified: row.modified };
        Self { base, newest: Some(Seen { row: shown, sent_at: nanoseconds(sent_at) }), gone: None }
    }

    /// What a page says of a row that is gone.
    pub(super) fn gone(modified: i64, sent_at: Timestamp, base: Option<MirrorRow>) -> Self {
        Self { base, newest: None, gone: Some(Mark { modified, sent_at: nanoseconds(sent_at) }) }
    }

    /// Takes in what else is known of the same key. The order does not matter.
    pub(super) fn merge(&mut self, other: Self) {
        let rank = |seen: &Seen| (seen.row.modified, seen.sent_at);
        if other.newest.as_ref().map(rank) > self.newest.as_ref().map(rank) {
            self.newest = other.newest;
        }
        self.gone = self.gone.max(other.gone);
        self.base = self.base.or(other.base);
    }

    /// The row as the mirror shows it. In a full reading the snapshot does not count.
    pub(super) fn row(&self, full: bool) -> Option<MirrorRow> {
        let (row, sent_at) = match self.newest {
            Some(seen) => (seen.row, seen.sent_at),
            None if full => return None,
            None => (self.base?, i64::MIN),
        };
        (self.gone < Some(Mark { modified: row.modified, sent_at })).then_some(row)
    }

    /// The snapshot's row.
    pub(super) fn base(&self) -> Option<MirrorRow> {
        self.base
    }

    /// Whether the mirror shows something else than the snapshot.
    pub(super) fn differs(&self) -> bool {
        self.row(false) != self.base
    }

    /// For the spill.
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        put_row(bytes, self.base);
        put_row(bytes, self.newest.map(|seen| seen.row));
        if let Some(seen) = self.newest {
            bytes.extend_from_slice(&seen.sent_at.to_le_bytes());
        }
        bytes.push(u8::from(self.gone.is_some()));
        if let Some(gone) = self.gone {
            bytes.extend_from_slice(&gone.modified.to_le_bytes());
            bytes.extend_from_slice(&gone.sent_at.to_le_bytes());
        }
    }

    /// From the spill.
    pub(super) fn get(bytes: &mut Reader<'_>) -> Option<Self> {
        let base = get_row(bytes)?;
        let newest = match get_row(bytes)? {
            Some(row) => Some(Seen { row, sent_at: i64::from_le_bytes(bytes.chunk()?) }),
            None => None,
        };
        let gone = match bytes.byte()? {
            0 => None,
            _ => Some(Mark {
                modified: i64::from_le_bytes(bytes.chunk()?),
                sent_at: i64::from_le_bytes(bytes.chunk()?),
            }),
        };
        Some(Self { base, newest, gone })
    }
}

fn nanoseconds(instant: Timestamp) -> i64 {
    i64::try_from(instant.as_nanosecond()).unwrap_or(i64::MAX)
}

/// The mark of an absent row, where the code of its state would be.
const ABSENT: u8 = u8::MAX;

fn put_row(bytes: &mut Vec<u8>, row: Option<MirrorRow>) {
    let Some(row) = row else { return bytes.push(ABSENT) };
    bytes.push(row.state.code());
    bytes.extend_from_slice(row.digest.as_bytes());
    bytes.extend_from_slice(&row.modified.to_le_bytes());
}

fn get_row(bytes: &mut Reader<'_>) -> Option<Option<MirrorRow>> {
    let state = match bytes.byte()? {
        ABSENT => return Some(None),
        code => RowState::from_code(code)?,
    };
    let digest = Digest::from_bytes(bytes.chunk()?);
    let modified = i64::from_le_bytes(bytes.chunk()?);
    Some(Some(MirrorRow { state, digest, modified }))
}
