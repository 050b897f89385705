//! Parts of a file that can be read and verified on their own.
//!
//! The log names a file with the BLAKE3 checksum of the whole. BLAKE3 is a tree: the file's footer
//! carries the chaining value of each 64 KiB block before it, and these and the file's tail give
//! the checksum of the whole again. So one read of the tail verifies the list of blocks, and each
//! block is verified when it is read: a look-up in a large file costs what it looks at, and
//! nothing is believed unread.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use bytes::Bytes;

/// The bytes of a block: a power of two of BLAKE3's chunks.
const BLOCK_LEN: usize = 64 * 1024;

pub(super) const BLOCK: u64 = BLOCK_LEN as u64;

/// What the list of blocks begins with, in the file's footer.
const MARK: &str = "tidemark-blocks:";

/// The length of the list's count, in hexadecimal digits.
const COUNT_DIGITS: usize = 8;

fn chaining_value(offset: u64, content: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(content);
    hasher.finalize_non_root()
}

/// Takes note of the blocks of a file while it is written.
#[derive(Debug, Default)]
pub(super) struct BlockList {
    values: Vec<ChainingValue>,
    pending: Vec<u8>,
}

impl BlockList {
    pub(super) fn update(&mut self, mut content: &[u8]) {
        while self.pending.len() + content.len() >= BLOCK_LEN {
            let (now, rest) = content.split_at(BLOCK_LEN - self.pending.len());
            content = rest;
            let offset = self.values.len() as u64 * BLOCK;
            let value = if self.pending.is_empty() {
                chaining_value(offset, now)
            } else {
                self.pending.extend_from_slice(now);
                chaining_value(offset, &self.pending)
            };
            self.values.push(value);
            self.pending.clear();
        }
        self.pending.extend_from_slice(content);
    }

    /// The list as it stands in the footer.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{MARK}{:0COUNT_DIGITS$x}:", self.values.len());
        for value in &self.values {
            text.push_str(blake3::Hash::from_bytes(*value).to_hex().as_str());
        }
        text
    }
}

/// A file whose list of blocks was verified.
#[derive(Debug)]
pub(super) struct Blocks {
    values: Vec<ChainingValue>,
}

/// Why a tail did not verify a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TailError {
    /// The list begins before the tail, or the last block ends before it: read this many bytes.
    TooShort(u64),
    Damaged,
}

impl Blocks {
    /// Finds the list in the file's tail and verifies it, and the tail, against the checksum of
    /// the whole file.
    pub(super) fn verify(tail: &Bytes, len: u64, checksum: &str) -> Result<Self, TailError> {
        let longer = TailError::TooShort((tail.len() as u64 * 4).min(len));
        let whole = tail.len() as u64 == len;
        let Some(values) = list(tail) else {
            return Err(if whole { TailError::Damaged } else { longer });
        };
        let covered = values.len() as u64 * BLOCK;
        if covered >= len {
            return Err(TailError::Damaged);
        }
        if covered < len - tail.len() as u64 {
            return Err(TailError::TooShort(len - covered));
        }
        let tree = Tree { values: &values, tail, tail_start: len - tail.len() as u64 };
        if tree.root(len).to_hex().as_str() != checksum {
            // A mark among the data can shadow the list only in a tail that holds no list.
            return Err(if whole { TailError::Damaged } else { longer });
        }
        Ok(Self { values })
    }

    /// Where the part begins that no block covers.
    pub(super) fn end(&self) -> u64 {
        self.values.len() as u64 * BLOCK
    }

    /// Whether the content of whole blocks, from `offset` on, is what was written.
    pub(super) fn hold(&self, offset: u64, content: &[u8]) -> bool {
        let first = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        content.chunks(BLOCK_LEN).enumerate().all(|(index, block)| {
            let begin = offset + index as u64 * BLOCK;
            self.values.get(first + index) == Some(&chaining_value(begin, block))
        })
    }
}

