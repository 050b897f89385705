//! Outages of what every connection needs: Temporal, the workers, and the watch itself.
//!
//! While one lasts nobody is called late, and after it there is time to catch up. It is told
//! once, instead of once for each connection.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::notice::{Notice, Phase, Subject};
use super::settings::Settings;

/// What is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Temporal,
    Workers,
    /// The watch itself: it says so when it is back.
    Watch,
    /// No run ended while the watch was away, though many should have: it cannot know why.
    Unseen,
}

impl Part {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temporal => "temporal",
            Self::Workers => "workers",
            Self::Watch => "watch",
            Self::Unseen => "unseen",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part that was out, by the clock of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    pub part: Part,
    /// When it last gave a sign of life.
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

impl Outage {
    pub(super) fn notice(self, phase: Phase, at: Timestamp) -> Notice {
        let key = format!("outage/{}/{}", self.part, self.since);
        let key = match phase {
            Phase::Opened => key,
            Phase::Reminder => format!("{key}/reminder"),
            Phase::Closed => format!("{key}/closed"),
        };
        Notice { key, at, phase, subject: Subject::Outage(self) }
    }

    /// Whether connections could not run meanwhile.
    pub(super) fn stops_runs(&self) -> bool {
        self.part != Part::Watch
    }
}

/// When an alarm may go off that would have been due at `alarm_at` for what counts since `base`:
/// the time of an outage does not count, and after it there is time to catch up. `None` while one
/// lasts.
pub(super) fn deferred(
    alarm_at: Timestamp,
    base: Timestamp,
    outages: &[Outage],
    settings: &Settings,
) -> Option<Timestamp> {
    let mut alarm_at = alarm_at;
    // Parts may be out at the same time: no stretch counts twice.
    let mut counted_until = base;
    for outage in outages.iter().filter(|outage| outage.stops_runs()) {
        // What was due before is nothing that the outage could explain.
        if outage.since > later(alarm_at, settings.skew)
            || outage.until.is_some_and(|until| until <= base)
        {
            continue;
        }
        let until = outage.until?;
        let from = outage.since.max(counted_until);
        let lost = until.duration_since(from).max(SignedDuration::ZERO);
        counted_until = counted_until.max(until);
        alarm_at = later(alarm_at, lost).max(later(until, settings.catch_up + settings.skew));
    }
    Some(alarm_at)
}

/// Addition that stays within the calendar.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// When runs of a sample of connections ended, whatever way: what a watch that was away can still
/// see of the time in between.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    pub ended_at: Vec<Timestamp>,
    /// How many runs of the sample are due in an hour.
    pub runs_per_hour: f64,
}

impl Activity {
    /// The stretches within `from..to` in which no run ended, though so many were due that this
    /// cannot be chance.
    pub(super) fn gaps(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        /// A gap with so many runs due happens by chance once in 160,000.
        const DUE_COUNT: f64 = 12.0;
        const LEAST: SignedDuration = SignedDuration::from_mins(6);

        let mut seen: Vec<Timestamp> =
            self.ended_at.iter().copied().filter(|at| (from..to).contains(at)).collect();
        seen.sort_unstable();
        let starts = std::iter::once(from).chain(seen.iter().copied());
        let ends = seen.iter().copied().chain(std::iter::once(to));
        starts
            .zip(ends)
            .filter(|(start, end)| {
                let gap = end.duration_since(*start);
                gap >= LEAST && gap.as_secs_f64() / 3_600.0 * self.runs_per_hour >= DUE_COUNT
            })
            .collect()
    }
}
