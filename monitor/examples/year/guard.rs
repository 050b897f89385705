//! The watch in the simulation: it sees what a real one could see, and its notices are held against
//! the truth.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::rules::{
    Activity, Commit, Ended, Facts, Look, Memory, Mute, Muted, Notice, OpenRun, Outage, Part,
    Phase, RunState, ScheduleState, Seen, Settings, Subject, Terms, Watch,
};

use crate::connection::Connection;
use crate::defect::Defect;
use crate::plan::Work;
use crate::script::{ACCOUNT, Damage};
use crate::span::{MINUTE, second, shown};
use crate::world::{SAMPLED, World};

/// The time between two passes of one watch.
pub(crate) const PASS: i64 = 20;
/// Within which the audit comes to every connection.
const ROUND: i64 = 40 * MINUTE;
/// An idle worker asks for work so often.
const POLL: i64 = MINUTE;
/// So long the server remembers who asked.
const POLLS_KEPT: i64 = 5 * MINUTE;

/// What visibility shows: deadlines, and those that are held or refused.
type View = (BTreeSet<(i64, usize)>, BTreeSet<usize>);

/// All watches of an installation, and what they share.
pub(crate) struct Guard {
    defect: Defect,
    settings: Settings,
    watches: Vec<Option<Watch>>,
    memory: Memory,
    audited: usize,
    numbers: HashMap<ConnectionId, usize>,
    /// What receivers got: they drop what has a known key.
    received: BTreeSet<String>,
    /// Told outages, with the true time.
    pub(crate) outages: Vec<(i64, Phase, Outage)>,
    /// What visibility shows while it is late.
    frozen: Option<View>,
    rng: StdRng,
}

impl Guard {
    pub(crate) fn new(seed: u64, world: &World, defect: Defect) -> Self {
        let numbers = world.connections.iter().enumerate();
        Self {
            settings: defect.settings(),
            defect,
            watches: world.script.watches.iter().map(|_| None).collect(),
            memory: Memory::default(),
            audited: 0,
            numbers: numbers.map(|(number, one)| (one.id.clone(), number)).collect(),
            received: BTreeSet::new(),
            outages: Vec::new(),
            frozen: None,
            rng: StdRng::seed_from_u64(seed ^ 0x9a4d),
        }
    }

    /// A pass of one watch, if it is up.
    pub(crate) fn pass(&mut self, index: usize, at: i64, world: &mut World) {
        if world.script.watches[index].at(at).is_some() {
            self.watches[index] = None;
            return;
        }
        if self.watches[index].is_none() {
            self.watches[index] = Some(Watch::new(self.settings.clone()));
            self.recall();
        }
        self.follow_visibility(at, world);
        let now = shown(at, world.script.watch_skew(index, at));
        let temporal = world.script.temporal.at(at).is_none();
        let numbers =
            if temporal { self.candidates(index, now, at, world) } else { BTreeSet::new() };
        let looks = numbers.into_iter().map(|number| self.look(number, at, world)).collect();
        let mutes = mutes(at, world);
        let watch = self.watches[index].as_mut().expect("it is up");
        let activity = watch.away_since(&self.memory, now).map(|_| activity(at, world));
        let workers = polled_at(at, world).map(|polled| shown(polled, world.script.server_skew));
        let seen = Seen { now, temporal, workers, looks, mutes: &mutes, activity };
        let passed = watch.pass(&mut self.memory, seen);
        for (connection, kind) in passed.joined {
            let number = self.numbers[&connection];
            world.truth.told(number, kind, at, true, &world.connections[number], &world.script);
        }
        // It may die before it sends, and after it sent without having noted it.
        let dies = world.script.watches[index].at(at + PASS).is_some();
        let sends = !(dies && self.rng.random_bool(0.5));
        let notes = !(dies && self.rng.random_bool(0.5));
        for notice in passed.notices {
            if sends {
                self.receive(&notice, at, world);
                if notes {
                    self.memory.sent(&notice.key);
                }
            }
        }
    }

    /// What a watch that starts finds in the store.
    fn recall(&mut self) {
        if self.defect == Defect::ForgetsAtRestart {
            self.memory = Memory::default();
            return;
        }
        let stored = serde_json::to_vec(&self.memory).expect("the memory is JSON");
        self.memory = serde_json::from_slice(&stored).expect("it reads back");
    }

    fn follow_visibility(&mut self, at: i64, world: &World) {
        if world.script.visibility_late.at(at).is_none() {
            self.frozen = None;
        } else if self.frozen.is_none() {
            self.frozen = Some((world.shown.clone(), world.flagged.clone()));
        }
    }

