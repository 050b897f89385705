//! Many connections with one cause: one notice that counts and samples them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::{AccountId, ConnectionId};

use super::cause::Cause;
use super::episode::{Episode, Kind};
use super::notice::{Notice, Phase, Subject};
use super::settings::Settings;

/// Members that a notice names with their causes: of one account, and in all.
const SAMPLE_OF_ACCOUNT: usize = 3;
const SAMPLE: usize = 60;

/// A group that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub kind: Kind,
    pub key: String,
    pub members: BTreeSet<ConnectionId>,
    /// Members that no notice named yet.
    pub joined: BTreeSet<ConnectionId>,
    /// Whose members it was told of.
    pub accounts: BTreeSet<AccountId>,
    pub opened_at: Timestamp,
    pub told_at: Timestamp,
    /// How many members it had then.
    pub told_count: usize,
    pub reminder_count: u64,
}

impl Group {
    /// One without members.
    pub(super) fn new(kind: Kind, name: &str, now: Timestamp) -> Self {
        Self {
            kind,
            key: format!("group/{name}/{now}"),
            members: BTreeSet::new(),
            joined: BTreeSet::new(),
            accounts: BTreeSet::new(),
            opened_at: now,
            told_at: now,
            told_count: 0,
            reminder_count: 0,
        }
    }

    pub(super) fn join(&mut self, connection: ConnectionId) {
        self.joined.insert(connection.clone());
        self.members.insert(connection);
    }

    pub(super) fn leave(&mut self, connection: &ConnectionId) {
        self.joined.remove(connection);
        self.members.remove(connection);
    }

    /// What is told when it opens, again while it stands, and when it is over.
    pub(super) fn tell(
        &mut self,
        name: &str,
        phase: Phase,
        episodes: &BTreeMap<ConnectionId, Vec<Episode>>,
        now: Timestamp,
    ) -> Notice {
        let key = match phase {
            Phase::Opened => self.key.clone(),
            Phase::Reminder => {
                self.reminder_count += 1;
                format!("{}/reminder/{}", self.key, self.reminder_count)
            }
            Phase::Closed => format!("{}/closed", self.key),
        };
        let mut counts = self.counts();
        match phase {
            Phase::Opened | Phase::Reminder => self.accounts.extend(counts.keys().cloned()),
            Phase::Closed => {
                for account in &self.accounts {
                    counts.entry(account.clone()).or_default();
                }
            }
        }
        (self.told_at, self.told_count) = (now, self.members.len());
        let new = std::mem::take(&mut self.joined).into_iter().collect();
        let subject = self.subject(name, counts, new, episodes);
        Notice { key, at: now, phase, subject }
    }

    /// What is told at once when the first members of an account join, since whoever may see that
    /// account only has heard nothing so far. They stay to be named to all the others.
    pub(super) fn tell_joining(
        &mut self,
        name: &str,
        episodes: &BTreeMap<ConnectionId, Vec<Episode>>,
        now: Timestamp,
    ) -> Option<Notice> {
        let first = |member: &&ConnectionId| !self.accounts.contains(&member.account());
        let new: Vec<ConnectionId> = self.joined.iter().filter(first).cloned().collect();
        let accounts: BTreeSet<AccountId> = new.iter().map(ConnectionId::account).collect();
        if accounts.is_empty() {
            return None;
        }
        self.accounts.extend(accounts.iter().cloned());
        let key = format!("{}/joining/{}", self.key, self.accounts.len());
        let whole = self.subject(name, self.counts(), new, episodes);
        let notice = Notice { key, at: now, phase: Phase::Opened, subject: whole };
        let mut own = notice.for_accounts(&|account| accounts.contains(account))?;
        if let Subject::Group { joining, .. } = &mut own.subject {
            *joining = true;
        }
        Some(own)
    }

    /// That it stands, for a receiver that forgets.
    pub(super) fn standing(
        &self,
        name: &str,
        episodes: &BTreeMap<ConnectionId, Vec<Episode>>,
    ) -> Notice {
        let subject = self.subject(name, self.counts(), Vec::new(), episodes);
        Notice { key: self.key.clone(), at: self.opened_at, phase: Phase::Opened, subject }
    }

    /// Whether there is something to say again.
    pub(super) fn reminder_due(&self, now: Timestamp, settings: &Settings) -> bool {
        let count = self.members.len();
        let silence = now.duration_since(self.told_at);
        let grown = count > self.told_count && silence >= settings.regroup_every;
        let doubled = count >= 2 * self.told_count;
        grown || doubled || silence >= settings.remind_every
    }

    /// Whether so few are left that they are told one by one again. Fewer than it takes to make a
    /// group, so that it does not come and go with one connection.
    pub(super) fn dissolves(&self, settings: &Settings) -> bool {
        self.members.len() < settings.group_from.div_ceil(2)
    }

    fn counts(&self) -> BTreeMap<AccountId, usize> {
        let mut counts = BTreeMap::new();
        for member in &self.members {
            *counts.entry(member.account()).or_default() += 1;
        }
        counts
    }

    fn subject(
        &self,
        name: &str,
        counts: BTreeMap<AccountId, usize>,
        new: Vec<ConnectionId>,
        episodes: &BTreeMap<ConnectionId, Vec<Episode>>,
    ) -> Subject {
        let sample = self.sample(episodes);
        let group = name.to_owned();
        Subject::Group { kind: self.kind, counts, new, sample, group, joining: false }
    }

