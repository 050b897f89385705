//! What one look says about each kind of trouble.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::ids::ConnectionId;

use super::cause::{Cause, not_firing, ticks_from};
use super::due::Due;
use super::episode::{Episode, Kind};
use super::facts::{Facts, Paused, ScheduleState};
use super::outage::{Outage, deferred, earlier, later};
use super::settings::Settings;

/// Whether there is trouble of a kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    Trouble(Cause),
    Clear,
    /// Neither: what stands open stays open, nothing is opened.
    Undecided,
    /// The same, and it will be so until an instant.
    NotBefore(Timestamp),
}

/// How long at most, as somebody may change what is allowed.
const NOT_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// What the facts are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standard<'a> {
    pub(super) now: Timestamp,
    pub(super) outages: &'a [Outage],
    pub(super) settings: &'a Settings,
}

impl Standard<'_> {
    /// `open`: the trouble of this kind that there was before. It ends by other rules than those by
    /// which it begins, or it would come and go.
    pub(super) fn find(
        &self,
        kind: Kind,
        facts: &Facts,
        open: Option<(&ConnectionId, &Episode)>,
    ) -> Finding {
        match kind {
            Kind::Late => self.lag(facts, open),
            Kind::Held => {
                let count = facts.commit.map_or(0, |commit| commit.held_count);
                exceptions(facts, count, Cause::Held { count })
            }
            Kind::Rejecting => {
                let count = facts.commit.map_or(0, |commit| commit.rejected_count);
                exceptions(facts, count, Cause::Rejecting { count })
            }
            Kind::Schedule => self.schedule(facts, open.map(|(_, episode)| episode)),
            Kind::Paused => self.pause(facts),
        }
    }

    fn lag(&self, facts: &Facts, open: Option<(&ConnectionId, &Episode)>) -> Finding {
        if facts.is_paused() {
            return Finding::Clear;
        }
        let due = Due::of(facts, self.outages, self.settings);
        // It may have been in time again while nobody looked, and not be so any more.
        let ended = |connection: &ConnectionId, episode: &Episode| {
            let in_time = facts.terms.max_lag - self.settings.skew;
            let since = earlier(episode.opened_at, self.settings.skew);
            facts.commit.is_some_and(|commit| {
                (commit.committed_at >= since || facts.resumed_at() >= Some(since))
                    && commit.in_time(in_time)
            }) && episode.key != Episode::key(connection, Kind::Late, facts, self.now)
        };
        match open {
            None if !due.late(self.now) => self.not_yet(&due),
            Some(_) if due.recovered(self.now, self.settings) => Finding::Clear,
            Some((connection, episode)) if ended(connection, episode) => Finding::Clear,
            None | Some(_) => Finding::Trouble(Cause::of_lag(facts, self.now, self.settings)),
        }
    }

    fn not_yet(&self, due: &Due) -> Finding {
        let until = later(self.now, NOT_BEFORE);
        let alarm_at = due.alarm_at.unwrap_or(until);
        // What it has only while it progresses may be gone at the next look.
        let sure = if due.at > due.strict { due.strict.min(alarm_at) } else { alarm_at };
        if sure > self.now { Finding::NotBefore(sure.min(until)) } else { Finding::Undecided }
    }

    fn schedule(&self, facts: &Facts, open: Option<&Episode>) -> Finding {
        match &facts.schedule {
            ScheduleState::Missing => Finding::Trouble(Cause::ScheduleMissing),
            ScheduleState::Present { as_defined: false, .. } => {
                Finding::Trouble(Cause::ScheduleEdited)
            }
            ScheduleState::Present { .. } => {
                match not_firing(facts, self.now, self.settings) {
                    // An edit alone has not shown that it fires.
                    None if open.is_some_and(|episode| self.only_edited(facts, episode)) => {
                        Finding::Undecided
                    }
                    None => Finding::Clear,
                    // A tick that an outage swallowed is caught up or made up for by the next one.
                    Some(since) if self.after_outages(facts) => {
                        Finding::Trouble(Cause::NotFiring { since })
                    }
                    // Whether it fires again is not known yet; what else was wrong is over.
                    Some(_) => match open.map(|episode| &episode.cause) {
                        Some(Cause::NotFiring { .. }) => Finding::Undecided,
                        _ => Finding::Clear,
                    },
                }
            }
        }
    }

    /// Whether a schedule that does not fire was applied again since that was told, and nothing else
    /// has happened to it.
    fn only_edited(&self, facts: &Facts, episode: &Episode) -> bool {
        let (Cause::NotFiring { since }, ScheduleState::Present { paused: None, started_at, .. }) =
            (&episode.cause, &facts.schedule)
        else {
            return false;
        };
        let told_at = earlier(episode.opened_at, self.settings.skew);
        let edited_at = Some(facts.terms.applied_at).max(facts.terms.reread_at);
        facts.run.is_none()
            && since == started_at
            && edited_at >= Some(told_at)
            && edited_at >= Some(ticks_from(facts))
    }

    /// Whether every outage since a start was over for an interval.
    fn after_outages(&self, facts: &Facts) -> bool {
        let base = ticks_from(facts);
        let due_at = later(base, facts.terms.interval + self.settings.tick_slack);
        let alarm_at = deferred(due_at, base, self.outages, self.settings);
        alarm_at.is_some_and(|alarm_at| alarm_at <= self.now)
    }

    fn pause(&self, facts: &Facts) -> Finding {
        let long = self.settings.paused_too_long + self.settings.skew;
        match facts.paused() {
            None => Finding::Clear,
            Some(Paused { since: Some(since) }) if later(since, long) <= self.now => {
                Finding::Trouble(Cause::Paused { since })
            }
            Some(_) => Finding::Undecided,
        }
    }
}

/// What is wrong with a connection now, with no regard to what was told, to outages and to how
/// long it has been so.
#[must_use]
pub fn troubles(facts: &Facts, now: Timestamp, settings: &Settings) -> Vec<(Kind, Cause)> {
    let standard = Standard { now, outages: &[], settings };
    let found = Kind::ALL.into_iter().map(|kind| (kind, standard.find(kind, facts, None)));
    found
        .filter_map(|(kind, finding)| match finding {
            Finding::Trouble(cause) => Some((kind, cause)),
            Finding::Clear | Finding::Undecided | Finding::NotBefore(_) => None,
        })
        .collect()
}

/// Of a paused connection nothing is newly told.
fn exceptions(facts: &Facts, count: u64, cause: Cause) -> Finding {
    match count {
        0 => Finding::Clear,
        _ if facts.is_paused() => Finding::Undecided,
        _ => Finding::Trouble(cause),
    }
}