    /// Whom to look at.
    fn candidates(
        &mut self,
        index: usize,
        now: Timestamp,
        at: i64,
        world: &World,
    ) -> BTreeSet<usize> {
        let (shown, flagged) = match &self.frozen {
            Some((shown, flagged)) => (shown, flagged),
            None => (&world.shown, &world.flagged),
        };
        let count = world.connections.len();
        let deadline = second(now);
        let mut numbers: BTreeSet<usize> = shown
            .iter()
            .take_while(|(published, _)| *published < deadline)
            .map(|(_, number)| *number)
            .chain(flagged.iter().copied())
            .filter(|number| world.script.omitted[*number].at(at).is_none())
            .collect();
        let watch = self.watches[index].as_ref().expect("it is up");
        numbers.extend(watch.doubted().map(|id| self.numbers[id]));
        if at % MINUTE < PASS {
            numbers.extend(self.memory.open().map(|id| self.numbers[id]));
        }
        // Visibility lies.
        numbers.insert(self.rng.random_range(0..count));
        if self.defect != Defect::NoAudit {
            let passes = usize::try_from(ROUND / PASS).expect("is positive");
            for _ in 0..count.div_ceil(passes) {
                self.audited = (self.audited + 1) % count;
                numbers.insert(self.audited);
            }
        }
        // One that is not created yet is in no list.
        numbers.retain(|number| world.connections[*number].created_at != 0);
        numbers
    }

    fn look(&self, number: usize, at: i64, world: &World) -> Look {
        let connection = &world.connections[number];
        let mut facts = connection.exists.then(|| facts(connection, at, world));
        if self.defect == Defect::BelievesVisibility
            && let Some(commit) = facts.as_mut().and_then(|facts| facts.commit.as_mut())
        {
            let published = connection.published.deadline - connection.max_lag;
            commit.complete_as_of = shown(published, 0);
        }
        Look { connection: connection.id.clone(), facts }
    }

    fn receive(&mut self, notice: &Notice, at: i64, world: &mut World) {
        let key = if self.defect == Defect::ForgetsAtRestart {
            format!("{at}/{}", notice.key)
        } else {
            notice.key.clone()
        };
        if !self.received.insert(key) {
            return;
        }
        world.truth.tally.notices += 1;
        match (&notice.subject, notice.phase) {
            (Subject::Connection { connection, kind, .. }, Phase::Opened) => {
                let number = self.numbers[connection];
                let connection = &world.connections[number];
                world.truth.told(number, *kind, at, false, connection, &world.script);
            }
            (Subject::Connection { connection, kind, .. }, Phase::Closed) => {
                world.truth.closed(self.numbers[connection], *kind, at);
            }
            (Subject::Group { kind, new, .. }, _) => {
                for connection in new {
                    let number = self.numbers[connection];
                    let connection = &world.connections[number];
                    world.truth.told(number, *kind, at, true, connection, &world.script);
                }
            }
            (Subject::Outage(outage), phase) => self.outages.push((at, phase, *outage)),
            (Subject::Connection { .. }, Phase::Reminder)
            | (Subject::Sink { .. } | Subject::Test { .. }, _) => {}
        }
    }
}

/// What the store and Temporal say of a connection, each by its own clock.
fn facts(connection: &Connection, at: i64, world: &World) -> Facts {
    let server = |at: i64| shown(at, world.script.server_skew);
    let skew = world.script.source_skew[connection.source];
    let ended = |at: i64, since: i64, on_source: bool, refused: bool| Ended {
        at: server(at),
        failing_since: server(since),
        side: if on_source { Side::Source } else { Side::Destination },
        class: match (refused, on_source) {
            (true, _) => FailureClass::User,
            (false, true) => FailureClass::Source,
            (false, false) => FailureClass::Destination,
        },
        kind: if refused { FailureKind::Unauthenticated } else { FailureKind::Transient },
        message: world.words.clone(),
    };
    let run = connection.run.as_ref().map(|(started_at, plan)| {
        let (span, work) = plan.at(at);
        let retrying = |on_source| RunState::Retrying {
            moved_at: server(span.from),
            failure: ended(at, span.from, on_source, false),
        };
        let working = |moved_at| RunState::Working {
            moved_at: server(moved_at),
            progress: world.words.clone(),
        };
        OpenRun {
            started_at: server(*started_at),
            state: match work {
                Work::Queued => RunState::Queued,
                // A page now and then.
                Work::Working => working(span.from.max(at - 200)),
                Work::Stalled => working(span.from),
                Work::RateLimited => {
                    RunState::RateLimited { side: Side::Source, until: server(span.to) }
                }
                Work::SourceDown => retrying(true),
                Work::DestinationDown => retrying(false),
            },
        }
    });
    let schedule = match connection.damage {
        Some(Damage::Deleted) => ScheduleState::Missing,
        damage => ScheduleState::Present {
            paused_since: connection.paused_since.map(server),
            resumed_at: connection.resumed_at.map(server),
            started_at: connection.started_at.map(server),
            as_defined: damage != Some(Damage::Edited),
        },
    };
    Facts {
        terms: Terms {
            max_lag: SignedDuration::from_secs(connection.max_lag),
            interval: SignedDuration::from_secs(connection.interval),
            created_at: server(connection.created_at),
            reread_at: connection.edited_at.map(server),
            source: connection.source_name.clone(),
            destination: connection.destination_name.clone(),
        },
        schedule,
        commit: connection.commit.map(|commit| Commit {
            number: commit.number,
            complete_as_of: shown(commit.read_at, skew),
            committed_at: server(commit.at),
            held_count: commit.held,
            rejected_count: commit.rejected,
        }),
        ended: connection.red.map(|red| ended(red.at, red.since, red.on_source, red.refused)),
        run,
    }
}