    fn sample(
        &self,
        episodes: &BTreeMap<ConnectionId, Vec<Episode>>,
    ) -> Vec<(ConnectionId, Cause)> {
        let cause = |member: &ConnectionId| {
            let of_kind = |episode: &&Episode| episode.kind == self.kind;
            Some(episodes.get(member)?.iter().find(of_kind)?.cause.clone())
        };
        let mut sample = Vec::new();
        // Members of one account follow each other.
        let (mut account, mut count) = (None, 0);
        for member in &self.members {
            let of = Some(member.account());
            count = if of == account { count + 1 } else { 1 };
            account = of;
            if count <= SAMPLE_OF_ACCOUNT
                && let Some(cause) = cause(member)
            {
                sample.push((member.clone(), cause));
                if sample.len() == SAMPLE {
                    break;
                }
            }
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(
        members: impl Iterator<Item = String>,
    ) -> (Group, BTreeMap<ConnectionId, Vec<Episode>>) {
        let now = Timestamp::UNIX_EPOCH;
        let mut group = Group::new(Kind::Late, "late/no-run", now);
        let mut episodes = BTreeMap::new();
        for member in members {
            let member: ConnectionId = member.parse().unwrap();
            let episode = Episode {
                kind: Kind::Late,
                key: format!("late/{member}/1"),
                opened_at: now,
                cause: Cause::NoRun,
                told_at: now,
                reminder_count: 0,
                group: Some("late/no-run".to_owned()),
                told_alone: false,
            };
            episodes.insert(member.clone(), vec![episode]);
            group.join(member);
        }
        (group, episodes)
    }

    fn accounts(counts: &BTreeMap<AccountId, usize>) -> Vec<(&str, usize)> {
        counts.iter().map(|(account, count)| (account.as_str(), *count)).collect()
    }

    #[test]
    fn a_sample_has_three_of_an_account_and_sixty_in_all() {
        let (mut group, episodes) =
            group((0..400).map(|number| format!("a{:02}/l{number:03}", number / 10)));
        let notice = group.tell("late/no-run", Phase::Opened, &episodes, Timestamp::UNIX_EPOCH);
        let Subject::Group { counts, new, sample, .. } = notice.subject else { panic!() };
        assert_eq!((counts.len(), new.len(), sample.len()), (40, 400, 60));
        assert_eq!(counts.values().sum::<usize>(), 400);
        let of_one = |account: &str| {
            sample.iter().filter(|(member, _)| member.account().as_str() == account).count()
        };
        assert_eq!((of_one("a00"), of_one("a19"), of_one("a20")), (3, 3, 0));
    }

    #[test]
    fn who_may_see_one_account_hears_of_its_members_only() {
        let now = Timestamp::UNIX_EPOCH;
        let (mut group, mut episodes) =
            group(["acme/a", "acme/b", "base/a", "coda/a"].map(str::to_owned).into_iter());
        let sees = |account: &'static str| move |one: &AccountId| one.as_str() == account;
        let opened = group.tell("late/no-run", Phase::Opened, &episodes, now);
        let shown = opened.for_accounts(&sees("base")).unwrap();
        assert_eq!((&shown.key, shown.at, shown.phase), (&opened.key, now, Phase::Opened));
        let Subject::Group { counts, new, sample, group: name, .. } = shown.subject else {
            panic!()
        };
        assert_eq!(accounts(&counts), [("base", 1)]);
        assert_eq!(new, ["base/a".parse().unwrap()]);
        assert_eq!(sample, [("base/a".parse().unwrap(), Cause::NoRun)]);
        assert_eq!(name, "late/no-run");
        assert!(opened.for_accounts(&sees("data")).is_none());

        // One that joins is named once, and its account hears of the end although it left.
        let late = episodes.values().next().unwrap().clone();
        episodes.insert("data/a".parse().unwrap(), late);
        group.join("data/a".parse().unwrap());
        let joining = group.tell_joining("late/no-run", &episodes, now).unwrap();
        let Subject::Group { counts, new, sample, joining: true, .. } = &joining.subject else {
            panic!()
        };
        assert_eq!((joining.phase, accounts(counts)), (Phase::Opened, vec![("data", 1)]));
        assert_eq!((new.len(), sample.len()), (1, 1));
        assert!(group.tell_joining("late/no-run", &episodes, now).is_none(), "it was told");
        let again = group.tell("late/no-run", Phase::Reminder, &episodes, now);
        let Subject::Group { new, .. } = &again.subject else { panic!() };
        assert_eq!(new, &["data/a".parse().unwrap()]);
        let left = ["acme/a", "base/a", "data/a"].map(|member| member.parse().unwrap());
        left.iter().for_each(|member| group.leave(member));
        assert!(group.standing("late/no-run", &episodes).for_accounts(&sees("base")).is_none());
        let over = group.tell("late/no-run", Phase::Closed, &episodes, now);
        let Subject::Group { counts, .. } = &over.subject else { panic!() };
        assert_eq!(accounts(counts), [("acme", 1), ("base", 0), ("coda", 1), ("data", 0)]);
        let shown = over.for_accounts(&sees("data")).unwrap();
        assert_eq!(shown.to_string(), "over for all: late");
        assert!(over.for_accounts(&sees("edna")).is_none(), "it never heard of it");
    }

    #[test]
    fn an_outage_is_everybodys() {
        use super::super::outage::{Noted, Outage, Part};

        let now = Timestamp::UNIX_EPOCH;
        let outage = Outage { part: Part::Temporal, since: now, until: None };
        let notice = Noted::new(outage, now, now).tell(now, false, &Settings::default()).unwrap();
        assert_eq!(notice.for_accounts(&|_| false), Some(notice));
    }
}
