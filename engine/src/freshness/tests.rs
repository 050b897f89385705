//! What is said of what is proven.

use std::time::Duration;

use jiff::Timestamp;
use tidemark_model::{
    entry::RunNumber,
    ids::{AccountId, ConnectionId},
};

use super::{AccountFreshness, Counts, Freshness, Proven, State, Unproven};

const HOUR: Duration = Duration::from_hours(1);

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

fn id(name: &str) -> ConnectionId {
    ConnectionId::new(&format!("acme/{name}")).unwrap()
}

fn proven(complete_as_of: &str) -> Proven {
    Proven {
        run: RunNumber::FIRST,
        complete_as_of: at(complete_as_of),
        committed_at: at(complete_as_of),
        counts: Counts::default(),
    }
}

/// At ten o'clock, an hour being old enough.
fn judge(name: &str, proven: Result<Proven, Unproven>) -> Freshness {
    Freshness::judge(id(name), proven, HOUR, at("10:00:00"))
}

#[test]
fn a_watermark_is_fresh_up_to_the_age_that_is_asked_for() {
    let exact = judge("a", Ok(proven("09:00:00")));
    assert_eq!((exact.state, exact.age), (State::Fresh, Some(HOUR)));
    assert_eq!(exact.reason, "complete as of 2026-11-21T09:00:00Z, 1h ago");

    // A part of a second is a second more, so that what is said is what is decided by.
    let older = judge("a", Ok(proven("08:59:59.999")));
    assert_eq!(older.state, State::NotFresh);
    assert_eq!(older.age, Some(HOUR + Duration::from_secs(1)));
    assert_eq!(
        older.reason,
        "complete as of 2026-11-21T08:59:59Z, 1h 1s ago, and at most 1h is asked for"
    );
}

#[test]
fn a_clock_that_runs_behind_makes_nothing_younger() {
    let committed = Proven { committed_at: at("12:00:00"), ..proven("09:30:00") };
    let judged = judge("a", Ok(committed));
    assert_eq!(judged.state, State::NotFresh);
    assert_eq!(judged.age, Some(Duration::from_mins(150)));
}

#[test]
fn a_watermark_of_the_future_has_no_age() {
    let judged = judge("a", Ok(proven("10:00:30")));
    assert_eq!((judged.state, judged.age), (State::Fresh, Some(Duration::ZERO)));
}

#[test]
fn exceptions_are_told_and_accepted_only_by_those_who_say_so() {
    let counts = Counts { exceptions: 6, rejected: 3, held: 1, waived: 4 };
    let judged = judge("a", Ok(Proven { counts, ..proven("09:30:00") }));
    assert_eq!(judged.state, State::FreshExcept);
    assert_eq!(
        judged.reason,
        "complete as of 2026-11-21T09:30:00Z, 30m ago, except for 6 records (3 refused by the \
         destination, 2 that cannot be mapped, 1 whose removal is held)"
    );
    assert!(judged.state.passes(true) && !judged.state.passes(false));
    // Waived ones alone are none.
    let counts = Counts { waived: 4, ..Counts::default() };
    assert_eq!(judge("a", Ok(Proven { counts, ..proven("09:30:00") })).state, State::Fresh);
    // What is too old is that, whatever is accepted.
    let counts = Counts { exceptions: 1, rejected: 1, ..Counts::default() };
    let old = judge("a", Ok(Proven { counts, ..proven("07:00:00") }));
    assert!(!old.state.passes(true));
}

#[test]
fn what_is_not_proven_is_never_fresh() {
    for unproven in [
        Unproven::NeverInStep,
        Unproven::Edited { version: 2 },
        Unproven::RecordsRemoved,
        Unproven::LateBatch,
    ] {
        let judged = Freshness::judge(id("a"), Err(unproven), Duration::MAX, at("10:00:00"));
        assert_eq!((judged.state, judged.complete_as_of), (State::NotFresh, None));
        assert_eq!(judged.reason, unproven.to_string());
    }
}

fn account(connections: Vec<Freshness>) -> AccountFreshness {
    AccountFreshness::over(&AccountId::new("acme").unwrap(), connections).unwrap()
}

#[test]
fn an_account_is_as_fresh_as_its_oldest_connection() {
    let all = account(vec![
        judge("a", Ok(proven("09:30:00"))),
        judge("b", Ok(proven("09:10:00"))),
        judge("c", Ok(proven("09:50:00"))),
    ]);
    assert_eq!(
        (all.state, all.age, all.complete_as_of),
        (State::Fresh, Some(Duration::from_mins(50)), Some(at("09:10:00")))
    );
    assert_eq!(
        all.reason,
        "acme/b: complete as of 2026-11-21T09:10:00Z, 50m ago; it is the oldest of 3 connections"
    );
}

#[test]
fn the_worst_state_wins_over_age() {
    let counts = Counts { exceptions: 2, held: 2, ..Counts::default() };
    let all = account(vec![
        judge("a", Ok(proven("09:01:00"))),
        judge("b", Ok(Proven { counts, ..proven("09:59:00") })),
    ]);
    assert_eq!((all.state, all.counts), (State::FreshExcept, counts));
    // The age is that of the oldest nevertheless.
    assert_eq!(all.age, Some(Duration::from_mins(59)));
    assert_eq!(
        all.reason,
        "acme/b: complete as of 2026-11-21T09:59:00Z, 1m ago, except for 2 records (2 whose \
         removal is held); so is 1 of 2 connections"
    );
}

#[test]
fn one_that_never_was_in_step_is_older_than_any() {
    let all = account(vec![
        judge("a", Ok(proven("07:00:00"))),
        judge("b", Err(Unproven::NeverInStep)),
        judge("c", Ok(proven("09:30:00"))),
    ]);
    assert_eq!((all.state, all.age, all.complete_as_of), (State::NotFresh, None, None));
    assert_eq!(
        all.reason,
        "acme/b: never in step: no run of it has committed yet; so are 2 of 3 connections"
    );
}

#[test]
fn an_account_without_connections_is_neither_fresh_nor_not() {
    assert_eq!(AccountFreshness::over(&AccountId::new("acme").unwrap(), Vec::new()), None);
}
