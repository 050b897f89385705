//! One pass of the watch: what was seen in, notices out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

use super::activity::Activity;
use super::beat::Beats;
use super::cause::Cause;
use super::episode::{Episode, Kind};
use super::facts::Facts;
use super::finding::{Finding, Standard};
use super::memory::Memory;
use super::mute::{self, Mute};
use super::notice::{Ending, Notice, Phase, Subject};
use super::opening::{Opening, open};
use super::outage::Outage;
use super::settings::Settings;
use super::sign::{self, Blind, Signs};
use super::standing::{dissolve_groups, remind};

/// What a pass has seen.
#[derive(Debug)]
pub struct Seen<'a> {
    /// By the clock of the watch, read after all looks.
    pub now: Timestamp,
    /// Whether Temporal answered everything that it was asked. If not, `looks` are not used.
    pub temporal: bool,
    /// When a worker last asked for work, by Temporal's clock; only its changes count.
    pub workers: Option<Timestamp>,
    /// Candidates, connections that something is [open](Memory::open) or
    /// [doubted](Watch::doubted) about, those that are [listened](Watch::listened) to, and a share of
    /// all the others: the audit.
    pub looks: Vec<Look>,
    pub mutes: &'a [Mute],
    /// If the watch was [away](Watch::away_since).
    pub activity: Option<Activity>,
}

/// A look at one connection.
#[derive(Debug)]
pub struct Look {
    pub connection: ConnectionId,
    /// `None` for one that is not defined any more, or never was.
    pub facts: Option<Facts>,
    /// Whether one that is not defined has a schedule.
    pub orphaned: bool,
}

/// What comes of a pass.
#[derive(Debug, Default)]
pub struct Passed {
    /// To be sent; each is handed out again until [`Memory::sent`] is called.
    pub notices: Vec<Notice>,
    /// Episodes that a group tells of since this pass, without a notice of their own: new ones,
    /// and those that were told alone before.
    pub joined: Vec<(ConnectionId, Kind)>,
    /// Connections that need not be looked at before an instant, though visibility shows them past
    /// their deadline: nothing that is likely to happen makes them late until then.
    pub later: Vec<(ConnectionId, Timestamp)>,
}

/// A watch. What it remembers itself may be lost at any time.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    signs: Option<Signs>,
    /// Schedules that look wrong and are not told of, and since when.
    doubts: BTreeMap<ConnectionId, Timestamp>,
    /// Where workers were at work.
    beats: Beats,
}

/// What one pass holds all its looks against.
struct Pass<'a> {
    now: Timestamp,
    stops: Vec<Outage>,
    mutes: &'a [Mute],
    /// Whether connections may be called late now.
    calm: bool,
    settings: &'a Settings,
}

impl Watch {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, signs: None, doubts: BTreeMap::new(), beats: Beats::default() }
    }

    /// Connections whose schedules have to be looked at again.
    pub fn doubted(&self) -> impl Iterator<Item = &ConnectionId> {
        self.doubts.keys()
    }

    /// Connections that a worker was at work for lately, and whose runs have to be looked at again
    /// because no worker has asked for work for a while: if all have their hands full, nothing else
    /// shows that they are there. `None` as long as one asks.
    #[must_use]
    pub fn listened(&self, now: Timestamp) -> Option<Vec<&ConnectionId>> {
        let silent = self.signs.as_ref().is_some_and(|signs| signs.nobody_asks(now));
        silent.then(|| self.beats.newest())
    }

    /// Since when nobody watched, if that is long ago or was not looked into yet: that needs to know
    /// whether workers poll now. The next pass wants to be told of the [`Activity`] since then.
    #[must_use]
    pub fn away_since(&self, memory: &Memory, now: Timestamp) -> Option<Timestamp> {
        let blind = memory.blind.or_else(|| Blind::of(memory, now, &self.settings));
        blind.map(|blind| blind.alive_at)
    }

    /// Judges what was seen.
    pub fn pass(&mut self, memory: &mut Memory, seen: Seen<'_>) -> Passed {
        let now = seen.now;
        let Self { settings, signs, doubts, beats } = self;
        let mut passed = Passed::default();
        let beat_at = if seen.temporal { beats.note(&seen.looks, now) } else { None };
        let calm = sign::note(signs, memory, &seen, beat_at, settings);
        if seen.temporal {
            let pass = Pass { now, stops: memory.stops(), mutes: seen.mutes, calm, settings };
            let mut openings = Vec::new();
            for look in seen.looks {
                pass.judge(memory, doubts, look, &mut openings, &mut passed.later);
            }
            passed.joined = open(memory, openings, now, settings);
            dissolve_groups(memory, now, settings);
        }
        remind(memory, now, seen.mutes, settings);
        memory.forget(now);
        passed.notices = memory.due(now, seen.temporal, settings);
        passed
    }
}

