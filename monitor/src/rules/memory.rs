//! What outlives a watch: open episodes, outages, and what is to be sent.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::episode::Episode;
use super::group::Group;
use super::mute::{Mute, muted};
use super::notice::{Notice, Subject};
use super::outage::{Noted, Outage, Part, earlier, later};
use super::pause::SeenPauses;
use super::settings::Settings;
use super::sign::{Blind, Signs};

/// Outages that were over for so long are forgotten, and pauses of which nothing was seen for so
/// long: no connection is allowed a lag as long.
const OUTAGES_KEPT: SignedDuration = SignedDuration::from_hours(100 * 24);
/// Episodes that are over, but would have the same key if they came again, for so long.
const ENDED_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Shared by all watches, and written before anything is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub(super) episodes: BTreeMap<ConnectionId, Vec<Episode>>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) outages: Vec<Noted>,
    #[serde(default, skip_serializing_if = "SeenPauses::is_empty")]
    pub(super) pauses: SeenPauses,
    /// Of the watch that made the last pass.
    pub(super) signs: Signs,
    pub(super) blind: Option<Blind>,
    /// Keys of episodes that ended without a newer commit, and when: they are not told again.
    ended: BTreeMap<String, Timestamp>,
    /// What is not known to be sent, with when it was handed out last.
    unsent: BTreeMap<String, (Timestamp, Notice)>,
}

impl Memory {
    /// The connections that something is open about: they are looked at every minute.
    pub fn open(&self) -> impl Iterator<Item = &ConnectionId> {
        self.episodes.keys()
    }

    /// Everything that stands open now, told as it was when it opened, with the causes of now: for
    /// a receiver that forgets.
    ///
    /// Who was told by itself stands by itself, though a group took it in: such a receiver takes for
    /// over what it is not told of again. A mute leaves what was told before as it is. Only who is
    /// left of a group that ended is not told of by itself meanwhile.
    #[must_use]
    pub fn standing(&self, mutes: &[Mute], now: Timestamp) -> Vec<Notice> {
        let alone = self.episodes.iter().flat_map(|(connection, open)| {
            let quiet = muted(mutes, connection, now);
            let open = open.iter().filter(move |episode| {
                let alone = episode.group.is_none() || episode.told_alone;
                alone && !(quiet && episode.is_left_over())
            });
            open.map(|episode| episode.standing(connection))
        });
        let groups = self.groups.iter().map(|(name, group)| group.standing(name, &self.episodes));
        alone.chain(groups).chain(self.outages.iter().filter_map(Noted::standing)).collect()
    }

    /// Notes that a notice was sent.
    pub fn sent(&mut self, key: &str) {
        self.unsent.remove(key);
    }

    /// One that lasts.
    pub(super) fn outage(&mut self, part: Part) -> Option<&mut Noted> {
        let lasts = |noted: &&mut Noted| noted.outage.part == part && noted.outage.until.is_none();
        self.outages.iter_mut().find(lasts)
    }

    /// When runs were stopped, in the order of their begin.
    pub(super) fn stops(&self) -> Vec<Outage> {
        let stopping = self.outages.iter().filter(|noted| noted.stops_runs());
        let mut stops: Vec<Outage> = stopping.map(|noted| noted.stop).collect();
        stops.sort_by_key(|stop| stop.since);
        stops
    }

    /// Writes a notice down.
    pub(super) fn tell(&mut self, notice: Notice) {
        self.unsent.insert(notice.key.clone(), (Timestamp::MIN, notice));
    }

    /// What began is over, and it is not known that this was told: then only its end is.
    pub(super) fn withdraw(&mut self, key: &str) {
        self.unsent.remove(key);
    }

    /// Notes an episode that begins. Whether it is a new one: what it tells is.
    pub(super) fn begin(&mut self, connection: ConnectionId, episode: Episode) -> bool {
        let again = self.ended.remove(&episode.key).is_some();
        self.episodes.entry(connection).or_default().push(episode);
        !again
    }

    /// Notes that an episode is over that may come again as the same.
    pub(super) fn end(&mut self, key: String, now: Timestamp) {
        self.ended.insert(key, now);
    }

    /// Forgets what was over for long.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let oldest = earlier(now, OUTAGES_KEPT);
        self.outages.retain(|noted| noted.stop.until.is_none_or(|until| until > oldest));
        self.pauses.forget_before(oldest);
        let oldest = earlier(now, ENDED_KEPT);
        self.ended.retain(|_, ended_at| *ended_at > oldest);
    }

    /// What is to be sent now: the new notices, and those whose sender died before it noted that
    /// it had sent them. Without Temporal (`complete`) nobody knows whether the latter still hold.
    pub(super) fn due(
        &mut self,
        now: Timestamp,
        complete: bool,
        settings: &Settings,
    ) -> Vec<Notice> {
        let due = |handed_at: Timestamp, notice: &Notice| {
            let anew = handed_at == Timestamp::MIN;
            let holds = complete || matches!(notice.subject, Subject::Outage(_));
            anew || (holds && later(handed_at, settings.resend_after) <= now)
        };
        self.unsent
            .values_mut()
            .filter(|(handed_at, notice)| due(*handed_at, notice))
            .map(|(handed_at, notice)| {
                *handed_at = now;
                notice.clone()
            })
            .collect()
    }
}
