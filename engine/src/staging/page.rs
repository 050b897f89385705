//! The object of a page.
//!
//! ```text
//! header   magic, format, compressed and raw length of each frame, rows, gone marks
//! head     zstd frame: JSON
//! rows     zstd frame: key, state, digest, change time, id and record of each row
//! gone     zstd frame: key and change time of each mark
//! checksum BLAKE3-128 of all above: the front, which is all that the engine reads again
//! body     zstd frame: the response as it came, for people
//! ```

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::row::{Digest, Row, RowState};
use zstd::bulk::{Compressor, Decompressor};

use crate::{
    port::{KeyTime, Page, PageHead},
    store::{Folder, StoreError},
};

const MAGIC: &[u8; 8] = b"tidepage";
const FORMAT: u32 = 1;
const FRAMES: usize = 4;
/// Magic, format, rows, gone marks, and two lengths for each frame.
const HEADER_BYTES: usize = 8 + 4 + 4 + 4 + FRAMES * 8;
const CHECKSUM_BYTES: usize = 16;
/// Enough for the front of most pages, so that one request reads it.
const FIRST_LOOK_BYTES: u64 = 256 * 1024;
/// Less than the smallest effort: rows of one listing resemble each other, and a page is read once
/// or twice before it is swept. Half the time of level 1, a fifth more bytes of rows.
const LEVEL: i32 = -3;

/// A staged page, as a reading names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRef {
    /// Below the connection's folder.
    pub path: String,
    pub sent_at: Timestamp,
    pub row_count: u64,
    pub gone_count: u64,
    /// Bytes of the front: everything but the raw body.
    pub front_bytes: u64,
    /// Over the front.
    pub checksum: Digest,
}

/// What a page says, without its raw body.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) head: PageHead,
    pub(super) rows: Vec<Row>,
    pub(super) gone: Vec<KeyTime>,
    pub(super) page: PageRef,
}

/// Lengths of a frame.
#[derive(Clone, Copy, Debug, Default)]
struct FrameLengths {
    compressed: u32,
    raw: u32,
}

/// The fixed begin of a page's object.
#[derive(Clone, Copy, Debug)]
struct Header {
    row_count: u32,
    gone_count: u32,
    frames: [FrameLengths; FRAMES],
}

/// A page is larger than its object can say.
#[derive(Debug, thiserror::Error)]
#[error("a page has a part of {bytes} bytes, more than {}", u32::MAX)]
pub(super) struct PageTooLarge {
    bytes: usize,
}

/// The page's object and how the reading refers to it.
pub(super) fn encode(path: String, page: &Page) -> Result<(Bytes, PageRef), PageTooLarge> {
    let head = serde_json::to_vec(&page.head).expect("a page's head can be written as JSON");
    let mut rows = Vec::with_capacity(page.rows.iter().map(row_bytes).sum());
    page.rows.iter().for_each(|row| put_row(&mut rows, row));
    let mut gone = Vec::new();
    page.gone.iter().for_each(|mark| put_mark(&mut gone, mark));
    let raw: [&[u8]; FRAMES] = [&head, &rows, &gone, &page.body];

    let mut header = Header {
        row_count: length(page.rows.len())?,
        gone_count: length(page.gone.len())?,
        frames: [FrameLengths::default(); FRAMES],
    };
    // One context for all frames: making it costs as much as a small frame.
    let mut compressor = Compressor::new(LEVEL).expect("zstd knows the level");
    let mut frames = Vec::with_capacity(FRAMES);
    for (raw, lengths) in raw.into_iter().zip(&mut header.frames) {
        let frame = compressor.compress(raw).expect("compressing into memory cannot fail");
        *lengths = FrameLengths { compressed: length(frame.len())?, raw: length(raw.len())? };
        frames.push(frame);
    }
    let body = frames.pop().unwrap_or_default();
    let mut object = header.bytes();
    frames.iter().for_each(|frame| object.extend_from_slice(frame));
    let checksum = checksum(&object);
    object.extend_from_slice(checksum.as_bytes());
    let front_bytes = object.len() as u64;
    object.extend_from_slice(&body);
    let page = PageRef {
        path,
        sent_at: page.head.sent_at,
        row_count: page.rows.len() as u64,
        gone_count: page.gone.len() as u64,
        front_bytes,
        checksum,
    };
    Ok((object.into(), page))
}

