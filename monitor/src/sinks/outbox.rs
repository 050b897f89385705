//! Which receiver has had which notice, and which one has to be tried again when. No I/O, no clock.
//!
//! A notice waits until every sink that owes it has sent it. What one process was given to send
//! and has not noted as sent a minute later is given out again, so several may share an outbox,
//! and none that dies takes a notice with it.
//!
//! The notices of one subject reach a sink in the order in which they were told. While a sink
//! fails it is given one notice at a time, less and less often; the others go on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::SinkError;
use crate::rules::{Notice, Phase, Subject};

/// The first pause after a failure; each one after it is twice as long, up to the longest.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest pause of a sink that fails.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// The longest pause of a notice that is not taken while others are.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// A sink that fails is told of after so many failures in a row, or after so long.
const TOLD_AFTER_COUNT: u32 = 5;
const TOLD_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A notice that was not sent for so long is given up.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A sink that is not configured for so long was removed. Not at once: a process that was not
/// started again yet does not know of a new one.
const REMOVED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// The most notices that a sink is given at once.
const BATCH: usize = 20;

/// Notices on their way. Kept with the memory of the watch, and written before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// By key.
    waiting: BTreeMap<String, Waiting>,
    next_number: u64,
    /// Sinks that fail, by name.
    failing: BTreeMap<String, Trouble>,
    /// Sinks that owe something and are not configured, and since when.
    absent: BTreeMap<String, Timestamp>,
    /// What the outbox itself has to say, until somebody adds it.
    own: Vec<Notice>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    notice: Notice,
    /// The order in which they came.
    number: u64,
    added_at: Timestamp,
    /// By the sink that owes it.
    owed: BTreeMap<String, Debt>,
}

/// A notice that a sink has not had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Debt {
    attempt_count: u32,
    /// When a process was given it that has not said what came of it.
    handed_at: Option<Timestamp>,
    /// Not before this.
    next_at: Option<Timestamp>,
    /// What came of the last attempt.
    error: Option<String>,
}

/// A sink that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trouble {
    since: Timestamp,
    failure_count: u32,
    next_at: Timestamp,
    error: String,
    told: bool,
}

/// How things stand with a sink that owes something or fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkState {
    pub waiting_count: usize,
    pub failing_since: Option<Timestamp>,
    pub error: Option<String>,
}

impl Outbox {
    /// Writes a notice down that these sinks owe, unless one of its key waits already.
    pub fn add(&mut self, notice: Notice, sinks: impl IntoIterator<Item = String>, now: Timestamp) {
        let owed: BTreeMap<_, _> = sinks.into_iter().map(|sink| (sink, Debt::default())).collect();
        if owed.is_empty() || self.waiting.contains_key(&notice.key) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        let waiting = Waiting { number, added_at: now, owed, notice };
        self.waiting.insert(waiting.notice.key.clone(), waiting);
    }

    /// What is to be sent now, by sink and in order: what is new, what has to be tried again, and
    /// what was given out `resend_after` ago and is not known to be sent. Forgets what is too old
    /// and the debts of sinks that are not among `sinks` any more.
    pub fn due(
        &mut self,
        now: Timestamp,
        sinks: &BTreeSet<&str>,
        resend_after: SignedDuration,
    ) -> Vec<(String, Notice)> {
        self.forget_removed(now, sinks);
        self.give_up(now);
        let mut due = Vec::new();
        for sink in sinks {
            for key in self.due_of(sink, now, resend_after) {
                let waiting = self.waiting.get_mut(&key).expect("it was found there");
                let debt = waiting.owed.get_mut(*sink).expect("it was found there");
                debt.handed_at = Some(now);
                due.push(((*sink).to_owned(), waiting.notice.clone()));
            }
        }
        due
    }

