//! From decisions to changes and rows of the next snapshot.
//!
//! Most decisions need no record, or have it in hand. Those that need an old id or record wait,
//! until enough of them can be read from a file together, and so do those that come behind them.

use std::{collections::VecDeque, sync::Arc};

use tidemark_model::row::{Digest, RowState};

use super::{
    DiffError, Resend, StagedPages,
    changes::ChangeWriter,
    decide::{Carried, Decision, News, Next, OldRow, Rules, Sends, decide},
    entry::{GoneMark, KeyEntries, Reading, ReadingPlace},
    spool::Spool,
    tally::Tally,
};
use crate::snapshot::{
    FileKind, FileRow, FileWriter, NewFiles, Payload, Place, RangeWriter, Snapshot,
};

/// Decisions that wait at most.
const WAITING_COUNT: usize = 1_024;

/// Bytes of records that wait at most, about.
const WAITING_BYTES: usize = 1024 * 1024;

/// Where rows of the next snapshot go.
pub(super) enum Rows {
    /// Only those that differ from the range files.
    Spooled(Spool),
    /// Only those that differ from the base, into a delta that is begun with the first.
    Delta(NewFiles, Option<FileWriter>),
    /// All of them.
    Ranges(RangeWriter),
}

impl Rows {
    fn push(&mut self, row: &FileRow<'_>) -> Result<(), DiffError> {
        match self {
            Self::Spooled(spool) => spool.push(row)?,
            Self::Ranges(ranges) => ranges.write(row)?,
            Self::Delta(files, writer) => {
                let writer = match writer {
                    Some(writer) => writer,
                    none => none.insert(files.begin(FileKind::Delta)?),
                };
                writer.write(row)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> bool {
        matches!(self, Self::Ranges(_))
    }
}

/// What the base says of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Old {
    /// The row, if the key has one.
    pub(super) row: Option<(OldRow, Place)>,
    /// The change time of the row that a delta over the files that stay would replace.
    pub(super) replaces: Option<i64>,
    /// Whether a delta that does not stay holds the key: then the new one must say it again.
    pub(super) carried: bool,
}

/// Where a record is to be had.
enum Source {
    None,
    Here(Payload),
    At(Place),
}

/// A decision whose records are not in hand.
struct Waiting {
    key: String,
    decision: Decision,
    old: Old,
    /// The old row's id, and its record where it is needed.
    old_payload: Source,
    /// The reading's.
    new_payload: Source,
    dirty: Vec<String>,
}

/// A decision whose records are in hand: ids and records.
struct Settled<'s> {
    key: &'s str,
    decision: Decision,
    old: Old,
    old_payload: Option<(&'s str, &'s str)>,
    new_payload: Option<(&'s str, &'s str)>,
    dirty: &'s [&'s str],
}

/// Decides about keys in their order and carries the decisions out. Blocking; one per thread.
pub(super) struct Outcomes<'a> {
    rules: Rules,
    base: Option<Snapshot>,
    pages: &'a dyn StagedPages,
    pub(super) changes: ChangeWriter,
    pub(super) tally: Tally,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    page: Option<(u32, Arc<super::StagedPage>)>,
}

impl<'a> Outcomes<'a> {
    pub(super) fn new(
        rules: Rules,
        base: Option<Snapshot>,
        pages: &'a dyn StagedPages,
        changes: ChangeWriter,
    ) -> Self {
        Self {
            rules,
            base,
            pages,
            changes,
            tally: Tally::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            page: None,
        }
    }

