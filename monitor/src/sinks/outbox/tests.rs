use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::rules::{Cause, Kind};

const RESEND_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// An outbox that is written and read again between any two steps.
struct Desk {
    outbox: Outbox,
    sinks: Vec<&'static str>,
}

impl Desk {
    fn of(sinks: &[&'static str]) -> Self {
        Self { outbox: Outbox::default(), sinks: sinks.to_vec() }
    }

    fn restart(&mut self) {
        let text = serde_json::to_string(&self.outbox).unwrap();
        let read: Outbox = serde_json::from_str(&text).unwrap();
        assert_eq!(read, self.outbox);
        self.outbox = read;
    }

    fn add(&mut self, key: &str, number: u64, second: i64) {
        let sinks: Vec<String> = self.sinks.iter().map(ToString::to_string).collect();
        self.outbox.add(notice(key, number), sinks, at(second));
    }

    /// What is due, as `sink key`.
    fn due(&mut self, second: i64) -> Vec<String> {
        self.restart();
        self.given_out(second)
    }

    fn given_out(&mut self, second: i64) -> Vec<String> {
        let sinks = self.sinks.iter().copied().collect();
        let due = self.outbox.due(at(second), &sinks, RESEND_AFTER);
        due.into_iter().map(|(sink, notice)| format!("{sink} {}", notice.key)).collect()
    }

    fn sent(&mut self, key: &str, sink: &str, second: i64) {
        self.outbox.sent(key, sink, at(second));
    }

    fn failed(&mut self, key: &str, sink: &str, second: i64) {
        self.outbox.failed(Some(key), sink, at(second), &down());
    }

    fn own(&mut self) -> Vec<String> {
        self.restart();
        self.outbox.take_own().iter().map(|notice| format!("{}: {notice}", notice.key)).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn down() -> SinkError {
    SinkError::Failed { status: 500, reason: "out of order".to_owned() }
}

fn not_taken() -> SinkError {
    SinkError::NotTaken { status: 400, reason: "invalid_payload".to_owned() }
}

/// A notice about a connection of its own.
fn notice(key: &str, number: u64) -> Notice {
    Notice {
        key: key.to_owned(),
        at: at(0),
        phase: Phase::Opened,
        subject: Subject::Connection {
            connection: format!("acme/c{number}").parse().unwrap(),
            kind: Kind::Late,
            cause: Cause::NoRun,
            ending: None,
        },
    }
}

const DAY: i64 = 24 * 3_600;

#[test]
fn a_notice_waits_for_each_sink_that_owes_it() {
    let mut desk = Desk::of(&["a", "b"]);
    desk.add("one", 1, 0);
    assert_eq!(desk.due(0), ["a one", "b one"]);
    desk.sent("one", "a", 1);
    assert_eq!(desk.outbox.states()["b"].waiting_count, 1);
    desk.sent("one", "b", 1);
    assert_eq!(desk.due(DAY), Vec::<String>::new());
    assert_eq!(desk.outbox.states(), BTreeMap::new());
}

#[test]
fn what_was_given_out_is_given_out_again_a_minute_later() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    assert_eq!(desk.due(0), ["a one"]);
    assert_eq!(desk.due(59), Vec::<String>::new());
    assert_eq!(desk.due(60), ["a one"]);
    assert_eq!(desk.due(119), Vec::<String>::new());
    assert_eq!(desk.due(120), ["a one"]);
}

#[test]
fn what_nobody_tried_is_due_at_once() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    assert_eq!(desk.due(0), ["a one"]);
    desk.outbox.returned("one", "a");
    assert_eq!(desk.due(1), ["a one"]);
}

#[test]
fn a_notice_that_waits_already_is_not_written_down_twice() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    assert_eq!(desk.due(0), ["a one"]);
    desk.add("one", 1, 1);
    assert_eq!(desk.due(1), Vec::<String>::new());
    desk.sent("one", "a", 1);
    assert_eq!(desk.due(DAY), Vec::<String>::new());
}

