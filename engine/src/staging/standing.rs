//! How a key stands after several readings of it, in whatever order they arrived.

use jiff::Timestamp;
use tidemark_model::{
    defect::{self, Defect},
    row::{Digest, Row, RowState},
};

use super::page::Reader;
use crate::port::MirrorRow;

/// Everything that is known of a key beside the snapshot's own row, which is kept along.
///
/// Of several readings the greater change time wins, then the later request. A gone mark with a
/// change time not older than that of the newest reading wins over it; without a reading it counts
/// against the snapshot's row in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    base: Option<MirrorRow>,
    newest: Option<Seen>,
    /// The greatest change time of a gone mark.
    gone: Option<i64>,
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
        let sent_at = i64::try_from(sent_at.as_nanosecond()).unwrap_or(i64::MAX);
        Self { base, newest: Some(Seen { row: shown, sent_at }), gone: None }
    }

    /// What a page says of a row that is gone.
    pub(super) fn gone(modified: i64, base: Option<MirrorRow>) -> Self {
        Self { base, newest: None, gone: Some(modified) }
    }

    /// Takes in what else is known of the same key. The order does not matter.
    pub(super) fn merge(&mut self, other: Self) {
        let rank = |seen: &Seen| {
            let modified = seen.row.modified;
            (if defect::on(Defect::IgnoreChangeTime) { 0 } else { modified }, seen.sent_at)
        };
        if other.newest.as_ref().map(rank) > self.newest.as_ref().map(rank) {
            self.newest = other.newest;
        }
        self.gone = self.gone.max(other.gone);
        self.base = self.base.or(other.base);
    }

    /// The row as the mirror shows it. In a full reading the snapshot does not count.
    pub(super) fn row(&self, full: bool) -> Option<MirrorRow> {
        let row = match self.newest {
            Some(seen) => seen.row,
            None if full => return None,
            None => self.base?,
        };
        (self.gone < Some(row.modified)).then_some(row)
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
            bytes.extend_from_slice(&gone.to_le_bytes());
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
            _ => Some(i64::from_le_bytes(bytes.chunk()?)),
        };
        Some(Self { base, newest, gone })
    }
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