/// The last list in a text; it is the one of the footer, which ends the file.
fn list(tail: &[u8]) -> Option<Vec<ChainingValue>> {
    let mark = tail.windows(MARK.len()).rposition(|window| window == MARK.as_bytes())?;
    let text = tail.get(mark + MARK.len()..)?;
    let (count, text) = text.split_at_checked(COUNT_DIGITS)?;
    let count = usize::from_str_radix(std::str::from_utf8(count).ok()?, 16).ok()?;
    let digits = text.strip_prefix(b":")?.get(..count.checked_mul(64)?)?;
    digits.chunks(64).map(|hex| Some(*blake3::Hash::from_hex(hex).ok()?.as_bytes())).collect()
}

struct Tree<'a> {
    values: &'a [ChainingValue],
    tail: &'a [u8],
    tail_start: u64,
}

impl Tree<'_> {
    fn root(&self, len: u64) -> blake3::Hash {
        if self.values.is_empty() {
            return blake3::hash(self.tail);
        }
        let left = left_subtree_len(len);
        merge_subtrees_root(&self.node(0, left), &self.node(left, len - left), Mode::Hash)
    }

    fn node(&self, offset: u64, len: u64) -> ChainingValue {
        let block = usize::try_from(offset / BLOCK).unwrap_or(usize::MAX);
        match self.values.get(block) {
            Some(value) if len == BLOCK => *value,
            None => {
                let from = usize::try_from(offset - self.tail_start).unwrap_or(usize::MAX);
                let to = from.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                chaining_value(offset, self.tail.get(from..to).unwrap_or_default())
            }
            Some(_) => {
                let left = left_subtree_len(len);
                let (one, other) = (self.node(offset, left), self.node(offset + left, len - left));
                merge_subtrees_non_root(&one, &other, Mode::Hash)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file: content, list of blocks, a few bytes more.
    fn file(content_len: usize) -> (Bytes, String) {
        let content: Vec<u8> = (0..content_len).map(|index| index.to_le_bytes()[0]).collect();
        let mut list = BlockList::default();
        for piece in content.chunks(10_007) {
            list.update(piece);
        }
        let mut file = content;
        file.extend_from_slice(list.to_text().as_bytes());
        file.extend_from_slice(b"end");
        let checksum = blake3::hash(&file).to_hex().to_string();
        (file.into(), checksum)
    }

    #[test]
    fn tail_and_blocks_give_the_checksum_of_the_whole() {
        let block = BLOCK_LEN;
        for len in [0, 1, 1_000, block - 1, block, block + 1, 3 * block, 5 * block + 7, 8 * block] {
            let (file, checksum) = file(len);
            let blocks = Blocks::verify(&file, file.len() as u64, &checksum).unwrap();
            assert_eq!(blocks.end(), (len / block * block) as u64, "{len}");
            let end = len / block * block;
            assert!(blocks.hold(0, &file[..end]));
            let tail = file.slice(end..);
            Blocks::verify(&tail, file.len() as u64, &checksum).unwrap();
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (file, checksum) = file(3 * BLOCK_LEN + 500);
        let blocks = Blocks::verify(&file, file.len() as u64, &checksum).unwrap();
        for place in (0..file.len()).step_by(997).chain(file.len() - 400..file.len()) {
            let mut damaged = file.to_vec();
            damaged[place] ^= 4;
            if (place as u64) < blocks.end() {
                let begin = place / BLOCK_LEN * BLOCK_LEN;
                let block = &damaged[begin..begin + BLOCK_LEN];
                assert!(!blocks.hold(begin as u64, block), "{place}");
            } else {
                let found = Blocks::verify(&damaged.into(), file.len() as u64, &checksum);
                assert_eq!(found.err(), Some(TailError::Damaged), "{place}");
            }
        }
    }

    #[test]
    fn a_short_tail_asks_for_more() {
        let (file, checksum) = file(3 * BLOCK_LEN + 500);
        let len = file.len() as u64;
        let short = file.slice(file.len() - 100..);
        assert_eq!(Blocks::verify(&short, len, &checksum).err(), Some(TailError::TooShort(400)));
        let list_only = file.slice(file.len() - 300..);
        assert_eq!(
            Blocks::verify(&list_only, len, &checksum).err(),
            Some(TailError::TooShort(len - 3 * BLOCK))
        );
    }
}