/// Reads the front of a page whose size is not known. `None` if there is no such page.
pub(super) async fn find(folder: &Folder, path: &str) -> Result<Option<Front>, StoreError> {
    let first = match folder.get_range(path, 0..FIRST_LOOK_BYTES).await {
        Ok(first) => first,
        Err(StoreError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let front_bytes = Header::get(path, &first)?.front_bytes();
    let front = if first.len() as u64 >= front_bytes {
        first
    } else {
        folder.get_range(path, 0..front_bytes).await?
    };
    decode(path, &front).map(Some)
}

/// Reads the front of a page that a reading names.
pub(super) async fn read(folder: &Folder, page: &PageRef) -> Result<Front, StoreError> {
    let content = folder.get_range(&page.path, 0..page.front_bytes).await?;
    let front = decode(&page.path, &content)?;
    if front.page == *page {
        Ok(front)
    } else {
        Err(damaged(&page.path, "it is not the page that the reading names"))
    }
}

fn decode(path: &str, content: &[u8]) -> Result<Front, StoreError> {
    let header = Header::get(path, content)?;
    let front_bytes = header.front_bytes();
    let cut = || damaged(path, "it is cut");
    let front =
        usize::try_from(front_bytes).ok().and_then(|end| content.get(..end)).ok_or_else(cut)?;
    let (covered, stored) = front.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(cut)?;
    let checksum = checksum(covered);
    if checksum.as_bytes() != stored {
        return Err(damaged(path, "its checksum is not the one that was written down"));
    }
    let [head, rows, gone, _] = header.frames;
    let mut rest = covered.get(HEADER_BYTES..).ok_or_else(cut)?;
    let mut decompressor = Decompressor::new().expect("memory takes a context");
    let mut frame = |lengths| frame(path, &mut decompressor, &mut rest, lengths);
    let (head, rows, gone) = (frame(head)?, frame(rows)?, frame(gone)?);
    let unreadable = || damaged(path, "its rows cannot be read");
    let head: PageHead =
        serde_json::from_slice(&head).map_err(|_| damaged(path, "its head cannot be read"))?;
    let mut bytes = Reader(&rows);
    let rows: Vec<Row> = (0..header.row_count)
        .map(|_| get_row(&mut bytes))
        .collect::<Option<_>>()
        .ok_or_else(unreadable)?;
    let mut bytes = Reader(&gone);
    let gone: Vec<KeyTime> = (0..header.gone_count)
        .map(|_| get_mark(&mut bytes))
        .collect::<Option<_>>()
        .ok_or_else(unreadable)?;
    let page = PageRef {
        path: path.to_owned(),
        sent_at: head.sent_at,
        row_count: u64::from(header.row_count),
        gone_count: u64::from(header.gone_count),
        front_bytes,
        checksum,
    };
    Ok(Front { head, rows, gone, page })
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.row_count.to_le_bytes());
        bytes.extend_from_slice(&self.gone_count.to_le_bytes());
        for lengths in self.frames {
            bytes.extend_from_slice(&lengths.compressed.to_le_bytes());
            bytes.extend_from_slice(&lengths.raw.to_le_bytes());
        }
        bytes
    }

    fn get(path: &str, object: &[u8]) -> Result<Self, StoreError> {
        let mut bytes = Reader(object);
        let cut = || damaged(path, "it is cut");
        if bytes.take(MAGIC.len()).ok_or_else(cut)? != MAGIC {
            return Err(damaged(path, "it is not a page"));
        }
        let format = bytes.number().ok_or_else(cut)?;
        if format > FORMAT {
            return Err(StoreError::NewerFormat { path: path.to_owned(), format, known: FORMAT });
        }
        let row_count = bytes.number().ok_or_else(cut)?;
        let gone_count = bytes.number().ok_or_else(cut)?;
        let mut frames = [FrameLengths::default(); FRAMES];
        for lengths in &mut frames {
            lengths.compressed = bytes.number().ok_or_else(cut)?;
            lengths.raw = bytes.number().ok_or_else(cut)?;
        }
        Ok(Self { row_count, gone_count, frames })
    }

    fn front_bytes(&self) -> u64 {
        let [head, rows, gone, _] = self.frames.map(|frame| u64::from(frame.compressed));
        (HEADER_BYTES + CHECKSUM_BYTES) as u64 + head + rows + gone
    }
}

