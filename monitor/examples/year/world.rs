//! Connections, their runs, and Temporal, as they truly are at each instant.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::connection::{Committed, Connection, Published, Red};
use crate::plan::{Plan, Work};
use crate::script::{Act, Damage, Event, Script};
use crate::span::{DAY, HOUR, MINUTE, Span, Spans};
use crate::truth::Truth;

/// What a source takes to show a change.
const SETTLE: i64 = 31;
/// The ends of runs that are kept for a watch that was away.
pub(crate) const SAMPLED: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// One of an earlier schedule means nothing.
    Tick {
        version: u32,
    },
    Start,
    End {
        generation: u32,
    },
}

pub(crate) struct World {
    pub(crate) script: Script,
    pub(crate) connections: Vec<Connection>,
    pub(crate) truth: Truth,
    /// Deadlines that visibility shows, of schedules that are not paused.
    pub(crate) shown: BTreeSet<(i64, usize)>,
    pub(crate) flagged: BTreeSet<usize>,
    /// When runs of the first connections ended.
    pub(crate) ends: Vec<i64>,
    pub(crate) run_count: u64,
    /// What failures and progress say.
    pub(crate) words: Arc<str>,
    queue: BinaryHeap<Reverse<(i64, usize, Next)>>,
    acts: std::vec::IntoIter<Event>,
    upcoming: Option<Event>,
    rng: StdRng,
    /// How much later than their ticks runs start.
    jitters: StdRng,
}

