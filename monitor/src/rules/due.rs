//! Until when a connection has time.

use jiff::Timestamp;

use super::facts::{Facts, RunState, Terms};
use super::outage::{Outage, deferred, later};
use super::settings::Settings;

/// The deadlines of a connection that is not paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What lag counts from: the latest of watermark, creation and resume.
    pub base: Timestamp,
    /// `base + max_lag`, with no allowance at all but this: an edit that allows less leaves as much
    /// from then on, and no more than was left before.
    pub strict: Timestamp,
    /// With the time that a first sync, a resume or a forced full read has while it progresses.
    pub at: Timestamp,
    /// When somebody is told: `at`, the skew of clocks, and what outages took. `None` while an
    /// outage lasts.
    pub alarm_at: Option<Timestamp>,
}

impl Due {
    /// What the facts say. `outages` are in the order in which they began.
    #[must_use]
    pub fn of(facts: &Facts, outages: &[Outage], settings: &Settings) -> Self {
        let watermark = facts.commit.map(|commit| commit.complete_as_of);
        let begun = facts
            .resumed_at()
            .map_or(facts.terms.created_at, |resumed| resumed.max(facts.terms.created_at));
        let base = watermark.map_or(begun, |watermark| watermark.max(begun));
        let strict = strict(&facts.terms, base);
        // A connection that has not been in step since it was created or resumed, or whose list
        // has to be read again. A first sync that took longer than the lag that is allowed is
        // made up for by the run after it.
        let grace =
            (!caught_up(facts, begun, settings)).then_some(begun).max(facts.terms.reread_at);
        let at = match grace {
            Some(from) => strict.max(progressing_until(facts, from, settings)),
            None => strict,
        };
        let alarm_at = deferred(later(at, settings.skew), base, outages, settings);
        Self { base, strict, at, alarm_at }
    }

    /// Whether somebody has to be told.
    #[must_use]
    pub fn late(&self, now: Timestamp) -> bool {
        self.alarm_at.is_some_and(|alarm_at| alarm_at <= now)
    }

    /// Whether a connection that was late is no longer so, by any of the clocks.
    pub(super) fn recovered(&self, now: Timestamp, settings: &Settings) -> bool {
        later(now, settings.skew) <= self.strict
    }
}

/// The run of a schedule that was slower before an edit is as old as it was allowed to be then.
fn strict(terms: &Terms, base: Timestamp) -> Timestamp {
    let Some(first) = terms.edits.first() else { return later(base, terms.max_lag) };
    terms.edits.iter().fold(later(base, first.before), |left, edit| {
        later(base, edit.after).max(left.min(later(edit.at, edit.after)))
    })
}

/// Whether a commit that was in time stands since a creation or a resume. A watermark and a resume
/// are of two clocks; that a commit is none of before the creation is known without any.
pub(super) fn caught_up(facts: &Facts, begun: Timestamp, settings: &Settings) -> bool {
    let never_resumed = begun <= facts.terms.created_at;
    facts.commit.is_some_and(|commit| {
        let since = (never_resumed && commit.since_created)
            || commit.complete_as_of > later(begun, settings.skew);
        since && commit.in_time(facts.terms.max_lag)
    })
}

/// Until when an open run counts as making progress since `from`; the past if none does. One that
/// failed gives no time: each of a connection whose runs all fail would give it some more.
fn progressing_until(facts: &Facts, from: Timestamp, settings: &Settings) -> Timestamp {
    let Some(run) = &facts.run else { return Timestamp::MIN };
    let until = match &run.state {
        // Its place in line is no better than that of the run that failed before it.
        RunState::Queued { moved: false } if failed_since(facts, from, settings) => Timestamp::MIN,
        // It waits in line, and the line moves: an outage of the workers is dealt with apart.
        RunState::Queued { .. } => Timestamp::MAX,
        RunState::RateLimited { until, .. } => later(*until, settings.stalled_after),
        RunState::Working { moved_at, .. } | RunState::Retrying { moved_at, .. } => {
            later(*moved_at, settings.stalled_after)
        }
    };
    until.min(later(from, settings.first_sync_within))
}

/// Whether a run failed since an instant, by every clock.
fn failed_since(facts: &Facts, from: Timestamp, settings: &Settings) -> bool {
    facts.ended.as_ref().is_some_and(|ended| ended.at > later(from, settings.skew))
}
