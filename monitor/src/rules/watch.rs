//! One pass of the watch: what was seen in, notices out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

use super::cause::Cause;
use super::episode::{Episode, Kind};
use super::facts::Facts;
use super::finding::{Finding, Standard};
use super::group::Group;
use super::memory::Memory;
use super::mute::Mute;
use super::notice::{Ending, Notice, Phase, Subject};
use super::outage::{Activity, Outage, Part};
use super::settings::Settings;

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
    /// [doubted](Watch::doubted) about, and a share of all the others: the audit.
    pub looks: Vec<Look>,
    pub mutes: &'a [Mute],
    /// If the watch was [away](Watch::away_since).
    pub activity: Option<Activity>,
}

/// A look at one connection.
#[derive(Debug)]
pub struct Look {
    pub connection: ConnectionId,
    /// `None` for one that is not defined any more.
    pub facts: Option<Facts>,
}

/// What comes of a pass.
#[derive(Debug, Default)]
pub struct Passed {
    /// To be sent; each is handed out again until [`Memory::sent`] is called.
    pub notices: Vec<Notice>,
    /// Episodes that a group tells of since this pass, without a notice of their own: new ones,
    /// and those that were told alone before.
    pub joined: Vec<(ConnectionId, Kind)>,
}

/// A watch. What it remembers itself may be lost at any time.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    /// When Temporal answered last.
    temporal_at: Option<Timestamp>,
    workers: Option<Sign>,
    /// Schedules that look wrong, and since when.
    doubts: BTreeMap<ConnectionId, Timestamp>,
}

/// The workers' last sign of life.
#[derive(Clone, Copy, Debug)]
struct Sign {
    polled_at: Option<Timestamp>,
    /// When it was seen to change, by the clock of the watch.
    changed_at: Timestamp,
    /// Whether it changed since the watch began.
    proven: bool,
}

/// Trouble that is not open yet.
struct Opening {
    connection: ConnectionId,
    kind: Kind,
    key: String,
    cause: Cause,
}

impl Opening {
    fn episode(self, now: Timestamp, group: Option<String>) -> (ConnectionId, Episode) {
        let episode = Episode {
            kind: self.kind,
            key: self.key,
            opened_at: now,
            cause: self.cause,
            told_at: now,
            reminder_count: 0,
            group,
        };
        (self.connection, episode)
    }
}

