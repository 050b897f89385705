//! What one look says about each kind of trouble.

use jiff::Timestamp;

use super::cause::{Cause, not_firing};
use super::due::Due;
use super::episode::Kind;
use super::facts::{Facts, ScheduleState};
use super::outage::{Outage, deferred, later};
use super::settings::Settings;

/// Whether there is trouble of a kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    Trouble(Cause),
    Clear,
    /// Neither: what stands open stays open, nothing is opened.
    Undecided,
}

/// What the facts are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standard<'a> {
    pub(super) now: Timestamp,
    pub(super) outages: &'a [Outage],
    pub(super) settings: &'a Settings,
}

impl Standard<'_> {
    /// `open`: whether there was trouble of this kind before. It ends by other rules than those by
    /// which it begins, or it would come and go.
    pub(super) fn find(&self, kind: Kind, facts: &Facts, open: bool) -> Finding {
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
            Kind::Schedule => self.schedule(facts),
            Kind::Paused => self.pause(facts),
        }
    }

    fn lag(&self, facts: &Facts, open: bool) -> Finding {
        if facts.paused_since().is_some() {
            return Finding::Clear;
        }
        let due = Due::of(facts, self.outages, self.settings);
        if due.recovered(self.now, self.settings) {
            Finding::Clear
        } else if open || due.late(self.now) {
            Finding::Trouble(Cause::of_lag(facts, self.now, self.settings))
        } else {
            Finding::Undecided
        }
    }

    fn schedule(&self, facts: &Facts) -> Finding {
        match &facts.schedule {
            ScheduleState::Missing => Finding::Trouble(Cause::ScheduleMissing),
            ScheduleState::Present { as_defined: false, .. } => {
                Finding::Trouble(Cause::ScheduleEdited)
            }
            ScheduleState::Present { started_at, .. } => {
                match not_firing(facts, self.now, self.settings) {
                    None => Finding::Clear,
                    // A tick that an outage swallowed is caught up or made up for by the next one.
                    Some(since) if self.after_outages(*started_at, facts) => {
                        Finding::Trouble(Cause::NotFiring { since })
                    }
                    Some(_) => Finding::Undecided,
                }
            }
        }
    }

    /// Whether every outage since a start was over for an interval.
    fn after_outages(&self, started_at: Option<Timestamp>, facts: &Facts) -> bool {
        let base = started_at.unwrap_or(facts.terms.created_at);
        let due_at = later(base, facts.terms.interval + self.settings.tick_slack);
        let alarm_at = deferred(due_at, base, self.outages, self.settings);
        alarm_at.is_some_and(|alarm_at| alarm_at <= self.now)
    }

    fn pause(&self, facts: &Facts) -> Finding {
        let long = self.settings.paused_too_long + self.settings.skew;
        match facts.paused_since() {
            None => Finding::Clear,
            Some(since) if later(since, long) <= self.now => {
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
    let found = Kind::ALL.into_iter().map(|kind| (kind, standard.find(kind, facts, false)));
    found
        .filter_map(|(kind, finding)| match finding {
            Finding::Trouble(cause) => Some((kind, cause)),
            Finding::Clear | Finding::Undecided => None,
        })
        .collect()
}

/// Of a paused connection nothing is newly told.
fn exceptions(facts: &Facts, count: u64, cause: Cause) -> Finding {
    match count {
        0 => Finding::Clear,
        _ if facts.paused_since().is_some() => Finding::Undecided,
        _ => Finding::Trouble(cause),
    }
}
