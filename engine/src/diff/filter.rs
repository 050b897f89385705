//! Which digests the base may hold.
//!
//! A row whose digest the base holds is, but for its change time, as it was: its record need not
//! travel. A blocked Bloom filter answers in one cache miss. Its errors cost bytes, never
//! correctness: a row that is wrongly believed known is read again from its page.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tidemark_model::row::Digest;
use tracing::Span;

use super::DiffError;
use crate::snapshot::Snapshot;

/// Bits per digest: one in a thousand unknown digests is believed known.
const BITS_PER_DIGEST: u64 = 16;

/// Bits that each digest sets, all in one block.
const PROBES: u32 = 6;

const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: u64 = BLOCK_WORDS as u64 * 64;

/// A set of digests that may also claim others.
#[derive(Debug)]
pub(super) struct DigestFilter {
    words: Vec<AtomicU64>,
    block_count: u64,
}

impl DigestFilter {
    /// Of all digests of a snapshot, in `max_bytes` at most.
    pub(super) fn of(
        snapshot: &Snapshot,
        max_bytes: u64,
        threads: usize,
    ) -> Result<Self, DiffError> {
        let files = snapshot.files();
        let in_ranges = files.ranges.iter().map(|range| range.file.row_count);
        let in_deltas = files.deltas.iter().map(|delta| delta.file.row_count);
        let bits = in_ranges.chain(in_deltas).sum::<u64>() * BITS_PER_DIGEST;
        let filter = Self::with_blocks(bits.min(max_bytes * 8) / BLOCK_BITS + 1);
        let next = AtomicUsize::new(0);
        let read = || -> Result<(), DiffError> {
            loop {
                let file = next.fetch_add(1, Ordering::Relaxed);
                if file >= snapshot.file_count() {
                    return Ok(());
                }
                snapshot.digests_of_file(file, |digest| filter.insert(digest))?;
            }
        };
        if threads == 1 {
            read()?;
            return Ok(filter);
        }
        let span = Span::current();
        let read = || span.in_scope(read);
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
            readers.into_iter().try_for_each(super::joined)
        })?;
        Ok(filter)
    }

    fn with_blocks(block_count: u64) -> Self {
        let words = usize::try_from(block_count).unwrap_or(usize::MAX) * BLOCK_WORDS;
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), block_count }
    }

    /// A digest is random already: its halves choose the block and the bits.
    fn block_and_bits(&self, digest: &[u8]) -> (usize, u64) {
        let half = |at: usize| {
            let bytes = digest.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let block = (u128::from(half(0)) * u128::from(self.block_count)) >> 64;
        (usize::try_from(block).unwrap_or_default() * BLOCK_WORDS, half(8))
    }

    fn probes(mut bits: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..PROBES).map(move |_| {
            let bit = bits % BLOCK_BITS;
            bits /= BLOCK_BITS;
            (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
        })
    }

    fn insert(&self, digest: &[u8]) {
        let (block, bits) = self.block_and_bits(digest);
        for (word, bit) in Self::probes(bits) {
            let word = &self.words[block + word];
            // Not one atomic step: a bit that is lost between threads makes a digest unknown,
            // which costs bytes.
            word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        }
    }

    /// Whether the digest is known, as far as the filter can tell.
    pub(super) fn claims(&self, digest: &Digest) -> bool {
        let (block, bits) = self.block_and_bits(digest.as_bytes());
        // All bits are looked at, without a branch: several digests' cache misses overlap.
        Self::probes(bits).fold(true, |all, (word, bit)| {
            all & (self.words[block + word].load(Ordering::Relaxed) & bit != 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use tidemark_model::row::RowState;

    use super::*;

    #[test]
    fn knows_what_was_put_in_and_little_else() {
        let digest = |number: u32| Digest::of(&number.to_string(), RowState::Sent, "");
        let filter = DigestFilter::with_blocks(10_000 * BITS_PER_DIGEST / BLOCK_BITS + 1);
        (0..10_000).for_each(|number| filter.insert(digest(number).as_bytes()));
        assert!((0..10_000).all(|number| filter.claims(&digest(number))));
        let claimed = (10_000..110_000).filter(|&number| filter.claims(&digest(number))).count();
        assert!(claimed < 1_000, "{claimed} of 100,000 unknown digests are claimed");
    }
}
