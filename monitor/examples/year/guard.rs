//! The watch in the simulation: it sees what a real one could see, and its notices are held against
//! the truth.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::rules::{
    Look, Memory, Notice, Outage, Phase, Seen, Settings, Subject, Watch,
};

use crate::case::How;
use crate::defect::Defect;
use crate::sight::{activity, facts, mutes, polled_at};
use crate::span::{HOUR, MINUTE, second, shown};
use crate::world::World;

/// The time between two passes of one watch.
pub(crate) const PASS: i64 = 20;
/// Within which the audit comes to every connection.
const ROUND: i64 = 40 * MINUTE;

/// What visibility shows: deadlines, and those that are held or refused.
type View = (BTreeSet<(i64, usize)>, BTreeSet<usize>);

/// All watches of an installation, and what they share.
pub(crate) struct Guard {
    defect: Defect,
    settings: Settings,
    watches: Vec<Option<Watch>>,
    memory: Memory,
    /// How far each of them is in its audit, which begins anew when it does.
    audited: Vec<usize>,
    numbers: HashMap<ConnectionId, usize>,
    /// For each of them, when a connection has to be looked at again.
    later: Vec<Vec<Timestamp>>,
    /// What something was open about, a minute ago at most: whether, and the list.
    is_open: Vec<bool>,
    open: Vec<usize>,
    looked_at: i64,
    /// The most bytes that the memory had, as JSON.
    pub(crate) memory_size: usize,
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
            audited: vec![0; world.script.watches.len()],
            later: vec![vec![Timestamp::MIN; world.connections.len()]; world.script.watches.len()],
            numbers: numbers.map(|(number, one)| (one.id.clone(), number)).collect(),
            is_open: vec![false; world.connections.len()],
            open: Vec::new(),
            looked_at: 0,
            memory_size: 0,
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
            self.audited[index] = 0;
            self.later[index].fill(Timestamp::MIN);
            self.looked_at = i64::MIN / 2;
            self.recall();
        }
        self.follow_visibility(at, world);
        let now = shown(at, world.script.watch_skew(index, at));
        let temporal = world.script.temporal.at(at).is_none();
        let numbers = if temporal { self.candidates(index, now, at, world) } else { Vec::new() };
        let looks = numbers.into_iter().map(|number| self.look(number, at, world)).collect();
        let mutes = mutes(at, world);
        let watch = self.watches[index].as_mut().expect("it is up");
        let away_since =
            watch.away_since(&self.memory, now).filter(|_| self.defect != Defect::NoOutages);
        let activity = away_since.map(|since| activity(since, world));
        let workers = polled_at(at, world).map(|polled| shown(polled, world.script.server_skew));
        let seen = Seen { now, temporal, workers, looks, mutes: &mutes, activity };
        let passed = watch.pass(&mut self.memory, seen);
        for (connection, until) in passed.later {
            self.later[index][self.numbers[&connection]] = until;
        }
        // A new group tells of its members when it is sent, others have told that they exist.
        let named: BTreeSet<&ConnectionId> = passed
            .notices
            .iter()
            .filter(|notice| notice.phase == Phase::Opened)
            .filter_map(|notice| match &notice.subject {
                Subject::Group { new, joining: false, .. } => Some(new),
                _ => None,
            })
            .flatten()
            .collect();
        for (connection, kind) in passed.joined.iter().filter(|(one, _)| !named.contains(one)) {
            let (number, kind) = (self.numbers[connection], *kind);
            world.truth.told(
                number,
                kind,
                at,
                How::Counted,
                &world.connections[number],
                &world.script,
            );
        }
        if at % (2 * HOUR) < PASS {
            self.memory_size = self.memory_size.max(self.stored().len());
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
        self.memory = serde_json::from_slice(&self.stored()).expect("it reads back");
    }

    fn stored(&self) -> Vec<u8> {
        serde_json::to_vec(&self.memory).expect("the memory is JSON")
    }

    fn follow_visibility(&mut self, at: i64, world: &World) {
        if world.script.visibility_late.at(at).is_none() {
            self.frozen = None;
        } else if self.frozen.is_none() {
            self.frozen = Some((world.shown.clone(), world.flagged.clone()));
        }
    }

    /// Whom to look at.
    fn candidates(&mut self, index: usize, now: Timestamp, at: i64, world: &World) -> Vec<usize> {
        let (shown, flagged) = match &self.frozen {
            Some((shown, flagged)) => (shown, flagged),
            None => (&world.shown, &world.flagged),
        };
        let count = world.connections.len();
        let deadline = second(now);
        // What something is open about is looked at every minute, whatever visibility says.
        let every_minute = at - self.looked_at >= MINUTE;
        if every_minute {
            self.looked_at = at;
            self.open.drain(..).for_each(|number| self.is_open[number] = false);
            self.open.extend(self.memory.open().map(|id| self.numbers[id]));
            self.open.iter().for_each(|number| self.is_open[*number] = true);
        }
        let mut numbers: Vec<usize> = shown
            .iter()
            .take_while(|(published, _)| *published < deadline)
            .map(|(_, number)| *number)
            .filter(|number| self.later[index][*number] <= now)
            .chain(flagged.iter().copied())
            .filter(|number| !self.is_open[*number])
            .filter(|number| world.script.omitted[*number].at(at).is_none())
            .collect();
        if every_minute {
            numbers.extend(&self.open);
        }
        let watch = self.watches[index].as_ref().expect("it is up");
        numbers.extend(watch.doubted().map(|id| self.numbers[id]));
        numbers.extend(watch.listened(now).into_iter().flatten().map(|id| self.numbers[id]));
        // Visibility lies, now and then and about anybody.
        let proposed = self.rng.random_range(0..10_000);
        if proposed < count {
            numbers.push(proposed);
        }
        if self.defect != Defect::NoAudit {
            // Each of several watches makes every other pass.
            let pace = PASS * i64::try_from(self.watches.len()).expect("is a number");
            let passes = usize::try_from(ROUND / pace).expect("is positive");
            let audited = &mut self.audited[index];
            for _ in 0..count.div_ceil(passes) {
                *audited = (*audited + 1) % count;
                numbers.push(*audited);
            }
        }
        // One that is not created yet is in no list.
        numbers.retain(|number| world.connections[*number].created_at != 0);
        numbers.sort_unstable();
        numbers.dedup();
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
        Look { connection: connection.id.clone(), facts, orphaned: false }
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
        if matches!(notice.subject, Subject::Group { joining: true, .. }) {
            // For those who may not see every account: this team sees them all.
            return;
        }
        world.truth.tally.notices += 1;
        match (&notice.subject, notice.phase) {
            (Subject::Connection { connection, kind, .. }, Phase::Opened) => {
                let number = self.numbers[connection];
                let connection = &world.connections[number];
                world.truth.told(number, *kind, at, How::Alone, connection, &world.script);
            }
            (Subject::Connection { connection, kind, .. }, Phase::Closed) => {
                world.truth.closed(self.numbers[connection], *kind, at);
            }
            (Subject::Outage(outage), phase) => self.outages.push((at, phase, *outage)),
            (Subject::Group { kind, new, .. }, Phase::Opened) => {
                for connection in new {
                    let number = self.numbers[connection];
                    let connection = &world.connections[number];
                    world.truth.told(number, *kind, at, How::Named, connection, &world.script);
                }
            }
            (Subject::Connection { .. }, Phase::Reminder)
            | (Subject::Group { .. } | Subject::Sink { .. } | Subject::Test { .. }, _) => {}
        }
    }
}