    /// The keys of what a sink is to send now.
    fn due_of(&self, sink: &str, now: Timestamp, resend_after: SignedDuration) -> Vec<String> {
        let trouble = self.failing.get(sink);
        if trouble.is_some_and(|trouble| trouble.next_at > now) {
            return Vec::new();
        }
        let mut owed: Vec<(&Waiting, &Debt)> = self
            .waiting
            .values()
            .filter_map(|waiting| Some((waiting, waiting.owed.get(sink)?)))
            .collect();
        owed.sort_unstable_by_key(|(waiting, _)| waiting.number);
        let is_under_way =
            |debt: &Debt| debt.handed_at.is_some_and(|at| later(at, resend_after) > now);
        if trouble.is_some() && owed.iter().any(|(_, debt)| is_under_way(debt)) {
            return Vec::new();
        }
        let mut held_back = BTreeSet::new();
        let mut due = Vec::new();
        for (waiting, debt) in owed {
            let thread = thread(&waiting.notice.subject);
            if held_back.contains(&thread) {
                continue;
            }
            let is_due = !is_under_way(debt) && debt.next_at.is_none_or(|at| at <= now);
            if is_due {
                due.push((debt.attempt_count, waiting));
            }
            // Of a sink that fails one is picked below, so the first of a thread stands for it.
            if !is_due || trouble.is_some() {
                held_back.insert(thread);
            }
        }
        if trouble.is_some() {
            // Not always the same one: perhaps only that one is not taken.
            due.sort_by_key(|(attempt_count, _)| *attempt_count);
            due.truncate(1);
        }
        due.into_iter().take(BATCH).map(|(_, waiting)| waiting.notice.key.clone()).collect()
    }

    /// Notes that a sink has sent a notice.
    pub fn sent(&mut self, key: &str, sink: &str, now: Timestamp) {
        self.forget(key, sink);
        self.works(sink, now);
    }

    /// Notes that a sink took something, be it no notice.
    pub fn works(&mut self, sink: &str, now: Timestamp) {
        if let Some(trouble) = self.failing.remove(sink)
            && trouble.told
        {
            self.tell_of(sink, &trouble, Phase::Closed, Some(now), now);
        }
    }

    /// Notes that a sink could not send a notice; `None`: something that is no notice.
    pub fn failed(&mut self, key: Option<&str>, sink: &str, now: Timestamp, error: &SinkError) {
        let waiting = key.and_then(|key| self.waiting.get_mut(key));
        if let Some(debt) = waiting.and_then(|waiting| waiting.owed.get_mut(sink)) {
            debt.attempt_count = debt.attempt_count.saturating_add(1);
            debt.handed_at = None;
            debt.error = Some(error.line());
            debt.next_at = error
                .concerns_one_notice()
                .then(|| later(now, pause(debt.attempt_count, LONGEST_WAIT)));
        } else if key.is_some() {
            // Another process has sent it meanwhile.
            return;
        }
        let trouble = self.failing.entry(sink.to_owned()).or_insert_with(|| Trouble {
            since: now,
            failure_count: 0,
            next_at: now,
            error: String::new(),
            told: false,
        });
        trouble.failure_count = trouble.failure_count.saturating_add(1);
        trouble.error = error.line();
        // One that answers, and does not take this notice, may take the next.
        let own = match error.concerns_one_notice() {
            true => FIRST_PAUSE,
            false => pause(trouble.failure_count, LONGEST_PAUSE),
        };
        let asked = error.retry_after().and_then(|pause| SignedDuration::try_from(pause).ok());
        trouble.next_at = later(now, own.max(asked.unwrap_or_default()));
        let for_long = trouble.failure_count >= TOLD_AFTER_COUNT
            || now.duration_since(trouble.since) >= TOLD_AFTER;
        if for_long && !trouble.told {
            trouble.told = true;
            let trouble = trouble.clone();
            self.tell_of(sink, &trouble, Phase::Opened, None, now);
        }
    }

    /// Notes that nobody tried to send a notice that was given out.
    pub fn returned(&mut self, key: &str, sink: &str) {
        let waiting = self.waiting.get_mut(key);
        if let Some(debt) = waiting.and_then(|waiting| waiting.owed.get_mut(sink)) {
            debt.handed_at = None;
        }
    }

