//! New trouble: told one by one, or of many with one cause together.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

use super::cause::Cause;
use super::episode::{Episode, Kind};
use super::group::Group;
use super::memory::Memory;
use super::notice::Phase;
use super::settings::Settings;

/// Trouble that is not open yet.
pub(super) struct Opening {
    pub(super) connection: ConnectionId,
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) cause: Cause,
}

impl Opening {
    /// The group that it would be told with.
    fn group(&self) -> Option<String> {
        let group = self.cause.group(&self.connection)?;
        Some(format!("{}/{group}", self.kind))
    }

    fn episode(self, now: Timestamp, group: Option<String>) -> (ConnectionId, Episode) {
        let episode = Episode {
            kind: self.kind,
            key: self.key,
            opened_at: now,
            cause: self.cause,
            told_at: now,
            reminder_count: 0,
            told_alone: group.is_none(),
            group,
        };
        (self.connection, episode)
    }
}

/// Tells of all that a pass found. Returns those that a group tells of since this pass.
pub(super) fn open(
    memory: &mut Memory,
    openings: Vec<Opening>,
    now: Timestamp,
    settings: &Settings,
) -> Vec<(ConnectionId, Kind)> {
    let mut shared: BTreeMap<String, Vec<Opening>> = BTreeMap::new();
    for opening in openings {
        match opening.group() {
            Some(group) => shared.entry(group).or_default().push(opening),
            None => open_alone(memory, opening, now),
        }
    }
    let together = shared.into_iter().flat_map(|(group, openings)| {
        if memory.groups.contains_key(&group) {
            let joined = join(memory, &group, openings, now);
            if let Some(open) = memory.groups.get_mut(&group)
                && let Some(notice) = open.tell_joining(&group, &memory.episodes, now)
            {
                memory.tell(notice);
            }
            joined
        } else {
            open_together(memory, group, openings, now, settings)
        }
    });
    together.collect()
}

fn open_alone(memory: &mut Memory, opening: Opening, now: Timestamp) {
    let (connection, episode) = opening.episode(now, None);
    let notice = episode.standing(&connection);
    if memory.begin(connection, episode) {
        memory.tell(notice);
    }
}

/// Adds to a group.
fn join(
    memory: &mut Memory,
    name: &str,
    openings: Vec<Opening>,
    now: Timestamp,
) -> Vec<(ConnectionId, Kind)> {
    let mut joined = Vec::with_capacity(openings.len());
    for opening in openings {
        joined.push((opening.connection.clone(), opening.kind));
        if let Some(group) = memory.groups.get_mut(name) {
            group.join(opening.connection.clone());
        }
        let (connection, episode) = opening.episode(now, Some(name.to_owned()));
        memory.begin(connection, episode);
    }
    joined
}

/// Makes a group, if there are enough of them.
fn open_together(
    memory: &mut Memory,
    name: String,
    openings: Vec<Opening>,
    now: Timestamp,
    settings: &Settings,
) -> Vec<(ConnectionId, Kind)> {
    let Some(kind) = openings.first().map(|opening| opening.kind) else { return Vec::new() };
    let alike = |connection: &ConnectionId, episode: &Episode| {
        let cause = |cause: String| name.strip_prefix(kind.as_str()) == Some(&format!("/{cause}"));
        episode.kind == kind
            && episode.group.is_none()
            && episode.cause.group(connection).is_some_and(cause)
    };
    let open = memory
        .episodes
        .iter_mut()
        .flat_map(|(connection, open)| open.iter_mut().map(move |episode| (connection, episode)));
    let alone: Vec<(&ConnectionId, &mut Episode)> =
        open.filter(|(connection, episode)| alike(connection, episode)).collect();
    if alone.len() + openings.len() < settings.group_from {
        openings.into_iter().for_each(|opening| open_alone(memory, opening, now));
        return Vec::new();
    }
    let mut group = Group::new(kind, &name, now);
    let mut joined = Vec::with_capacity(alone.len() + openings.len());
    for (connection, episode) in alone {
        episode.group = Some(name.clone());
        // It was told by itself.
        group.members.insert(connection.clone());
        joined.push((connection.clone(), kind));
    }
    memory.groups.insert(name.clone(), group);
    joined.extend(join(memory, &name, openings, now));
    if let Some(group) = memory.groups.get_mut(&name) {
        let notice = group.tell(&name, Phase::Opened, &memory.episodes, now);
        memory.tell(notice);
    }
    joined
}
