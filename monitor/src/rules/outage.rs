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

/// An outage as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// As it is told.
    pub(super) outage: Outage,
    /// What does not count for connections: more may become known of it than was told.
    pub(super) stop: Outage,
    /// When it was first seen. What was before is only known by the runs that ended.
    pub(super) seen_at: Timestamp,
    told: Told,
    told_at: Timestamp,
}

/// How much of an outage was told, or is not to be told any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Told {
    Nothing,
    Begin,
    All,
}

impl Noted {
    /// `stopped_at`: when runs stopped, at the earliest.
    pub(super) fn new(outage: Outage, stopped_at: Timestamp, seen_at: Timestamp) -> Self {
        let stop = Outage { since: stopped_at, ..outage };
        Self { outage, stop, seen_at, told: Told::Nothing, told_at: seen_at }
    }

    pub(super) fn end(&mut self, until: Timestamp) {
        self.outage.until = Some(until);
        self.stop.until = Some(until);
    }

    /// Whether it is of connections that it says something, and not of the watch.
    pub(super) fn stops_runs(&self) -> bool {
        self.stop.part != Part::Watch
    }

    /// What there is to tell. What is muted (`quiet`) is told later, if it still lasts; that it is
    /// over is told to whoever was told that it began.
    pub(super) fn tell(
        &mut self,
        now: Timestamp,
        quiet: bool,
        settings: &Settings,
    ) -> Option<Notice> {
        let over = self.outage.until.is_some();
        let afterwards = matches!(self.outage.part, Part::Watch | Part::Unseen);
        let phase = match self.told {
            Told::Nothing if !over || afterwards => Phase::Opened,
            Told::Begin if over => Phase::Closed,
            Told::Begin if now.duration_since(self.told_at) >= settings.remind_every => {
                Phase::Reminder
            }
            Told::Nothing | Told::Begin | Told::All => return None,
        };
        if over {
            self.told = Told::All;
        } else if !quiet {
            self.told = Told::Begin;
        }
        if quiet && phase != Phase::Closed {
            return None;
        }
        self.told_at = now;
        Some(self.notice(phase, now))
    }

    /// That it lasts, for a receiver that forgets.
    pub(super) fn standing(&self) -> Option<Notice> {
        let lasts = self.told == Told::Begin && self.outage.until.is_none();
        lasts.then(|| self.notice(Phase::Opened, self.outage.since))
    }

    fn notice(&self, phase: Phase, at: Timestamp) -> Notice {
        let Outage { part, since, .. } = self.outage;
        let key = format!("outage/{part}/{since}");
        let key = match phase {
            Phase::Opened => key,
            Phase::Reminder => format!("{key}/reminder/{at}"),
            Phase::Closed => format!("{key}/closed"),
        };
        Notice { key, at, phase, subject: Subject::Outage(self.outage) }
    }
}

/// When an alarm may go off that would have been due at `alarm_at` for what counts since `base`:
/// the time of an outage does not count, and after it there is time to catch up. `None` while one
/// lasts. `stops` are in the order in which they began.
pub(super) fn deferred(
    alarm_at: Timestamp,
    base: Timestamp,
    stops: &[Outage],
    settings: &Settings,
) -> Option<Timestamp> {
    let mut alarm_at = alarm_at;
    // Parts may be out at the same time: no stretch counts twice.
    let mut counted_until = base;
    for stop in stops.iter().filter(|stop| stop.part != Part::Watch) {
        // What was due before is nothing that the outage could explain.
        if stop.since > alarm_at || stop.until.is_some_and(|until| until <= base) {
            continue;
        }
        let until = stop.until?;
        let lost = until.duration_since(stop.since.max(counted_until)).max(SignedDuration::ZERO);
        counted_until = counted_until.max(until);
        alarm_at = later(alarm_at, lost).max(later(until, settings.catch_up + settings.skew));
    }
    Some(alarm_at)
}

/// Addition that stays within the calendar.
pub(super) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// The same, into the past.
pub(super) fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