    /// What the outbox has to say itself: that a sink fails, that it works again, that notices
    /// were given up. To be [added](Self::add) like any other notice, before it is written.
    pub fn take_own(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.own)
    }

    /// The sinks that count as failing, as notices of when they began to: for a receiver that
    /// forgets.
    #[must_use]
    pub fn standing(&self) -> Vec<Notice> {
        let told = self.failing.iter().filter(|(_, trouble)| trouble.told);
        told.map(|(name, trouble)| trouble.notice(name, Phase::Opened, None, trouble.since))
            .collect()
    }

    /// Whether a sink fails and is left alone for now.
    #[must_use]
    pub fn rests(&self, sink: &str, now: Timestamp) -> bool {
        self.failing.get(sink).is_some_and(|trouble| trouble.next_at > now)
    }

    /// The sinks that owe something or fail, by name.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&str, SinkState> {
        let mut states: BTreeMap<&str, SinkState> = BTreeMap::new();
        for sink in self.waiting.values().flat_map(|waiting| waiting.owed.keys()) {
            states.entry(sink).or_default().waiting_count += 1;
        }
        for (sink, trouble) in &self.failing {
            let state = states.entry(sink).or_default();
            state.failing_since = Some(trouble.since);
            state.error = Some(trouble.error.clone());
        }
        states
    }

    /// Takes a debt away, and with the last one the notice.
    pub(super) fn forget(&mut self, key: &str, sink: &str) {
        let Some(waiting) = self.waiting.get_mut(key) else { return };
        waiting.owed.remove(sink);
        if waiting.owed.is_empty() {
            self.waiting.remove(key);
        }
    }

    fn forget_removed(&mut self, now: Timestamp, sinks: &BTreeSet<&str>) {
        let owing = self.waiting.values().flat_map(|waiting| waiting.owed.keys());
        let absent: BTreeSet<String> = owing
            .chain(self.failing.keys())
            .filter(|sink| !sinks.contains(sink.as_str()))
            .cloned()
            .collect();
        self.absent.retain(|sink, _| absent.contains(sink));
        for sink in absent {
            let since = *self.absent.entry(sink.clone()).or_insert(now);
            if now.duration_since(since) < REMOVED_AFTER {
                continue;
            }
            self.absent.remove(&sink);
            self.waiting.retain(|_, waiting| {
                waiting.owed.remove(&sink);
                !waiting.owed.is_empty()
            });
            if let Some(trouble) = self.failing.remove(&sink)
                && trouble.told
            {
                self.tell_of(&sink, &trouble, Phase::Closed, None, now);
            }
        }
    }

    fn give_up(&mut self, now: Timestamp) {
        let mut given_up: BTreeMap<String, (Trouble, u64)> = BTreeMap::new();
        let failing = &self.failing;
        self.waiting.retain(|_, waiting| {
            if now.duration_since(waiting.added_at) < GIVEN_UP_AFTER {
                return true;
            }
            for (sink, debt) in std::mem::take(&mut waiting.owed) {
                let trouble = || {
                    let never = || "it was never tried".to_owned();
                    failing.get(&sink).cloned().unwrap_or_else(|| Trouble {
                        since: waiting.added_at,
                        failure_count: debt.attempt_count,
                        next_at: now,
                        error: debt.error.clone().unwrap_or_else(never),
                        told: false,
                    })
                };
                given_up.entry(sink.clone()).or_insert_with(|| (trouble(), 0)).1 += 1;
            }
            false
        });
        for (sink, (trouble, count)) in given_up {
            let mut notice = trouble.notice(&sink, Phase::Reminder, None, now);
            notice.key = format!("sink/{sink}/given-up/{now}");
            if let Subject::Sink { given_up, .. } = &mut notice.subject {
                *given_up = count;
            }
            self.own.push(notice);
        }
    }

    fn tell_of(
        &mut self,
        sink: &str,
        trouble: &Trouble,
        phase: Phase,
        until: Option<Timestamp>,
        at: Timestamp,
    ) {
        self.own.push(trouble.notice(sink, phase, until, at));
    }
}

impl Trouble {
    fn notice(&self, sink: &str, phase: Phase, until: Option<Timestamp>, at: Timestamp) -> Notice {
        let key = format!("sink/{sink}/{}", self.since);
        Notice {
            key: if phase == Phase::Closed { format!("{key}/closed") } else { key },
            at,
            phase,
            subject: Subject::Sink {
                name: sink.to_owned(),
                since: self.since,
                until,
                error: self.error.clone(),
                given_up: 0,
            },
        }
    }
}

/// Notices of one thread are told in order.
fn thread(subject: &Subject) -> String {
    match subject {
        Subject::Connection { connection, kind, .. } => format!("{kind}/{connection}"),
        Subject::Group { group, .. } => format!("group/{group}"),
        Subject::Outage(outage) => format!("outage/{}", outage.part),
        Subject::Sink { name, .. } => format!("sink/{name}"),
        Subject::Test { sink } => format!("test/{sink}"),
    }
}

fn pause(failure_count: u32, longest: SignedDuration) -> SignedDuration {
    let doublings = failure_count.saturating_sub(1).min(16);
    (FIRST_PAUSE * (1 << doublings)).min(longest)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
