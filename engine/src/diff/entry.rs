//! What is known of keys from the reading: readings, gone marks and dirty ids, as bytes.

use std::io;

use tidemark_model::row::{Digest, RowState};

/// The place of a reading: of two with the same change time the greater place wins. Pages are
/// sorted by the time at which they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReadingPlace {
    pub(super) page: u32,
    pub(super) row: u32,
}

/// That a row is gone. Of one with the change time of a reading the later page counts: a row can go
/// and come back within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GoneMark {
    pub(super) modified: i64,
    pub(super) page: u32,
}

/// A row as a page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    pub(super) state: RowState,
    pub(super) digest: Digest,
    pub(super) modified: i64,
    pub(super) place: ReadingPlace,
    /// Id and record; `None` where the base is believed to hold them.
    pub(super) payload: Option<(&'a str, &'a str)>,
}

impl Reading<'_> {
    /// Of two readings of a key the greater one counts.
    fn rank(&self) -> (i64, ReadingPlace) {
        (self.modified, self.place)
    }
}

/// One thing that is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Reading(Reading<'a>),
    /// The source says that the row went.
    Gone(GoneMark),
    /// A record that may stand at the destination otherwise than the base says.
    Dirty(&'a str),
}

const THIN: u8 = 0;
const FAT: u8 = 1;
const GONE: u8 = 2;
const DIRTY: u8 = 3;

/// Change time and page.
const GONE_LEN: usize = 8 + 4;

/// State, digest, change time and place.
const READING_LEN: usize = 1 + 16 + 8 + 4 + 4;

/// Appends an entry.
pub(super) fn encode(key: &[u8], entry: &Entry<'_>, into: &mut Vec<u8>) {
    match entry {
        Entry::Reading(reading) => {
            into.push(if reading.payload.is_some() { FAT } else { THIN });
            put_bytes(key, into);
            into.push(reading.state.code());
            into.extend_from_slice(reading.digest.as_bytes());
            into.extend_from_slice(&reading.modified.to_le_bytes());
            into.extend_from_slice(&reading.place.page.to_le_bytes());
            into.extend_from_slice(&reading.place.row.to_le_bytes());
            if let Some((id, record)) = reading.payload {
                put_text(id, into);
                put_text(record, into);
            }
        }
        Entry::Gone(GoneMark { modified, page }) => {
            into.push(GONE);
            put_bytes(key, into);
            into.extend_from_slice(&modified.to_le_bytes());
            into.extend_from_slice(&page.to_le_bytes());
        }
        Entry::Dirty(id) => {
            into.push(DIRTY);
            put_bytes(key, into);
            put_text(id, into);
        }
    }
}

/// Takes the first entry off, with its key.
pub(super) fn decode<'a>(bytes: &mut &'a [u8]) -> io::Result<(&'a [u8], Entry<'a>)> {
    let kind = take::<1>(bytes)?[0];
    let key = take_bytes(bytes)?;
    let entry = match kind {
        THIN | FAT => Entry::Reading(Reading {
            state: RowState::from_code(take::<1>(bytes)?[0]).ok_or_else(garbled)?,
            digest: Digest::from_bytes(take(bytes)?),
            modified: i64::from_le_bytes(take(bytes)?),
            place: ReadingPlace {
                page: u32::from_le_bytes(take(bytes)?),
                row: u32::from_le_bytes(take(bytes)?),
            },
            payload: if kind == FAT { Some((take_text(bytes)?, take_text(bytes)?)) } else { None },
        }),
        GONE => Entry::Gone(GoneMark {
            modified: i64::from_le_bytes(take(bytes)?),
            page: u32::from_le_bytes(take(bytes)?),
        }),
        DIRTY => Entry::Dirty(take_text(bytes)?),
        _ => return Err(garbled()),
    };
    Ok((key, entry))
}

/// Takes the first entry off, but for its key unread.
pub(super) fn skip<'a>(bytes: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let kind = take::<1>(bytes)?[0];
    let key = take_bytes(bytes)?;
    match kind {
        THIN => drop(take::<READING_LEN>(bytes)?),
        FAT => {
            take::<READING_LEN>(bytes)?;
            take_bytes(bytes)?;
            take_bytes(bytes)?;
        }
        GONE => drop(take::<GONE_LEN>(bytes)?),
        DIRTY => drop(take_bytes(bytes)?),
        _ => return Err(garbled()),
    }
    Ok(key)
}

pub(super) fn put_text(text: &str, into: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), into);
}

fn put_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    let mut len = bytes.len();
    while len >= 0x80 {
        into.push(u8::try_from(len & 0x7f).unwrap_or_default() | 0x80);
        len >>= 7;
    }
    into.push(u8::try_from(len).unwrap_or_default());
    into.extend_from_slice(bytes);
}

pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> io::Result<&'a str> {
    std::str::from_utf8(take_bytes(bytes)?).map_err(|_| garbled())
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let mut len = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = take::<1>(bytes)?[0];
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (taken, rest) = bytes.split_at_checked(len).ok_or_else(garbled)?;
    *bytes = rest;
    Ok(taken)
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> io::Result<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or_else(garbled)?;
    *bytes = rest;
    Ok(*taken)
}

pub(super) fn garbled() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an intermediate result cannot be read back")
}

/// Entries that are looked at before they are read, one after the other.
const TOUCHED_AT_ONCE: usize = 32;

/// Entries of a part of the keys, in memory.
#[derive(Debug, Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

/// Where an entry begins, and how its key begins: most comparisons end there.
#[derive(Clone, Copy, Debug)]
struct Slot {
    prefix: u64,
    at: usize,
}

/// All that is known of one key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyEntries<'a> {
    /// A text, as bytes: most keys are only compared.
    pub(super) key: &'a [u8],
    /// The newest reading.
    pub(super) reading: Option<Reading<'a>>,
    /// The latest gone mark.
    pub(super) gone: Option<GoneMark>,
    /// Distinct ids.
    pub(super) dirty: Vec<&'a str>,
}

impl Entries {
    /// Forgets all, but keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }

    pub(super) fn push(&mut self, key: &[u8], entry: &Entry<'_>) {
        self.slots.push(Slot { prefix: prefix(key), at: self.bytes.len() });
        encode(key, entry, &mut self.bytes);
    }

    /// Adds entries as [`encode`] wrote them.
    pub(super) fn push_encoded(&mut self, encoded: &[u8]) -> io::Result<()> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(encoded);
        let mut rest = encoded;
        while !rest.is_empty() {
            let at = begin + encoded.len() - rest.len();
            let key = skip(&mut rest)?;
            self.slots.push(Slot { prefix: prefix(key), at });
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The memory that the entries take, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn entry(&self, slot: Slot) -> (&[u8], Entry<'_>) {
        let mut bytes = self.bytes.get(slot.at..).unwrap_or_default();
        decode(&mut bytes).expect("it was decoded when it was added")
    }

    /// Sorted entries lie in memory in no order. Looking at some of them beforehand lets their
    /// cache misses overlap.
    fn touch(&self, slots: &[Slot]) {
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or_default();
        let touched = slots.iter().fold(0, |all, slot| all ^ byte(slot.at) ^ byte(slot.at + 64));
        std::hint::black_box(touched);
    }

    /// Sorts by key.
    pub(super) fn sort(&mut self) {
        let Self { bytes, slots } = self;
        let key = |slot: &Slot| {
            let mut entry = bytes.get(slot.at + 1..).unwrap_or_default();
            take_bytes(&mut entry).unwrap_or_default()
        };
        slots.sort_unstable_by(|one, other| {
            one.prefix.cmp(&other.prefix).then_with(|| key(one).cmp(key(other)))
        });
    }

    /// The keys in order, each with all that is known of it. [Sorted](Self::sort) before.
    pub(super) fn by_key(&self) -> impl Iterator<Item = KeyEntries<'_>> {
        let chunks = self.slots.chunks(TOUCHED_AT_ONCE).inspect(|chunk| self.touch(chunk));
        let mut entries = chunks.flatten().map(|&slot| self.entry(slot)).peekable();
        std::iter::from_fn(move || {
            let (key, first) = entries.next()?;
            let mut known = KeyEntries { key, ..KeyEntries::default() };
            known.add(first);
            while let Some((_, entry)) = entries.next_if(|(other, _)| *other == key) {
                known.add(entry);
            }
            Some(known)
        })
    }

    /// Keeps of each key only what counts. [Sorted](Self::sort) before and after.
    pub(super) fn reduce(&mut self) {
        let mut reduced = Self::default();
        for known in self.by_key() {
            let reading = known.reading.map(Entry::Reading);
            let gone = known.gone.map(Entry::Gone);
            let dirty = known.dirty.iter().map(|id| Entry::Dirty(id));
            for entry in reading.into_iter().chain(gone).chain(dirty) {
                reduced.push(known.key, &entry);
            }
        }
        *self = reduced;
    }
}

impl<'a> KeyEntries<'a> {
    fn add(&mut self, entry: Entry<'a>) {
        match entry {
            Entry::Reading(reading) => {
                if self.reading.is_none_or(|known| known.rank() < reading.rank()) {
                    self.reading = Some(reading);
                }
            }
            Entry::Gone(mark) => self.gone = self.gone.max(Some(mark)),
            Entry::Dirty(id) => {
                if !self.dirty.contains(&id) {
                    self.dirty.push(id);
                }
            }
        }
    }
}

/// The first bytes of a key, as a number that sorts as they do.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = key.len().min(8);
    first[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(first)
}
