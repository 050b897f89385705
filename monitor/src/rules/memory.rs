//! What outlives a watch: open episodes, outages, and what was told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::episode::Episode;
use super::group::Group;
use super::notice::{Notice, Phase};
use super::outage::{Outage, Part, later};
use super::settings::Settings;

/// Shared by all watches, and written before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub(super) episodes: BTreeMap<ConnectionId, Vec<Episode>>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) outages: Vec<Outage>,
    /// The keys of all that was ever told.
    told: BTreeSet<String>,
    /// What is not known to be sent, with when it was handed out last.
    unsent: BTreeMap<String, (Timestamp, Notice)>,
    /// The last pass of any watch, and the last one in which Temporal answered.
    pub(super) awake_at: Option<Timestamp>,
    pub(super) complete_at: Option<Timestamp>,
}

impl Memory {
    /// The connections that something is open about: they are looked at every minute.
    pub fn open(&self) -> impl Iterator<Item = &ConnectionId> {
        self.episodes.keys()
    }

    /// Everything that stands open now, told as it was when it opened, with the causes of now: for
    /// a receiver that forgets.
    #[must_use]
    pub fn standing(&self) -> Vec<Notice> {
        let alone = self.episodes.iter().flat_map(|(connection, open)| {
            let open = open.iter().filter(|episode| episode.group.is_none());
            open.map(|episode| episode.standing(connection))
        });
        let groups = self.groups.iter().map(|(name, group)| group.standing(name, &self.episodes));
        let outages = self.outages.iter().filter(|outage| outage.until.is_none());
        alone
            .chain(groups)
            .chain(outages.map(|outage| outage.notice(Phase::Opened, outage.since)))
            .collect()
    }

    /// Notes that a notice was sent.
    pub fn sent(&mut self, key: &str) {
        self.unsent.remove(key);
    }

    pub(super) fn outage(&mut self, part: Part) -> Option<&mut Outage> {
        self.outages.iter_mut().find(|outage| outage.part == part && outage.until.is_none())
    }

    /// Writes a notice down, unless one of its key was told before.
    pub(super) fn tell(&mut self, notice: Notice) {
        if self.told.insert(notice.key.clone()) {
            self.unsent.insert(notice.key.clone(), (Timestamp::MIN, notice));
        }
    }

    /// Notes an episode that begins, and that its key was told, be it by a group.
    pub(super) fn remember(&mut self, connection: ConnectionId, episode: Episode) {
        self.told.insert(episode.key.clone());
        self.episodes.entry(connection).or_default().push(episode);
    }

    /// What is to be sent now: the new notices, and those whose sender died before it noted that
    /// it had sent them.
    pub(super) fn due(&mut self, now: Timestamp, settings: &Settings) -> Vec<Notice> {
        let due = |handed_at: Timestamp| later(handed_at, settings.resend_after) <= now;
        self.unsent
            .values_mut()
            .filter(|(handed_at, _)| due(*handed_at))
            .map(|(handed_at, notice)| {
                *handed_at = now;
                notice.clone()
            })
            .collect()
    }
}