#[test]
fn a_sink_that_fails_is_tried_less_and_less_often_and_the_others_go_on() {
    let mut desk = Desk::of(&["a", "b"]);
    desk.add("one", 1, 0);
    let mut tried = Vec::new();
    for second in 0..1_200 {
        for due in desk.due(second) {
            match due.split_once(' ').unwrap() {
                ("a", key) => {
                    tried.push(second);
                    desk.failed(key, "a", second);
                }
                (sink, key) => desk.sent(key, sink, second),
            }
        }
    }
    assert_eq!(tried, [0, 30, 90, 210, 450, 750, 1_050]);
    desk.add("two", 2, 1_200);
    assert_eq!(desk.due(1_200), ["b two"]);
}

#[test]
fn a_sink_that_fails_is_given_one_notice_at_a_time_and_all_once_it_works() {
    let mut desk = Desk::of(&["a"]);
    for number in 0..30 {
        desk.add(&format!("k{number:02}"), number, 0);
    }
    assert_eq!(desk.due(0).len(), BATCH);
    desk.failed("k00", "a", 0);
    for number in 1..BATCH {
        desk.outbox.returned(&format!("k{number:02}"), "a");
    }
    assert_eq!(desk.due(29), Vec::<String>::new());
    // Not the one again that was not taken.
    assert_eq!(desk.due(30), ["a k01"]);
    // Another process gets nothing meanwhile.
    assert_eq!(desk.due(31), Vec::<String>::new());
    desk.sent("k01", "a", 32);
    let due = desk.due(32);
    assert_eq!(due.len(), BATCH);
    assert_eq!(due[..2], ["a k00", "a k02"]);
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    let _ = desk.due(0);
    let retry_after = Some(std::time::Duration::from_secs(600));
    let busy = SinkError::Busy { status: 429, retry_after };
    desk.outbox.failed(Some("one"), "a", at(0), &busy);
    assert!(desk.outbox.rests("a", at(599)));
    assert_eq!(desk.due(599), Vec::<String>::new());
    assert_eq!(desk.due(600), ["a one"]);
}

#[test]
fn a_notice_that_is_not_taken_does_not_keep_the_others() {
    let mut desk = Desk::of(&["a"]);
    desk.add("bad", 1, 0);
    let mut tried = Vec::new();
    for second in 0..7_200 {
        if second % 100 == 0 {
            desk.add(&format!("good{second}"), 2, second);
        }
        for due in desk.due(second) {
            let key = due.strip_prefix("a ").unwrap();
            if key == "bad" {
                tried.push(second);
                desk.outbox.failed(Some(key), "a", at(second), &not_taken());
            } else {
                desk.sent(key, "a", second);
            }
        }
        let waiting = desk.outbox.states()["a"].waiting_count;
        assert!(second % 100 < 31 || waiting == 1, "{second}: {waiting}");
    }
    assert!(tried.len() < 12, "{tried:?}");
    // Others were taken in between: the sink works.
    assert_eq!(desk.own(), Vec::<String>::new());
}

#[test]
fn notices_of_one_subject_are_told_in_order() {
    let mut desk = Desk::of(&["a"]);
    desk.add("late", 1, 0);
    assert_eq!(desk.due(0), ["a late"]);
    desk.add("late/closed", 1, 10);
    desk.add("other", 2, 10);
    // The first one is under way with another process.
    assert_eq!(desk.due(10), ["a other"]);
    desk.sent("other", "a", 10);
    desk.failed("late", "a", 11);
    assert_eq!(desk.due(41), ["a late"]);
    desk.failed("late", "a", 41);
    // Not the one that was tried less often, because it comes after.
    assert_eq!(desk.due(200), ["a late"]);
    desk.sent("late", "a", 200);
    assert_eq!(desk.due(200), ["a late/closed"]);
}

