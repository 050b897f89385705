//! Random lists, changed at random between and during readings.
//!
//! What must hold after every reading that ends well, with watermark W: each member stands in the
//! mirror as it was at some instant at or after W. So a member that did not change since W stands as
//! it is, one that changed stands as it was at W or has been since, and one that is not in the
//! mirror was not in the list at some such instant.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidemark_connectors::conformance::MemoryReading;
use tidemark_engine::port::ReadRequest;
use tidemark_model::{entry::Coverage, failure::FailureKind};
use tidemark_simulator::{Fault, FaultAction, RandomKind, Seed, Side, Status};

use crate::support::{Bench, Committed, LIST, record, sent};

/// Another seed, or more of them: `TIDEMARK_SEED=7 TIDEMARK_RUNS=500`.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// What members were, over time: by contact id the record (`None` = not in the list) from a second
/// on.
#[derive(Default)]
struct History(BTreeMap<String, Vec<(i64, Option<String>)>>);

impl History {
    /// Takes note of how the list is now.
    fn note(&mut self, bench: &Bench) {
        let now = bench.world().now();
        let mut truth = BTreeMap::new();
        bench
            .world()
            .each_member(LIST, |member| {
                if member.status() != Status::Archived {
                    truth.insert(member.contact_id(), record(member));
                }
            })
            .unwrap();
        let known: BTreeSet<String> = self.0.keys().cloned().collect();
        for key in known.into_iter().chain(truth.keys().cloned()).collect::<BTreeSet<_>>() {
            let states = self.0.entry(key.clone()).or_insert_with(|| vec![(i64::MIN, None)]);
            let state = truth.get(&key).cloned();
            if states.last().is_none_or(|(_, last)| *last != state) {
                states.push((now, state));
            }
        }
    }

    /// Whether a member was in this state at `second` or later.
    fn held_since(&self, second: i64, key: &str, state: Option<&String>) -> bool {
        let Some(states) = self.0.get(key) else { return state.is_none() };
        let last_before = states.iter().rposition(|(from, _)| *from <= second).unwrap_or(0);
        states.iter().skip(last_before).any(|(_, held)| held.as_ref() == state)
    }

    #[track_caller]
    fn assert_holds(&self, committed: &Committed, seed: u64) {
        let since = committed.since.expect("it was read").as_second();
        let held = sent(&committed.rows);
        for key in self.0.keys().chain(held.keys()) {
            let state = held.get(key);
            assert!(
                self.held_since(since, key, state),
                "seed {seed}: {key} stands as {state:?}, watermark {since}, history {:?}",
                self.0.get(key)
            );
        }
    }
}

fn change(bench: &Bench, history: &mut History, chance: &mut StdRng) {
    let kinds = [
        RandomKind::Add,
        RandomKind::Change,
        RandomKind::Change,
        RandomKind::Touch,
        RandomKind::Archive,
        RandomKind::Unarchive,
        RandomKind::DeleteForEver,
        RandomKind::ChangeEmail,
    ];
    for _ in 0..chance.random_range(0..4) {
        let kind = kinds[chance.random_range(0..kinds.len())];
        let count = if chance.random_bool(0.1) { 30 } else { chance.random_range(1..4) };
        // There may be too few to draw from: then as many as there are.
        drop(bench.world().mutate_random(LIST, kind, count, chance.random()));
        history.note(bench);
        // Often within the same second.
        if chance.random_bool(0.4) {
            bench.world().advance(chance.random_range(1..4));
        }
    }
}

/// Scripts holds and faults for pages that are asked for soon; returns the names of the holds.
fn disturb(bench: &Bench, chance: &mut StdRng) -> Vec<String> {
    let members = format!("/3.0/lists/{LIST}/members");
    let mut holds = Vec::new();
    for number in 0..chance.random_range(0..8) {
        let id = format!("hold {number}");
        let action = match chance.random_range(0..8) {
            0..3 => FaultAction::Hold { id: id.clone() },
            3..6 => FaultAction::ApplyThenHold { id: id.clone() },
            6 => FaultAction::CutShort,
            _ => FaultAction::Html { status: 502 },
        };
        if matches!(action, FaultAction::Hold { .. } | FaultAction::ApplyThenHold { .. }) {
            holds.push(id);
        }
        let fault = Fault::next(Side::Source, action).path(&members);
        bench.world().add_fault(fault.after(chance.random_range(0..6)));
    }
    holds
}

