//! A small variant of the month, and proof that the truth notices wrong rules.

use tidemark_monitor::rules::Kind;

use super::*;

/// Large enough that what is in the script happens to somebody.
const SMALL: Size = Size { connections: 200, days: 10 };
/// Without what takes a week.
const SHORT: Size = Size { connections: 200, days: 5 };

fn tally(seed: u64, size: Size, defect: Defect) -> Tally {
    let (tally, run_count) = simulate(seed, size, defect);
    say(&format!("seed {seed}, {defect:?}: {run_count} runs, {:?}", tally.kinds));
    tally
}

#[test]
fn everybody_is_told_once_in_time_and_of_nothing_else() {
    let mut all = Tally::default();
    for seed in [1, 2, 3] {
        let tally = tally(seed, SMALL, Defect::None);
        assert!(tally.flawless(), "seed {seed}: {:#?}", tally.wrong);
        all.add(&tally);
    }
    for (kind, counts) in &all.kinds {
        assert!(counts.told > 0, "nothing was {kind}");
        assert!(counts.latest <= 300 && counts.latest_audited <= 3_600, "{kind}: {counts:?}");
    }
    assert!(all.outages.told > 0, "nothing was out");
}

#[test]
fn a_month_can_be_repeated() {
    let (one, other) = (tally(4, SHORT, Defect::None), tally(4, SHORT, Defect::None));
    assert_eq!((one.kinds, one.notices), (other.kinds, other.notices));
}

fn sum(defect: Defect, count: fn(&Counts) -> u64) -> u64 {
    tally(1, SHORT, defect).kinds.values().map(count).sum()
}

#[test]
fn a_watch_that_believes_visibility_is_caught() {
    assert!(sum(Defect::BelievesVisibility, |counts| counts.lies) > 0);
}

#[test]
fn a_watch_that_sees_only_what_visibility_shows_is_caught() {
    let tally = tally(1, SMALL, Defect::NoAudit);
    for kind in [Kind::Late, Kind::Schedule, Kind::Paused] {
        assert!(tally.kinds.get(&kind).is_some_and(|counts| counts.missed > 0), "{kind}");
    }
}

#[test]
fn a_watch_without_patience_for_first_syncs_is_caught() {
    assert!(sum(Defect::NoFirstSync, |counts| counts.lies) > 0);
}

#[test]
fn a_watch_that_trusts_every_clock_is_caught() {
    assert!(sum(Defect::NoSkew, |counts| counts.lies) > 0);
}

#[test]
fn a_watch_that_takes_no_silence_for_an_outage_is_caught() {
    let tally = tally(1, SMALL, Defect::NoOutages);
    assert!(tally.outages.missed > 0);
    assert!(tally.kinds.values().any(|counts| counts.lies > 0));
}

#[test]
fn a_watch_that_forgets_at_a_restart_is_caught() {
    assert!(sum(Defect::ForgetsAtRestart, |counts| counts.twice) > 0);
}
