//! Many seeds, on several threads.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use tidemark_model::defect::Defect;

use crate::{Played, Tally, play, shape::Shape};

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Hunt {
    pub seed_count: u64,
    pub tally: Tally,
    /// The seeds in which something was that must never be.
    pub faults: Vec<Played>,
}

/// Plays `count` seeds from `first` on, leaving out those that cannot show what the rule `without` is
/// for. Stops early after `fault_limit` faults, or when `stop` says so.
#[must_use]
pub fn hunt(
    first: u64,
    count: u64,
    threads: usize,
    without: Option<Defect>,
    fault_limit: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Hunt {
    let next = AtomicU64::new(first);
    let played_count = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let hunted = Mutex::new(Hunt::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && !stop() {
                    if played_count.fetch_add(1, Ordering::Relaxed) >= count {
                        return;
                    }
                    let seed = loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if Shape::shows(seed, without) {
                            break seed;
                        }
                    };
                    let played = play(seed, false, without);
                    let mut hunted = hunted.lock().unwrap_or_else(PoisonError::into_inner);
                    hunted.seed_count += 1;
                    hunted.tally.merge(&played.tally);
                    if played.fault.is_some() {
                        hunted.faults.push(played);
                        if hunted.faults.len() >= fault_limit {
                            over.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut hunted = hunted.into_inner().unwrap_or_else(PoisonError::into_inner);
    hunted.faults.sort_by_key(|played| played.seed);
    hunted
}