#[test]
fn a_sink_that_fails_is_told_of_once_and_once_more_when_it_works() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    for second in [0, 30, 90, 210] {
        assert_eq!(desk.due(second), ["a one"]);
        desk.failed("one", "a", second);
        assert_eq!(desk.own(), Vec::<String>::new(), "{second}");
    }
    assert_eq!(desk.outbox.standing(), []);
    assert_eq!(desk.due(450), ["a one"]);
    desk.failed("one", "a", 450);
    let told = desk.own();
    assert_eq!(desk.outbox.standing().len(), 1);
    assert_eq!(desk.due(750), ["a one"]);
    desk.failed("one", "a", 750);
    assert_eq!(desk.own(), Vec::<String>::new());
    assert_eq!(desk.due(1_050), ["a one"]);
    desk.sent("one", "a", 1_050);
    let over = desk.own();
    assert_eq!(desk.outbox.standing(), []);
    assert_eq!(desk.own(), Vec::<String>::new());
    insta::assert_snapshot!([told, over].concat().join("\n"), @r"
    sink/a/2027-01-15T08:00:00Z: sink a has taken no notice since 2027-01-15T08:00:00Z: it answered 500: it does not work: out of order (the operators of the receiver must act)
    sink/a/2027-01-15T08:00:00Z/closed: over: sink a took no notice from 2027-01-15T08:00:00Z to 2027-01-15T08:17:30Z
    ");
}

#[test]
fn a_sink_that_fails_for_a_quarter_of_an_hour_is_told_of() {
    let mut desk = Desk::of(&["a"]);
    desk.outbox.failed(None, "a", at(0), &down());
    desk.outbox.failed(None, "a", at(899), &down());
    assert_eq!(desk.own(), Vec::<String>::new());
    desk.outbox.failed(None, "a", at(900), &down());
    assert_eq!(desk.own().len(), 1);
}

#[test]
fn a_failure_that_passes_is_not_told() {
    let mut desk = Desk::of(&["a"]);
    for second in (0..10_000).step_by(100) {
        desk.outbox.failed(None, "a", at(second), &down());
        desk.outbox.works("a", at(second + 50));
    }
    assert_eq!(desk.own(), Vec::<String>::new());
}