    /// Takes the next key. `known` is what the reading says of it, `elsewhere` finds the place of
    /// a record with some digest among what the base's files say of the key.
    pub(super) fn take(
        &mut self,
        key: &[u8],
        old: Old,
        known: Option<&KeyEntries<'_>>,
        elsewhere: impl FnOnce(&Digest) -> Option<Place>,
        rows: &mut Rows,
    ) -> Result<(), DiffError> {
        let row = old.row.map(|(row, _)| row);
        let news = news(row, known);
        let dirty = known.map_or(&[][..], |known| &known.dirty);
        let decision = decide(&self.rules, row, news, !dirty.is_empty());
        let untouched = decision == Decision { next: Next::Same, sends: Sends::Nothing };
        if untouched && dirty.is_empty() && !old.carried && !(rows.all() && row.is_some()) {
            return Ok(());
        }
        let key = text(key);
        let reading = known.and_then(|known| known.reading).filter(|_| {
            matches!(decision.next, Next::Becomes { payload: Carried::FromReading, .. })
        });
        let in_hand = reading.is_none_or(|reading| reading.payload.is_some());
        if in_hand && self.waiting.is_empty() && wants_old(decision, &old, rows.all()).is_none() {
            let new_payload = reading.and_then(|reading| reading.payload);
            let settled = Settled { key, decision, old, old_payload: None, new_payload, dirty };
            return self.carry_out(&settled, rows);
        }
        let new_payload = match reading {
            Some(Reading { payload: Some((id, record)), .. }) => {
                Source::Here(Payload { id: id.to_owned(), record: record.to_owned() })
            }
            Some(Reading { digest, place, .. }) => match elsewhere(&digest) {
                Some(place) => Source::At(place),
                None => Source::Here(self.read_again(key, place)?),
            },
            None => Source::None,
        };
        let waiting = Waiting {
            key: key.to_owned(),
            decision,
            old,
            old_payload: Source::None,
            new_payload,
            dirty: dirty.iter().map(|&id| id.to_owned()).collect(),
        };
        if let Source::Here(payload) = &waiting.new_payload {
            self.waiting_bytes += payload.id.len() + payload.record.len();
        }
        let fetched = wants_old(decision, &old, rows.all()).filter(|(_, record)| *record);
        if let (Some(base), Some((place, _))) = (&self.base, fetched) {
            self.waiting_bytes += base.row_bytes(place.file);
        }
        self.waiting_bytes += waiting.key.len();
        self.waiting.push_back(waiting);
        if self.waiting.len() >= WAITING_COUNT || self.waiting_bytes >= WAITING_BYTES {
            self.settle(rows)?;
        }
        Ok(())
    }

    /// A row that was believed to be in the base, from its page.
    fn read_again(&mut self, key: &str, place: ReadingPlace) -> Result<Payload, DiffError> {
        let page = match &self.page {
            Some((index, page)) if *index == place.page => Arc::clone(page),
            _ => {
                let page = Arc::new(self.pages.page(index(place.page))?);
                self.page = Some((place.page, Arc::clone(&page)));
                page
            }
        };
        let row = page.rows.get(index(place.row)).filter(|row| row.key == key);
        // Pages are durable and named by checksum: another row there is a page that changed.
        let row = row.ok_or_else(|| crate::store::StoreError::Damaged {
            path: format!("page {}", place.page),
            reason: "it does not show what it showed a moment ago".to_owned(),
        })?;
        Ok(Payload { id: row.id.clone(), record: row.record.clone() })
    }

    /// Carries out all that waits.
    pub(super) fn settle(&mut self, rows: &mut Rows) -> Result<(), DiffError> {
        self.fetch(rows.all())?;
        self.waiting_bytes = 0;
        while let Some(waiting) = self.waiting.pop_front() {
            let Waiting { key, decision, old, old_payload, new_payload, dirty } = &waiting;
            let settled = Settled {
                key,
                decision: *decision,
                old: *old,
                old_payload: old_payload.payload(),
                new_payload: new_payload.payload(),
                dirty: &dirty.iter().map(String::as_str).collect::<Vec<_>>(),
            };
            self.carry_out(&settled, rows)?;
        }
        Ok(())
    }