impl Watch {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, temporal_at: None, workers: None, doubts: BTreeMap::new() }
    }

    /// Connections whose schedules have to be looked at again.
    pub fn doubted(&self) -> impl Iterator<Item = &ConnectionId> {
        self.doubts.keys()
    }

    /// Since when no watch made a pass, if that is long ago. The next pass wants to be told of the
    /// [`Activity`] since then.
    #[must_use]
    pub fn away_since(&self, memory: &Memory, now: Timestamp) -> Option<Timestamp> {
        memory.awake_at.filter(|at| now.duration_since(*at) >= self.settings.away_after)
    }

    /// Judges what was seen.
    pub fn pass(&mut self, memory: &mut Memory, seen: Seen<'_>) -> Passed {
        let now = seen.now;
        let mut passed = Passed::default();
        self.note_absence(memory, &seen);
        let calm = self.note_parts(memory, &seen);
        if seen.temporal {
            let mut openings = Vec::new();
            for look in seen.looks {
                let muted = seen.mutes.iter().any(|mute| mute.covers(&look.connection, now));
                self.judge(memory, &look, now, muted, calm, &mut openings);
            }
            self.open(memory, openings, now, &mut passed);
            self.dissolve_groups(memory, now);
            memory.complete_at = Some(now);
        }
        self.remind(memory, now, seen.mutes);
        memory.awake_at = Some(now);
        passed.notices = memory.due(now, &self.settings);
        passed
    }

    /// A watch that was away says so, and does not blame connections for what it did not see.
    fn note_absence(&self, memory: &mut Memory, seen: &Seen<'_>) {
        let Some(since) = self.away_since(memory, seen.now) else { return };
        let mut note = |part, since, until| {
            let outage = Outage { part, since, until: Some(until) };
            memory.outages.push(outage);
            memory.tell(outage.notice(Phase::Opened, seen.now));
        };
        note(Part::Watch, since, seen.now);
        if !seen.temporal {
            return;
        }
        for (from, to) in seen.activity.iter().flat_map(|activity| activity.gaps(since, seen.now)) {
            note(Part::Unseen, from, to);
        }
    }

    /// Notes what is out and what is back. Whether connections may be called late now.
    fn note_parts(&mut self, memory: &mut Memory, seen: &Seen<'_>) -> bool {
        let now = seen.now;
        if !seen.temporal {
            let since = *self.temporal_at.get_or_insert(memory.complete_at.unwrap_or(now));
            self.note_silence(memory, Part::Temporal, since, now);
            return false;
        }
        self.temporal_at = Some(now);
        let back = note_return(memory, Part::Temporal, now);
        let sign = match self.workers {
            Some(sign) if sign.polled_at == seen.workers => Sign {
                // They need a moment to find Temporal again.
                changed_at: if back { now } else { sign.changed_at },
                ..sign
            },
            before => Sign {
                polled_at: seen.workers,
                changed_at: match (before, seen.workers) {
                    // A new watch: nobody polled for as long as Temporal remembers.
                    (None, None) => memory.complete_at.unwrap_or(now),
                    // The server forgot the last of them.
                    (Some(sign), None) => sign.changed_at,
                    (_, Some(_)) => now,
                },
                proven: before.is_some() && seen.workers.is_some(),
            },
        };
        self.workers = Some(sign);
        if sign.proven && sign.changed_at == now && !back {
            note_return(memory, Part::Workers, now);
        }
        self.note_silence(memory, Part::Workers, sign.changed_at, now);
        sign.proven
            && sign.polled_at.is_some()
            && now.duration_since(sign.changed_at) < self.settings.doubted_after
    }

    fn note_silence(&self, memory: &mut Memory, part: Part, since: Timestamp, now: Timestamp) {
        let silent = now.duration_since(since) >= self.settings.silent_after;
        if silent && memory.outage(part).is_none() {
            let outage = Outage { part, since, until: None };
            memory.outages.push(outage);
            memory.tell(outage.notice(Phase::Opened, now));
        }
    }

    /// Goes through all kinds of trouble of one connection.
    fn judge(
        &mut self,
        memory: &mut Memory,
        look: &Look,
        now: Timestamp,
        muted: bool,
        calm: bool,
        openings: &mut Vec<Opening>,
    ) {
        let connection = &look.connection;
        let mut open = memory.episodes.remove(connection).unwrap_or_default();
        let Some(facts) = &look.facts else {
            self.doubts.remove(connection);
            for episode in open {
                close(memory, connection, episode, Ending::Removed, now, muted);
            }
            return;
        };
        for kind in Kind::ALL {
            let place = open.iter().position(|episode| episode.kind == kind);
            let standard = Standard { now, outages: &memory.outages, settings: &self.settings };
            let finding = standard.find(kind, facts, place.is_some());
            let settled = self.settled(connection, kind, &finding, now);
            match (finding, place) {
                (Finding::Trouble(cause), Some(place)) => {
                    open.get_mut(place).expect("it was found there").cause = cause;
                }
                (Finding::Trouble(cause), None) => {
                    let needs_calm = matches!(kind, Kind::Late | Kind::Schedule);
                    if let Some(since) = settled
                        && !muted
                        && (calm || !needs_calm)
                    {
                        let key = Episode::key(connection, kind, facts, since);
                        openings.push(Opening { connection: connection.clone(), kind, key, cause });
                    }
                }
                (Finding::Clear, Some(place)) => {
                    let ending = match (kind, facts.paused_since()) {
                        (Kind::Late, Some(_)) => Ending::Paused,
                        _ => Ending::Recovered,
                    };
                    close(memory, connection, open.remove(place), ending, now, muted);
                }
                (Finding::Clear, None) | (Finding::Undecided, _) => {}
            }
        }
        if !open.is_empty() {
            memory.episodes.insert(connection.clone(), open);
        }
    }

    /// Since when it was seen, if it was seen long enough.
    fn settled(
        &mut self,
        connection: &ConnectionId,
        kind: Kind,
        finding: &Finding,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if kind != Kind::Schedule {
            return Some(now);
        }
        if !matches!(finding, Finding::Trouble(_)) {
            self.doubts.remove(connection);
            return None;
        }
        let since = *self.doubts.entry(connection.clone()).or_insert(now);
        (now.duration_since(since) >= self.settings.settled_after).then_some(since)
    }

    /// Tells of new trouble: one by one, or of many with one cause together.
    fn open(
        &self,
        memory: &mut Memory,
        openings: Vec<Opening>,
        now: Timestamp,
        passed: &mut Passed,
    ) {
        let mut shared: BTreeMap<String, Vec<Opening>> = BTreeMap::new();
        for opening in openings {
            match opening.cause.group(&opening.connection) {
                Some(group) => {
                    shared.entry(format!("{}/{group}", opening.kind)).or_default().push(opening)
                }
                None => open_alone(memory, opening, now),
            }
        }
        for (group, openings) in shared {
            self.open_together(memory, group, openings, now, passed);
        }
    }

    fn open_together(
        &self,
        memory: &mut Memory,
        group: String,
        openings: Vec<Opening>,
        now: Timestamp,
        passed: &mut Passed,
    ) {
        if let Some(open) = memory.groups.get_mut(&group) {
            passed.joined.extend(openings.iter().map(|one| (one.connection.clone(), one.kind)));
            openings.iter().for_each(|opening| open.join(opening.connection.clone()));
            for opening in openings {
                let (connection, episode) = opening.episode(now, Some(group.clone()));
                memory.remember(connection, episode);
            }
            return;
        }
        let Some(kind) = openings.first().map(|opening| opening.kind) else { return };
        let alike = |connection: &ConnectionId, episode: &Episode| {
            episode.kind == kind
                && episode.group.is_none()
                && episode
                    .cause
                    .group(connection)
                    .is_some_and(|cause| format!("{kind}/{cause}") == group)
        };
        let alone: Vec<(&ConnectionId, &mut Episode)> = memory
            .episodes
            .iter_mut()
            .flat_map(|(connection, open)| {
                open.iter_mut().map(move |episode| (connection, episode))
            })
            .filter(|(connection, episode)| alike(connection, episode))
            .collect();
        if alone.len() + openings.len() < self.settings.group_from {
            for opening in openings {
                open_alone(memory, opening, now);
            }
            return;
        }
        let mut open = Group::new(kind, &group, now);
        for (connection, episode) in alone {
            episode.group = Some(group.clone());
            open.members.insert(connection.clone());
            passed.joined.push((connection.clone(), kind));
        }
        for opening in openings {
            open.join(opening.connection.clone());
            let (connection, episode) = opening.episode(now, Some(group.clone()));
            memory.remember(connection, episode);
        }
        let notice = open.tell(&group, Phase::Opened, &memory.episodes, now);
        memory.tell(notice);
        memory.groups.insert(group, open);
    }

    /// Ends the groups that hardly anybody is left of; who is left is told by itself from now on.
    fn dissolve_groups(&self, memory: &mut Memory, now: Timestamp) {
        let over: Vec<String> = memory
            .groups
            .iter()
            .filter(|(_, group)| group.dissolves(&self.settings))
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            let Some(mut group) = memory.groups.remove(&name) else { continue };
            let notice = group.tell(&name, Phase::Closed, &memory.episodes, now);
            memory.tell(notice);
            for member in &group.members {
                for episode in memory.episodes.get_mut(member).into_iter().flatten() {
                    if episode.group.as_ref() == Some(&name) {
                        episode.group = None;
                        episode.told_at = now;
                    }
                }
            }
        }
    }

    /// Says again what has stood open for long, with the cause that it has now.
    fn remind(&self, memory: &mut Memory, now: Timestamp, mutes: &[Mute]) {
        let mut reminders = Vec::new();
        for (connection, open) in &mut memory.episodes {
            for episode in open.iter_mut().filter(|episode| episode.group.is_none()) {
                let silence = now.duration_since(episode.told_at);
                if silence < self.settings.remind_every
                    || mutes.iter().any(|mute| mute.covers(connection, now))
                {
                    continue;
                }
                episode.told_at = now;
                episode.reminder_count += 1;
                reminders.push(Notice {
                    key: format!("{}/reminder/{}", episode.key, episode.reminder_count),
                    at: now,
                    phase: Phase::Reminder,
                    subject: Subject::Connection {
                        connection: connection.clone(),
                        kind: episode.kind,
                        cause: episode.cause.clone(),
                        ending: None,
                    },
                });
            }
        }
        for (name, group) in &mut memory.groups {
            if group.reminder_due(now, &self.settings) {
                reminders.push(group.tell(name, Phase::Reminder, &memory.episodes, now));
            }
        }
        reminders.into_iter().for_each(|reminder| memory.tell(reminder));
    }
}

/// Notes that a part is back, if it was out. Whether it was.
fn note_return(memory: &mut Memory, part: Part, now: Timestamp) -> bool {
    let Some(outage) = memory.outage(part) else { return false };
    outage.until = Some(now);
    let outage = *outage;
    memory.tell(outage.notice(Phase::Closed, now));
    true
}

fn open_alone(memory: &mut Memory, opening: Opening, now: Timestamp) {
    let (connection, episode) = opening.episode(now, None);
    memory.tell(episode.standing(&connection));
    memory.remember(connection, episode);
}

/// Ends an episode. A group tells of its members' ends when it ends.
fn close(
    memory: &mut Memory,
    connection: &ConnectionId,
    episode: Episode,
    ending: Ending,
    now: Timestamp,
    muted: bool,
) {
    match episode.group {
        Some(group) => {
            if let Some(group) = memory.groups.get_mut(&group) {
                group.leave(connection);
            }
        }
        None if muted => {}
        None => memory.tell(Notice {
            key: format!("{}/closed", episode.key),
            at: now,
            phase: Phase::Closed,
            subject: Subject::Connection {
                connection: connection.clone(),
                kind: episode.kind,
                cause: episode.cause,
                ending: Some(ending),
            },
        }),
    }
}
