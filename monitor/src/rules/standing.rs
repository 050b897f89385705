//! What stands open: it is said again now and then, and a group ends when hardly anybody is left.

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

use super::memory::Memory;
use super::mute::{self, Mute};
use super::notice::{Notice, Phase, Subject};
use super::settings::Settings;

/// Ends the groups that hardly anybody is left of; who is left is told by itself from now on.
pub(super) fn dissolve_groups(memory: &mut Memory, now: Timestamp, settings: &Settings) {
    let over: Vec<String> = memory
        .groups
        .iter()
        .filter(|(_, group)| group.dissolves(settings))
        .map(|(name, _)| name.clone())
        .collect();
    for name in over {
        let Some(mut group) = memory.groups.remove(&name) else { continue };
        memory.withdraw(&group.key);
        let notice = group.tell(&name, Phase::Closed, &memory.episodes, now);
        memory.tell(notice);
        for member in &group.members {
            for episode in memory.episodes.get_mut(member).into_iter().flatten() {
                if episode.group.as_ref() == Some(&name) {
                    episode.group = None;
                    episode.told_at = now;
                    // Also if another group takes it in: receivers hear of it from now on.
                    episode.told_alone = true;
                }
            }
        }
    }
}

/// Says again what has stood open for long, with the cause that it has now.
pub(super) fn remind(memory: &mut Memory, now: Timestamp, mutes: &[Mute], settings: &Settings) {
    let muted = |connection: &ConnectionId| mute::muted(mutes, connection, now);
    let mut reminders = Vec::new();
    for (connection, open) in &mut memory.episodes {
        for episode in open.iter_mut().filter(|episode| episode.group.is_none()) {
            if now.duration_since(episode.told_at) < settings.remind_every || muted(connection) {
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
        if group.reminder_due(now, settings) && !group.members.iter().all(muted) {
            reminders.push(group.tell(name, Phase::Reminder, &memory.episodes, now));
        }
    }
    reminders.into_iter().for_each(|reminder| memory.tell(reminder));
}