#[test]
fn after_a_week_a_notice_is_given_up_and_that_is_told() {
    let mut desk = Desk::of(&["a", "b"]);
    desk.add("one", 1, 0);
    desk.add("two", 2, 0);
    let _ = desk.due(0);
    for key in ["one", "two"] {
        desk.sent(key, "b", 0);
        desk.failed(key, "a", 0);
    }
    assert_eq!(desk.due(7 * DAY - 1), ["a one"]);
    assert_eq!(desk.own(), Vec::<String>::new());
    assert_eq!(desk.due(7 * DAY), Vec::<String>::new());
    insta::assert_snapshot!(desk.own().join("\n"), @r"
    sink/a/given-up/2027-01-22T08:00:00Z: sink a: notices kept too long and given up: 2: it answered 500: it does not work: out of order (the operators of the receiver must act)
    ");
    assert_eq!(desk.due(8 * DAY), Vec::<String>::new());
    assert_eq!(desk.own(), Vec::<String>::new());
}

#[test]
fn a_sink_that_was_removed_owes_nothing_an_hour_later() {
    let mut desk = Desk::of(&["a", "b"]);
    desk.add("one", 1, 0);
    let _ = desk.due(0);
    desk.sent("one", "a", 0);
    for _ in 0..5 {
        desk.failed("one", "b", 0);
    }
    assert_eq!(desk.own().len(), 1);
    desk.sinks = vec!["a"];
    assert_eq!(desk.due(100), Vec::<String>::new());
    assert_eq!(desk.due(100 + 3_599), Vec::<String>::new());
    assert_eq!(desk.outbox.states()["b"].waiting_count, 1);
    assert_eq!(desk.due(100 + 3_600), Vec::<String>::new());
    assert_eq!(desk.outbox.states(), BTreeMap::new());
    insta::assert_snapshot!(desk.own().join("\n"), @r"sink/b/2027-01-15T08:00:00Z/closed: over: sink b was removed");
    assert_eq!(desk.outbox, Outbox { next_number: 1, ..Outbox::default() });
}

#[test]
fn a_process_that_does_not_know_a_new_sink_yet_takes_nothing_from_it() {
    let mut old = Desk::of(&["a"]);
    let mut new = Desk::of(&["a", "b"]);
    new.add("one", 1, 0);
    for second in (0..4 * 3_600).step_by(60) {
        old.outbox = new.outbox.clone();
        let _ = old.due(second);
        new.outbox = old.outbox.clone();
        let _ = new.due(second + 30);
    }
    assert_eq!(new.outbox.states()["b"].waiting_count, 1);
}

#[test]
fn what_another_process_sent_meanwhile_has_not_failed() {
    let mut desk = Desk::of(&["a"]);
    desk.add("one", 1, 0);
    let _ = desk.due(0);
    desk.sent("one", "a", 1);
    desk.failed("one", "a", 2);
    assert_eq!(desk.outbox.states(), BTreeMap::new());
}

/// Two processes share an outbox, die at any time, and have sinks that work now and then.
struct Troubled {
    random: StdRng,
    desk: Desk,
    /// What each sink got, in order: thread and number.
    got: BTreeMap<String, Vec<String>>,
    /// What came of a hand-out and is not noted yet.
    unnoted: Vec<(i64, String, String, bool)>,
    second: i64,
}

impl Troubled {
    fn step(&mut self, works: impl Fn(&str, i64) -> bool, dies: f64) {
        self.second += self.random.random_range(1..30);
        let now = self.second;
        let (noted, rest) =
            std::mem::take(&mut self.unnoted).into_iter().partition(|(at, ..)| *at <= now);
        self.unnoted = rest;
        let noted: Vec<(i64, String, String, bool)> = noted;
        for (_, sink, key, sent) in noted {
            if sent {
                self.desk.sent(&key, &sink, now);
            } else {
                self.desk.failed(&key, &sink, now);
            }
        }
        let mut broken = BTreeSet::new();
        if self.random.random_bool(0.02) {
            self.desk.restart();
        }
        for due in self.desk.given_out(now) {
            let (sink, key) = due.split_once(' ').unwrap();
            let sent = works(sink, now);
            if broken.contains(sink) {
                self.desk.outbox.returned(key, sink);
                continue;
            }
            if self.random.random_bool(dies) {
                // It died, before or after it had sent this one.
                if sent && self.random.random_bool(0.5) {
                    self.got.entry(sink.to_owned()).or_default().push(key.to_owned());
                }
                return;
            }
            if sent {
                self.got.entry(sink.to_owned()).or_default().push(key.to_owned());
            } else {
                broken.insert(sink.to_owned());
            }
            let at = now + self.random.random_range(0..50);
            self.unnoted.push((at, sink.to_owned(), key.to_owned(), sent));
        }
    }
}

#[test]
fn whatever_fails_and_dies_every_sink_gets_everything_in_order() {
    for seed in 0..20 {
        let mut troubled = Troubled {
            random: StdRng::seed_from_u64(seed),
            desk: Desk::of(&["a", "b", "c"]),
            got: BTreeMap::new(),
            unnoted: Vec::new(),
            second: 0,
        };
        for number in 0..150 {
            let subject = troubled.random.random_range(0..6);
            let second = troubled.second;
            // Their order is not that of their keys.
            troubled.desk.add(&format!("{subject}/{:03}", 999 - number), subject, second);
            // Each works for a while of its own, and then does not.
            troubled.step(|sink, now| (now / 400 + i64::from(sink == "b")) % 2 == 0, 0.1);
        }
        for _ in 0..200 {
            troubled.step(|_, _| true, 0.0);
        }
        assert_eq!(troubled.desk.outbox.states(), BTreeMap::new(), "seed {seed}");
        for (sink, got) in &troubled.got {
            let mut first: Vec<&String> = Vec::new();
            for key in got {
                if !first.contains(&key) {
                    first.push(key);
                }
            }
            assert_eq!(first.len(), 150, "seed {seed}, {sink}");
            for subject in 0..6 {
                let of = format!("{subject}/");
                let told: Vec<_> = first.iter().filter(|key| key.starts_with(&of)).collect();
                assert!(told.iter().rev().is_sorted(), "seed {seed}, {sink}: {told:?}");
            }
        }
    }
}