/// Takes a frame off the front of `rest`. No more is unpacked than the header says.
fn frame(
    path: &str,
    decompressor: &mut Decompressor<'_>,
    rest: &mut &[u8],
    lengths: FrameLengths,
) -> Result<Vec<u8>, StoreError> {
    let compressed = Reader::taken(rest, lengths.compressed as usize)
        .ok_or_else(|| damaged(path, "it is cut"))?;
    let raw = decompressor
        .decompress(compressed, lengths.raw as usize)
        .map_err(|_| damaged(path, "a part of it cannot be unpacked"))?;
    if raw.len() == lengths.raw as usize {
        Ok(raw)
    } else {
        Err(damaged(path, "a part of it is shorter than it was"))
    }
}

fn checksum(front: &[u8]) -> Digest {
    let mut bytes = [0; CHECKSUM_BYTES];
    blake3::Hasher::new().update(front).finalize_xof().fill(&mut bytes);
    Digest::from_bytes(bytes)
}

fn length(bytes: usize) -> Result<u32, PageTooLarge> {
    u32::try_from(bytes).map_err(|_| PageTooLarge { bytes })
}

fn damaged(path: &str, reason: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

fn put_row(bytes: &mut Vec<u8>, row: &Row) {
    put_text(bytes, &row.key);
    bytes.push(row.state.code());
    bytes.extend_from_slice(row.digest.as_bytes());
    bytes.extend_from_slice(&row.modified.to_le_bytes());
    put_text(bytes, &row.id);
    match &row.invalid {
        // A row that is invalid has no record: why it is stands in its place.
        Some(reason) => {
            let reason = serde_json::to_string(reason).expect("a reason can be written as JSON");
            put_text(bytes, &reason);
        }
        None => put_text(bytes, &row.record),
    }
}

/// About the bytes that a row takes.
fn row_bytes(row: &Row) -> usize {
    row.key.len() + row.id.len() + row.record.len() + 32
}

fn get_row(bytes: &mut Reader<'_>) -> Option<Row> {
    let mut row = Row {
        key: bytes.text()?.to_owned(),
        state: RowState::from_code(bytes.byte()?)?,
        digest: Digest::from_bytes(bytes.chunk()?),
        modified: i64::from_le_bytes(bytes.chunk()?),
        id: bytes.text()?.to_owned(),
        record: bytes.text()?.to_owned(),
        invalid: None,
    };
    if row.state == RowState::Invalid {
        // None in older pages; one that a newer version wrote need not be known here.
        row.invalid = serde_json::from_str(&std::mem::take(&mut row.record)).ok();
    }
    Some(row)
}

fn put_mark(bytes: &mut Vec<u8>, mark: &KeyTime) {
    put_text(bytes, &mark.key);
    bytes.extend_from_slice(&mark.modified.to_le_bytes());
}

fn get_mark(bytes: &mut Reader<'_>) -> Option<KeyTime> {
    Some(KeyTime { key: bytes.text()?.to_owned(), modified: i64::from_le_bytes(bytes.chunk()?) })
}

/// A text, its length (LEB128) first.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    loop {
        let [low, ..] = (length & 0x7f).to_le_bytes();
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend_from_slice(text.as_bytes());
}