/// Changes the list whenever a page is held.
async fn change_at(
    holds: &mut Vec<String>,
    bench: &Bench,
    history: &mut History,
    chance: &mut StdRng,
) {
    while !holds.is_empty() {
        let waits = holds.iter().map(|id| Box::pin(bench.world().wait_held(id, 1)));
        let (_, held, _) = futures::future::select_all(waits).await;
        let id = holds.remove(held);
        change(bench, history, chance);
        bench.world().release(&id);
    }
    std::future::pending().await
}

async fn play(seed: u64) -> (u32, u32) {
    let mut chance = StdRng::seed_from_u64(seed);
    let settle = [0, 3, 30][chance.random_range(0..3)];
    let page_size = [2, 7, 20, 100][chance.random_range(0..4)];
    let slots = chance.random_range(1..4);
    let source =
        format!("settle = \"{settle}s\"\npage_size = {page_size}\nsimultaneous_requests = {slots}");
    let ties = chance.random_range(0..100);
    let count = chance.random_range(0..250);
    let mix = Seed { count, seed, ties, span: 4_000, ..Seed::default() };
    let bench = Bench::with_source(&mix, &source).await;
    bench.world().set_lag(LIST, chance.random_range(0..=settle)).unwrap();
    let mut history = History::default();
    history.note(&bench);
    let mut committed = Committed::default();
    let (mut proven, mut unproven) = (0, 0);
    for _ in 0..6 {
        change(&bench, &mut history, &mut chance);
        bench.world().advance([0, 1, 60, 3_600][chance.random_range(0..4)]);
        let coverage = match committed.since {
            Some(_) if chance.random_bool(0.8) => Coverage::Changes,
            _ => Coverage::Full,
        };
        let keys = committed.rows.keys();
        let must_see = keys.filter(|_| chance.random_bool(0.01)).cloned().collect();
        let request = ReadRequest { coverage, since: committed.since, must_see };
        let pages = MemoryReading::over(committed.rows.clone());
        let mut holds = disturb(&bench, &mut chance);
        // Attempts of one run, until it ends for good.
        let ended = loop {
            if chance.random_bool(0.2) {
                pages.fail_after(Some(chance.random_range(0..5)));
            } else {
                pages.fail_after(None);
            }
            let source = bench.fresh_source();
            let reading = source.read(&request, &pages, &pages, &bench.host);
            let changing = change_at(&mut holds, &bench, &mut history, &mut chance);
            let ended =
                tokio::select! { ended = reading => ended, () = changing => unreachable!() };
            match ended {
                Ok(reading) => break Some(reading),
                Err(failure) => match failure.kind {
                    FailureKind::Waiting => {
                        let wait = failure.retry_after.unwrap_or_default().as_secs() + 1;
                        bench.world().advance(i64::try_from(wait).unwrap());
                    }
                    FailureKind::Transient => {}
                    FailureKind::Unproven => break None,
                    kind => panic!("seed {seed}: {failure} ({kind:?}, {:?})", failure.causes),
                },
            }
        };
        bench.world().clear_faults();
        match ended {
            None => unproven += 1,
            Some(reading) => {
                let rows = pages.commit(&reading);
                assert_eq!(rows.len() as u64, reading.proof.source_total, "seed {seed}");
                committed = Committed { rows, since: Some(reading.complete_as_of) };
                history.assert_holds(&committed, seed);
                proven += 1;
            }
        }
    }
    // Once the list rests, the next reading has everything.
    bench.world().advance(7_200);
    let read = bench.read(&committed).await;
    bench.assert_in_step(&read.committed);
    (proven, unproven)
}

#[tokio::test]
async fn every_reading_that_ends_well_is_right() {
    let first = setting("TIDEMARK_SEED", 1);
    let runs = setting("TIDEMARK_RUNS", 25);
    let (mut proven, mut unproven) = (0, 0);
    for seed in first..first + runs {
        println!("seed {seed}");
        let (more, less) = play(seed).await;
        proven += more;
        unproven += less;
    }
    println!("{proven} readings proven, {unproven} not");
    assert!(proven > 4 * unproven, "{proven} readings proven, {unproven} not");
}