/// When a worker last asked for work, as far as the server remembers.
fn polled_at(at: i64, world: &World) -> Option<i64> {
    let script = &world.script;
    let out = |at: i64| script.workers.at(at).into_iter().chain(script.temporal.at(at)).next();
    let up_until = out(at).map_or(at, |out| out.from - 1);
    let last = up_until - up_until.rem_euclid(POLL);
    let polled = match script.platform.last_before(up_until) {
        // It asked when it, or the server, came back.
        Some(back) if back.to > last => back.to,
        _ => last,
    };
    (at - polled < POLLS_KEPT).then_some(polled)
}

fn activity(at: i64, world: &World) -> Activity {
    let sample = world.connections.iter().take(SAMPLED);
    let per_hour = |one: &Connection| 3_600.0 / i32::try_from(one.interval).map_or(1e9, f64::from);
    Activity {
        ended_at: world
            .ends
            .iter()
            .rev()
            .take_while(|end| **end > at - 8 * 3_600)
            .map(|end| shown(*end, world.script.server_skew))
            .collect(),
        runs_per_hour: sample.filter(|one| one.fires()).map(per_hour).sum(),
    }
}

fn mutes(at: i64, world: &World) -> Vec<Mute> {
    let on = world.script.mutes.iter().filter(|mute| mute.span.holds(at));
    on.flat_map(|mute| {
        (mute.first..mute.first + mute.count).step_by(ACCOUNT).filter_map(|first| {
            Some(Mute {
                what: Muted::Account(world.connections.get(first)?.id.account()),
                until: shown(mute.span.to, 10 * MINUTE),
                reason: "known".to_owned(),
                by: "ops".to_owned(),
            })
        })
    })
    .collect()
}

/// Holds the told outages against those that there were.
pub(crate) fn count_outages(guard: &Guard, world: &mut World) {
    let script = &world.script;
    let tally = &mut world.truth.tally;
    for (part, spans) in [(Part::Temporal, &script.temporal), (Part::Workers, &script.workers)] {
        let told = |phase| {
            let of_part = guard.outages.iter();
            of_part
                .filter(move |(_, told, outage)| *told == phase && outage.part == part)
                .map(|(at, ..)| *at)
        };
        for at in told(Phase::Opened) {
            // It may be told while the other part is out, or just as it ends.
            let true_one =
                spans.at(at).or(spans.last_before(at).filter(|out| at < out.to + MINUTE));
            if true_one.is_none_or(|out| out.length() < 2 * MINUTE) {
                tally.outages.lies += 1;
                tally.sample("no outage", format!("{at}: {part}"));
            }
        }
        for out in spans.iter().filter(|out| out.to <= script.end() - 10 * MINUTE) {
            let count = told(Phase::Opened).filter(|at| out.holds(*at)).count();
            if out.length() >= 2 * MINUTE {
                tally.outages.cases += 1;
                tally.outages.told += u64::from(count > 0);
            }
            if count > 1 {
                tally.outages.twice += 1;
                tally.sample("outage told twice", format!("{part} {out:?}"));
            }
            // From when on a watch could see it for long enough.
            let mut from = out.from;
            let unseen = script.unwatched.within(out);
            let masked = script.temporal.within(out).filter(|_| part == Part::Workers);
            let mut kept: Vec<_> = unseen.chain(masked).collect();
            kept.sort_unstable();
            for span in kept {
                if span.from < from + 6 * MINUTE {
                    from = from.max(span.to);
                }
            }
            let by = from + 5 * MINUTE;
            let first = told(Phase::Opened).find(|at| out.holds(*at));
            if by < out.to && first.is_none_or(|at| at > by) {
                tally.outages.missed += 1;
                tally.sample("outage missed", format!("{part} {out:?} by {by}, told {first:?}"));
            }
            if let Some(at) = first {
                tally.outages.latest = tally.outages.latest.max(at - from);
            }
            if count > 0 && !told(Phase::Closed).any(|at| at >= out.to) {
                tally.outages.unclosed += 1;
            }
        }
    }
}