impl Pass<'_> {
    /// Goes through all kinds of trouble of one connection.
    fn judge(
        &self,
        memory: &mut Memory,
        doubts: &mut BTreeMap<ConnectionId, Timestamp>,
        look: Look,
        openings: &mut Vec<Opening>,
        later: &mut Vec<(ConnectionId, Timestamp)>,
    ) {
        let Look { connection, facts, orphaned } = look;
        let mut open = memory.episodes.get_mut(&connection).map(std::mem::take).unwrap_or_default();
        let was_open = !open.is_empty();
        let Some(mut facts) = facts else {
            memory.pauses.forget(&connection);
            openings.extend(self.undefined(memory, doubts, connection, open, orphaned));
            return;
        };
        memory.pauses.complete(&connection, &mut facts, self.now, self.settings);
        let standard = Standard { now: self.now, outages: &self.stops, settings: self.settings };
        for kind in Kind::ALL {
            let place = open.iter().position(|episode| episode.kind == kind);
            let before = place.and_then(|place| open.get(place)).map(|open| (&connection, open));
            let finding = standard.find(kind, &facts, before);
            if kind == Kind::Schedule && !matches!((&finding, place), (Finding::Trouble(_), None)) {
                doubts.remove(&connection);
            }
            match (finding, place) {
                (Finding::Trouble(cause), Some(place)) => {
                    let episode = open.get_mut(place).expect("it was found there");
                    episode.cause = cause.known_before(&episode.cause);
                }
                (Finding::Trouble(cause), None) => {
                    if let Some(since) = self.settled(doubts, &connection, kind) {
                        let key = Episode::key(&connection, kind, &facts, since);
                        openings.push(Opening { connection: connection.clone(), kind, key, cause });
                    }
                }
                (Finding::Clear, Some(place)) => {
                    let ending = match (kind, facts.is_paused()) {
                        (Kind::Late, true) => Ending::Paused,
                        _ => Ending::Recovered,
                    };
                    let episode = open.remove(place);
                    if Episode::key(&connection, kind, &facts, self.now) == episode.key {
                        memory.end(episode.key.clone(), self.now);
                    }
                    self.close(memory, &connection, episode, ending);
                }
                // What is not known of a stop yet may make it late at once.
                (Finding::NotBefore(at), None) if memory.blind.is_none() => {
                    later.push((connection.clone(), at));
                }
                (Finding::Clear, None) | (Finding::Undecided | Finding::NotBefore(_), _) => {}
            }
        }
        if open.is_empty() {
            if was_open {
                memory.episodes.remove(&connection);
            }
        } else if let Some(place) = memory.episodes.get_mut(&connection) {
            *place = open;
        }
    }

    /// All that may be wrong with a connection that is not defined is that it has a schedule.
    fn undefined(
        &self,
        memory: &mut Memory,
        doubts: &mut BTreeMap<ConnectionId, Timestamp>,
        connection: ConnectionId,
        open: Vec<Episode>,
        orphaned: bool,
    ) -> Option<Opening> {
        let cause = Cause::ScheduleUndefined;
        let stands = |episode: &Episode| orphaned && episode.cause == cause;
        let (standing, over): (Vec<Episode>, Vec<Episode>) = open.into_iter().partition(stands);
        for episode in over {
            self.close(memory, &connection, episode, Ending::Removed);
        }
        if !standing.is_empty() {
            doubts.remove(&connection);
            memory.episodes.insert(connection, standing);
            return None;
        }
        memory.episodes.remove(&connection);
        if !orphaned {
            doubts.remove(&connection);
            return None;
        }
        let kind = Kind::Schedule;
        let since = self.settled(doubts, &connection, kind)?;
        let key = Episode::schedule_key(&connection, since);
        Some(Opening { connection, kind, key, cause })
    }

    /// Since when trouble was seen, if it may be told now.
    fn settled(
        &self,
        doubts: &mut BTreeMap<ConnectionId, Timestamp>,
        connection: &ConnectionId,
        kind: Kind,
    ) -> Option<Timestamp> {
        let mut since = self.now;
        if kind == Kind::Schedule {
            since = *doubts.entry(connection.clone()).or_insert(since);
            if self.now.duration_since(since) < self.settings.settled_after {
                return None;
            }
        }
        let needs_calm = matches!(kind, Kind::Late | Kind::Schedule);
        ((self.calm || !needs_calm) && !self.muted(connection)).then_some(since)
    }

    fn muted(&self, connection: &ConnectionId) -> bool {
        mute::muted(self.mutes, connection, self.now)
    }

    /// Ends an episode. A group tells of its members' ends when it ends, except of those that were
    /// told by themselves before: whoever keeps them by their keys hears of each. What was told is over for
    /// whoever was told, also while it is muted: nothing else would end it there.
    fn close(
        &self,
        memory: &mut Memory,
        connection: &ConnectionId,
        episode: Episode,
        ending: Ending,
    ) {
        memory.withdraw(&episode.key);
        if let Some(name) = &episode.group {
            if let Some(group) = memory.groups.get_mut(name) {
                group.leave(connection);
            }
            if !episode.told_alone {
                return;
            }
        }
        memory.tell(Notice {
            key: format!("{}/closed", episode.key),
            at: self.now,
            phase: Phase::Closed,
            subject: Subject::Connection {
                connection: connection.clone(),
                kind: episode.kind,
                cause: episode.cause,
                ending: Some(ending),
            },
        });
    }
}