    /// Reads the ids and records that are wanted, file by file.
    fn fetch(&mut self, all_rows: bool) -> Result<(), DiffError> {
        let mut wanted: Vec<(Place, bool, usize, bool)> = Vec::new();
        for (index, waiting) in self.waiting.iter().enumerate() {
            let wanted_old = wants_old(waiting.decision, &waiting.old, all_rows);
            if let Some((place, record)) = wanted_old {
                wanted.push((place, record, index, true));
            }
            if let Source::At(place) = waiting.new_payload {
                wanted.push((place, true, index, false));
            }
        }
        wanted.sort_unstable_by_key(|&(place, record, ..)| (place.file, record, place.row));
        let Some(base) = &self.base else { return Ok(()) };
        for part in wanted.chunk_by(|a, b| (a.0.file, a.1) == (b.0.file, b.1)) {
            let (place, record, ..) = part[0];
            let mut rows: Vec<u64> = part.iter().map(|(place, ..)| place.row).collect();
            rows.dedup();
            let payloads = base.payloads(place.file, &rows, record)?;
            for (place, _, index, old) in part {
                let at = rows.partition_point(|&row| row < place.row);
                let payload = payloads[at].clone();
                let waiting = &mut self.waiting[*index];
                let slot = if *old { &mut waiting.old_payload } else { &mut waiting.new_payload };
                *slot = Source::Here(payload);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, settled: &Settled<'_>, rows: &mut Rows) -> Result<(), DiffError> {
        let &Settled { key, decision, old, old_payload, new_payload, dirty } = settled;
        let old_row = old.row.map(|(row, _)| row);
        let (next_row, payload) = match decision.next {
            Next::Same => (old_row, old_payload),
            Next::Vanishes => (None, None),
            Next::Becomes { row, payload } => (
                Some(row),
                match payload {
                    Carried::Nothing => None,
                    Carried::FromOld => old_payload,
                    Carried::FromReading => new_payload,
                },
            ),
        };
        self.send(key, decision.sends, old_payload, new_payload)?;
        let stands = payload
            .filter(|_| next_row.is_some_and(|row| row.standing.has_record()))
            .map(|(id, _)| id);
        for &id in dirty {
            let covered = stands == Some(id)
                || (self.removes_old(decision.sends)
                    && old_payload.is_some_and(|(old_id, _)| old_id == id));
            if !covered {
                self.changes.remove(key, id)?;
                if self.rules.propagate {
                    self.tally.push.repeated += 1;
                    self.tally.push.repeated_removals += 1;
                }
            }
        }
        if decision.next != Next::Same {
            let standing = |row: OldRow| row.standing;
            self.tally.row(old_row.map(standing), next_row.map(standing));
        }
        let written = decision.next != Next::Same || old.carried || rows.all();
        match next_row {
            Some(row) if written => rows.push(&FileRow {
                key,
                standing: row.standing,
                digest: row.digest,
                modified: row.modified,
                id: payload.map(|(id, _)| id),
                record: payload.map(|(_, record)| record),
                replaced: old.replaces,
            }),
            None if written && !rows.all() => match old.replaces {
                Some(replaced) => rows.push(&FileRow::gone(key, replaced)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn send(
        &mut self,
        key: &str,
        sends: Sends,
        old: Option<(&str, &str)>,
        new: Option<(&str, &str)>,
    ) -> Result<(), DiffError> {
        match (sends, old, new) {
            (Sends::Add, _, Some((id, record))) => {
                self.changes.write(key, id, record)?;
                self.tally.push.added += 1;
                self.tally.record_added();
            }
            (Sends::Change, Some((old_id, _)), Some((id, record))) => {
                self.changes.write(key, id, record)?;
                if old_id == id || !self.removes_old(sends) {
                    self.tally.push.changed += 1;
                } else {
                    self.tally.push.added += 1;
                    self.tally.record_added();
                    self.remove(key, old_id)?;
                }
            }
            (Sends::Repeat, Some((id, record)), _) => {
                self.changes.write(key, id, record)?;
                self.tally.push.repeated += 1;
            }
            (Sends::Remove, Some((id, _)), _) => self.remove(key, id)?,
            (Sends::Nothing, ..) => {}
            (sends, ..) => unreachable!("{sends:?} has its records in hand"),
        }
        Ok(())
    }

    /// Whether what is sent takes the old record away, unless the new one has its id.
    fn removes_old(&self, sends: Sends) -> bool {
        match sends {
            Sends::Remove => true,
            Sends::Change => self.rules.resend != Resend::Everything { remove_old_ids: false },
            Sends::Nothing | Sends::Add | Sends::Repeat => false,
        }
    }

    fn remove(&mut self, key: &str, id: &str) -> Result<(), DiffError> {
        self.changes.remove(key, id)?;
        if self.rules.propagate {
            self.tally.push.removed += 1;
            self.tally.record_removed();
        } else {
            self.tally.record_kept();
        }
        Ok(())
    }
}

/// The place of the old row, if its id is needed, and whether its record is.
fn wants_old(decision: Decision, old: &Old, all_rows: bool) -> Option<(Place, bool)> {
    let (row, place) = old.row?;
    let Decision { next, sends } = decision;
    let stays = match next {
        Next::Same => all_rows || old.carried,
        Next::Becomes { payload, .. } => payload == Carried::FromOld,
        Next::Vanishes => false,
    };
    let record = stays || sends == Sends::Repeat;
    let id = record || matches!(sends, Sends::Change | Sends::Remove);
    (id && row.standing.has_record()).then_some((place, record))
}

impl Source {
    fn payload(&self) -> Option<(&str, &str)> {
        match self {
            Self::Here(Payload { id, record }) => Some((id, record)),
            Self::None | Self::At(_) => None,
        }
    }
}

/// What the reading says of a key. A gone mark counts unless what is in hand is younger, or as old and
/// asked for later.
fn news(old: Option<OldRow>, known: Option<&KeyEntries<'_>>) -> News {
    let Some(known) = known else { return News::None };
    let shown = |state: RowState, digest, modified| News::Shown { state, digest, modified };
    match (known.reading, known.gone) {
        (Some(Reading { modified, place, state, digest, .. }), gone)
            if gone.is_none_or(|gone| gone < GoneMark { modified, page: place.page }) =>
        {
            shown(state, digest, modified)
        }
        (Some(_), _) => News::Gone,
        (None, Some(gone)) if old.is_none_or(|old| gone.modified >= old.modified) => News::Gone,
        (None, _) => News::None,
    }
}

/// A key as the text that it is.
pub(super) fn text(key: &[u8]) -> &str {
    std::str::from_utf8(key).expect("a key was a text before it became an entry")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a page's place fits the machine's")
}