impl World {
    pub(crate) fn new(seed: u64, mut script: Script) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
        let connections: Vec<Connection> = (0..script.size.connections)
            .map(|number| Connection::new(number, &script, &mut rng))
            .collect();
        let mut acts = std::mem::take(&mut script.events).into_iter();
        let upcoming = acts.next();
        let mut world = Self {
            truth: Truth::new(script.size.connections),
            connections,
            shown: BTreeSet::new(),
            flagged: BTreeSet::new(),
            ends: Vec::new(),
            run_count: 0,
            words: "no answer".into(),
            queue: BinaryHeap::new(),
            acts,
            upcoming,
            script,
            rng,
            jitters: StdRng::seed_from_u64(seed ^ 0x71c5),
        };
        for number in 0..world.script.initial {
            world.settle_in(number);
        }
        world
    }

    /// One that has been there for long.
    fn settle_in(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        let last = connection.tick_after(0) - connection.interval;
        connection.exists = true;
        connection.created_at = -60 * DAY;
        connection.started_at = Some(last);
        connection.commit =
            Some(Committed { number: 1, read_at: last, at: last, held: 0, rejected: 0 });
        let next = self.next_tick(number, 0);
        self.publish(number, last, false, false);
        self.queue.push(Reverse((next, number, Next::Tick { version: 0 })));
        self.touch(number, 0);
    }

    /// Lets everything happen up to an instant.
    pub(crate) fn advance(&mut self, to: i64) {
        loop {
            let event = self.queue.peek().map(|Reverse((at, ..))| *at);
            let act = self.upcoming.as_ref().map(|event| event.at);
            let next = match (event, act) {
                (None, None) => break,
                (event, act) => event.unwrap_or(i64::MAX).min(act.unwrap_or(i64::MAX)),
            };
            if next > to {
                break;
            }
            self.truth.advance(next, &self.connections, &self.script);
            if act == Some(next) {
                let upcoming = self.acts.next();
                if let Some(event) = std::mem::replace(&mut self.upcoming, upcoming) {
                    for number in event.first..event.first + event.count {
                        self.act(number, event.act, event.at);
                    }
                }
            } else if let Some(Reverse((at, number, next))) = self.queue.pop() {
                match next {
                    Next::Tick { version } => self.tick(number, version, at),
                    Next::Start => self.start(number, at),
                    Next::End { generation } => self.end(number, generation, at),
                }
            }
        }
        self.truth.advance(to, &self.connections, &self.script);
    }

    fn touch(&mut self, number: usize, at: i64) {
        self.truth.touch(number, at, &self.connections[number], &self.script);
    }

    fn tick(&mut self, number: usize, version: u32, at: i64) {
        let connection = &mut self.connections[number];
        if !connection.exists || connection.version != version {
            return;
        }
        if connection.fires() {
            if self.script.temporal.at(at).is_some() {
                connection.missed = true;
            } else {
                self.start(number, at);
            }
        }
        let next = self.next_tick(number, at);
        self.queue.push(Reverse((next, number, Next::Tick { version })));
    }

    /// When a schedule acts next. Its jitter is shorter than its interval, so no tick is left out.
    fn next_tick(&mut self, number: usize, at: i64) -> i64 {
        let connection = &self.connections[number];
        connection.tick_after(at) + self.jitters.random_range(0..=connection.jitter)
    }

    fn start(&mut self, number: usize, at: i64) {
        let connection = &mut self.connections[number];
        if !connection.fires() {
            return;
        }
        if connection.run.is_some() {
            connection.buffered = true;
            return;
        }
        let (script, rng) = (&self.script, &mut self.rng);
        let fresh = connection.commit.map(|commit| commit.read_at)
            < Some(connection.created_at.max(connection.resumed_at.unwrap_or(i64::MIN)));
        let whole = fresh || connection.reread;
        let slow = script.slow[number].at(at).is_some();
        let work = match (whole, slow) {
            (true, _) if rng.random_bool(0.3) => rng.random_range(10 * MINUTE..18 * HOUR),
            (false, true) => connection.work.max(MINUTE) * rng.random_range(5..60),
            _ => connection.work,
        };
        // The line is longer after an outage, and for those that come in bulk.
        let backlog = script
            .platform
            .last_before(at)
            .filter(|out| at < out.to + 15 * MINUTE)
            .map(|out| out.length().min(10 * MINUTE));
        let queue = match (backlog, whole) {
            (Some(longest), _) => rng.random_range(0..=longest),
            (None, true) => rng.random_range(0..2 * HOUR),
            (None, false) => 0,
        };
        let plan = if script.refused[number].at(at).is_some() {
            Plan::refused(at, script.platform.at(at).map_or(at, |out| out.to))
        } else {
            let mut stalls = Spans::default();
            if whole && rng.random_bool(0.1) {
                let from = at + queue + rng.random_range(0..work);
                stalls = Spans::of(vec![Span::new(from, rng.random_range(5 * MINUTE..20 * HOUR))]);
            }
            let blockers = [
                (&script.platform, Work::Queued),
                (&script.rate_limits[number], Work::RateLimited),
                (&script.sources[connection.source], Work::SourceDown),
                (&script.destinations[connection.destination], Work::DestinationDown),
                (&stalls, Work::Stalled),
            ];
            let mut plan = Plan::new(at, queue, work, &blockers, rng);
            if whole && rng.random_bool(0.05) && plan.end > at + MINUTE {
                let given_up_at = rng.random_range(at + MINUTE..=plan.end);
                if script.platform.at(given_up_at).is_none() {
                    plan.give_up(given_up_at);
                }
            }
            plan
        };
        connection.generation += 1;
        connection.started_at = Some(at);
        let generation = connection.generation;
        self.queue.push(Reverse((plan.end, number, Next::End { generation })));
        connection.run = Some((at, plan));
        self.touch(number, at);
    }

    fn end(&mut self, number: usize, generation: u32, at: i64) {
        let connection = &mut self.connections[number];
        if connection.generation != generation {
            return;
        }
        let Some((_, plan)) = connection.run.take() else { return };
        self.run_count += 1;
        // One that the server ends says nothing of the workers.
        if number < SAMPLED && self.script.platform.at(at).is_none() {
            self.ends.push(at);
        }
        let flagged = match plan.failed {
            None => {
                let count = |spans: &[Spans]| u64::from(spans[number].at(at).is_some()) * 7;
                let (held, rejected) = (count(&self.script.holds), count(&self.script.rejections));
                let next = connection.commit.map_or(1, |commit| commit.number + 1);
                connection.commit = Some(Committed {
                    number: next,
                    read_at: plan.read_at - SETTLE,
                    at,
                    held,
                    rejected,
                });
                connection.red = None;
                if connection.edited_at.is_some_and(|edited| edited <= plan.read_at) {
                    connection.reread = false;
                    if !connection.behind_by_run() {
                        connection.edited_at = None;
                    }
                }
                held + rejected > 0
            }
            Some(work) => {
                let since = connection.red.map_or(at, |red| red.since);
                connection.red = Some(Red {
                    at,
                    since,
                    on_source: work != Work::DestinationDown,
                    refused: work == Work::Working,
                });
                false
            }
        };
        let counts_from = base(connection);
        let again = std::mem::take(&mut connection.buffered);
        let lost = self.rng.random_bool(0.02);
        self.publish(number, counts_from, flagged, lost);
        if again {
            self.start(number, at);
        }
        self.touch(number, at);
    }

    /// Publishes as the workers do: when it is news, and it may be lost.
    fn publish(&mut self, number: usize, counts_from: i64, flagged: bool, lost: bool) {
        let connection = &mut self.connections[number];
        let published = Published { deadline: counts_from + connection.max_lag, flagged };
        let moved = (published.deadline - connection.published.deadline).abs();
        let news = moved >= (5 * MINUTE).max(connection.max_lag / 4)
            || flagged != connection.published.flagged;
        connection.unpublished = news && lost;
        if news && !lost {
            self.show(number, false);
            self.connections[number].published = published;
            self.show(number, true);
        }
    }

    /// Puts a schedule into visibility, or takes it out.
    fn show(&mut self, number: usize, there: bool) {
        let connection = &self.connections[number];
        let visible = connection.exists
            && connection.paused_since.is_none()
            && connection.damage != Some(Damage::Deleted);
        let entry = (connection.published.deadline, number);
        if there && visible {
            self.shown.insert(entry);
            if connection.published.flagged {
                self.flagged.insert(number);
            }
        } else {
            self.shown.remove(&entry);
            self.flagged.remove(&number);
        }
    }

    fn act(&mut self, number: usize, act: Act, at: i64) {
        self.show(number, false);
        let connection = &mut self.connections[number];
        match act {
            Act::Create if !connection.exists => {
                connection.exists = true;
                connection.created_at = at;
                connection.published.deadline = at + connection.max_lag;
                let version = connection.version;
                let next = self.next_tick(number, at);
                self.queue.push(Reverse((next, number, Next::Tick { version })));
            }
            Act::Return if connection.exists && connection.missed => {
                connection.missed = false;
                let start = at + self.rng.random_range(0..330);
                self.queue.push(Reverse((start, number, Next::Start)));
            }
            Act::Remove => {
                connection.exists = false;
                connection.generation += 1;
                connection.run = None;
            }
            Act::Pause if connection.exists && connection.paused_since.is_none() => {
                if connection.damage.is_none() {
                    connection.paused_since = Some(at);
                    connection.buffered = false;
                }
            }
            Act::Resume if connection.exists && connection.paused_since.is_some() => {
                connection.paused_since = None;
                connection.resumed_at = Some(at);
            }
            Act::Edit if connection.exists => {
                connection.edited_at = Some(at);
                connection.reread = true;
            }
            // Applying it would mend what is missing or was edited.
            Act::Amend { interval, max_lag }
                if connection.exists
                    && matches!(connection.damage, None | Some(Damage::Silent)) =>
            {
                connection.amend(number, interval, max_lag, at);
                let version = connection.version;
                let next = self.next_tick(number, at);
                self.queue.push(Reverse((next, number, Next::Tick { version })));
            }
            Act::Break(damage)
                if connection.exists
                    && connection.paused_since.is_none()
                    && connection.damage.is_none() =>
            {
                (connection.damage, connection.damage_at) = (Some(damage), Some(at));
                if damage == Damage::Deleted {
                    connection.buffered = false;
                }
            }
            Act::Repair if connection.exists => match connection.damage.take() {
                // Whoever mends a schedule that did not fire starts a run.
                Some(Damage::Silent) => self.queue.push(Reverse((at, number, Next::Start))),
                // The new one knows nothing of what the old one did.
                Some(Damage::Deleted) => {
                    connection.remade_at = Some(at);
                    connection.resumed_at = None;
                    connection.started_at = None;
                }
                Some(Damage::Edited) | None => {}
            },
            Act::Create
            | Act::Return
            | Act::Pause
            | Act::Resume
            | Act::Edit
            | Act::Amend { .. }
            | Act::Break(_)
            | Act::Repair => {}
        }
        self.show(number, true);
        self.touch(number, at);
    }
}

/// What lag counts from.
pub(crate) fn base(connection: &Connection) -> i64 {
    let watermark = connection.commit.map_or(i64::MIN, |commit| commit.read_at);
    watermark.max(connection.created_at).max(connection.resumed_at.unwrap_or(i64::MIN))
}