/// Takes values off the front of bytes; `None` at their end.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    fn taken(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        Self::taken(&mut self.0, count)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn number(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        let mut length = 0_usize;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return std::str::from_utf8(self.take(length)?).ok();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemark_model::{
        receipt::Cost,
        row::{InvalidReason, NotText},
    };

    use super::*;
    use crate::store::Store;

    fn head() -> PageHead {
        PageHead {
            window: "newest".to_owned(),
            number: 3,
            requested_at: Timestamp::UNIX_EPOCH,
            sent_at: Timestamp::UNIX_EPOCH,
            resume: serde_json::json!({ "since": 12 }),
            cost: Cost::default(),
        }
    }

    fn row() -> impl Strategy<Value = Row> {
        ("\\PC{1,300}", any::<i64>(), "\\PC{0,300}", 0_u8..3).prop_map(
            |(key, modified, text, state)| match RowState::from_code(state).unwrap() {
                RowState::Sent => Row::sent(key, modified, text.clone(), text),
                RowState::Invalid if !text.is_empty() => {
                    let reason = InvalidReason::NotText { path: text, found: NotText::Array };
                    Row::invalid(key, modified, reason)
                }
                state => Row::without_record(key, modified, state),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rows in proptest::collection::vec(row(), 0..20),
            gone in proptest::collection::vec(("\\PC{1,40}", any::<i64>()), 0..5),
            body in proptest::collection::vec(any::<u8>(), 0..2_000),
        ) {
            let gone: Vec<KeyTime> =
                gone.into_iter().map(|(key, modified)| KeyTime { key, modified }).collect();
            let page = Page { head: head(), rows, gone, body: body.into() };
            let (object, named) = encode("pages/r/w-0.page".to_owned(), &page).unwrap();
            let front = decode(&named.path, &object).unwrap();
            prop_assert_eq!(front.page, named);
            prop_assert_eq!(front.head, page.head);
            prop_assert_eq!(front.rows, page.rows);
            prop_assert_eq!(front.gone, page.gone);
        }

        #[test]
        fn a_flipped_bit_or_a_cut_is_noticed(at in any::<proptest::sample::Index>(), bit in 0_u8..8) {
            let rows = vec![Row::sent("k".to_owned(), 1, "i".to_owned(), "{}".to_owned())];
            let page = Page { head: head(), rows, gone: Vec::new(), body: Bytes::new() };
            let (object, named) = encode("pages/r/w-0.page".to_owned(), &page).unwrap();
            let front = usize::try_from(named.front_bytes).unwrap();
            let at = at.index(front);
            prop_assert!(decode(&named.path, &object[..at]).is_err());
            let mut object = object.to_vec();
            object[at] ^= 1_u8 << bit;
            prop_assert!(decode(&named.path, &object).is_err());
        }
    }

    #[tokio::test]
    async fn a_front_longer_than_the_first_look_is_read_in_a_second_one() {
        let folder = Store::in_memory().root();
        // Digits of a digest do not compress to less than half of them.
        let record: String = (0..40_000_u32)
            .map(|n| Digest::of(&n.to_string(), RowState::Sent, "").to_string())
            .collect();
        let rows = vec![Row::sent("k".to_owned(), 1, "i".to_owned(), record)];
        let page = Page { head: head(), rows, gone: Vec::new(), body: Bytes::new() };
        let (object, named) = encode("w-0.page".to_owned(), &page).unwrap();
        assert!(named.front_bytes > FIRST_LOOK_BYTES);
        folder.create("w-0.page", object).await.unwrap();
        assert_eq!(find(&folder, "w-0.page").await.unwrap().unwrap().rows, page.rows);
        assert!(find(&folder, "w-1.page").await.unwrap().is_none());
    }
}
