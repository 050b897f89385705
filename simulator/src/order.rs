//! A sorted set of numbers that answers "how many are below" and "which is the k-th" quickly, so that
//! a window of change times over a million members is counted without walking it.

use std::ops::Range;

/// Blocks are split at twice this length. A list of a million members has about a thousand blocks:
/// the sum over them and the move inside one of them both take around a microsecond.
const BLOCK: usize = 1024;

/// Distinct numbers in ascending order, kept in blocks none of which is empty.
#[derive(Default)]
pub(crate) struct Order {
    blocks: Vec<Vec<u64>>,
    len: usize,
}

impl Order {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many numbers are below `key`.
    pub(crate) fn rank(&self, key: u64) -> usize {
        let block = self.block_of(key);
        let before: usize = self.blocks.iter().take(block).map(Vec::len).sum();
        before + self.blocks.get(block).map_or(0, |keys| keys.partition_point(|k| *k < key))
    }

    pub(crate) fn insert(&mut self, key: u64) {
        let block = self.block_of(key).min(self.blocks.len().saturating_sub(1));
        let Some(keys) = self.blocks.get_mut(block) else {
            self.blocks.push(vec![key]);
            self.len = 1;
            return;
        };
        let Err(place) = keys.binary_search(&key) else { return };
        keys.insert(place, key);
        self.len += 1;
        if keys.len() >= 2 * BLOCK {
            let upper = keys.split_off(BLOCK);
            self.blocks.insert(block + 1, upper);
        }
    }

    pub(crate) fn remove(&mut self, key: u64) {
        let block = self.block_of(key);
        let Some(keys) = self.blocks.get_mut(block) else { return };
        let Ok(place) = keys.binary_search(&key) else { return };
        keys.remove(place);
        self.len -= 1;
        if keys.is_empty() {
            self.blocks.remove(block);
        }
    }

    /// Takes in many numbers at once; cheaper than one by one when they are many.
    pub(crate) fn extend(&mut self, keys: impl IntoIterator<Item = u64>) {
        let mut all: Vec<u64> = self.blocks.drain(..).flatten().collect();
        all.extend(keys);
        all.sort_unstable();
        all.dedup();
        self.len = all.len();
        self.blocks = all.chunks(BLOCK).map(<[u64]>::to_vec).collect();
    }

    /// The numbers at these places, in order.
    pub(crate) fn places(&self, places: Range<usize>) -> impl DoubleEndedIterator<Item = u64> {
        let (first, skip) = self.locate(places.start);
        let (last, keep) = self.locate(places.end);
        self.blocks.iter().enumerate().skip(first).take((last + 1).saturating_sub(first)).flat_map(
            move |(block, keys)| {
                let from = if block == first { skip } else { 0 };
                let to = if block == last { keep } else { keys.len() };
                keys.get(from..to).unwrap_or_default().iter().copied()
            },
        )
    }

    /// The first block that may hold `key`.
    fn block_of(&self, key: u64) -> usize {
        self.blocks.partition_point(|keys| keys.last().is_some_and(|last| *last < key))
    }

    /// Block and place in it of the `place`-th number.
    fn locate(&self, place: usize) -> (usize, usize) {
        let mut left = place;
        for (block, keys) in self.blocks.iter().enumerate() {
            if left < keys.len() {
                return (block, left);
            }
            left -= keys.len();
        }
        (self.blocks.len(), 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chance::Chance;

    #[test]
    fn answers_what_a_plain_sorted_set_answers() {
        let seed = 42;
        println!("seed {seed}");
        let mut chance = Chance::new(seed);
        let mut order = Order::default();
        let mut plain = BTreeSet::new();
        order.extend((0..5_000).map(|n| n * 7));
        plain.extend((0..5_000).map(|n| n * 7));
        for _ in 0..20_000 {
            let key = chance.below(40_000);
            if chance.below(2) == 0 {
                order.insert(key);
                plain.insert(key);
            } else {
                order.remove(key);
                plain.remove(&key);
            }
        }
        assert_eq!(order.len(), plain.len());
        for key in (0..40_000).step_by(371) {
            assert_eq!(order.rank(key), plain.range(..key).count(), "rank of {key}");
        }
        let sorted: Vec<u64> = plain.into_iter().collect();
        for (from, to) in [(0, 0), (0, 1), (1000, 3500), (sorted.len() - 5, sorted.len())] {
            assert_eq!(order.places(from..to).collect::<Vec<_>>(), sorted[from..to]);
            let mut reversed = sorted[from..to].to_vec();
            reversed.reverse();
            assert_eq!(order.places(from..to).rev().collect::<Vec<_>>(), reversed);
        }
    }
}
