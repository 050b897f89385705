//! When a connection runs, and how durations are written.

mod cron;
pub mod duration;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::cron::{Cron, CronError};
use crate::ids::ConnectionId;

/// When a connection runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Once in each interval, at a moment of its own (see [`Schedule::phase`]).
    Every(Interval),
    /// At the ticks of a cron expression.
    Cron(Cron),
}

/// The time between two runs: whole seconds, from a minute to a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(Duration);

/// Why a duration is not an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntervalError {
    #[error("is shorter than a minute, and no interval may be")]
    TooShort,
    #[error("is longer than a year, and no interval may be")]
    TooLong,
    #[error("is not a whole number of seconds")]
    Fraction,
    #[error(transparent)]
    Duration(#[from] duration::DurationError),
}

impl Interval {
    /// The shortest interval.
    pub const MIN: Duration = Duration::from_mins(1);
    /// The longest interval.
    pub const MAX: Duration = Duration::from_hours(366 * 24);

    /// Checks the bounds.
    pub fn new(duration: Duration) -> Result<Self, IntervalError> {
        if duration < Self::MIN {
            Err(IntervalError::TooShort)
        } else if duration > Self::MAX {
            Err(IntervalError::TooLong)
        } else if duration.subsec_nanos() != 0 {
            Err(IntervalError::Fraction)
        } else {
            Ok(Self(duration))
        }
    }

    /// Its length.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Interval {
    type Error = IntervalError;

    fn try_from(text: String) -> Result<Self, IntervalError> {
        Self::new(duration::parse(&text)?)
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        duration::text(interval.0)
    }
}

impl Schedule {
    /// The longest time between two ticks: what lag is measured against.
    pub fn interval_longest(&self) -> Duration {
        match self {
            Self::Every(interval) => interval.0,
            Self::Cron(cron) => cron.interval_longest(),
        }
    }

    /// The shortest time between two ticks: what limits are measured against.
    pub fn interval_shortest(&self) -> Duration {
        match self {
            Self::Every(interval) => interval.0,
            Self::Cron(cron) => cron.interval_shortest(),
        }
    }

    /// How far back missed ticks are caught up after an outage: one interval, so that there is
    /// one run to catch up and not one for every tick that was missed.
    pub fn catchup_window(&self) -> Duration {
        self.interval_longest()
    }

    /// How long after the begin of each interval the connection runs: whole seconds, less than
    /// the interval, always the same for an id. Spreads the runs of many connections that have
    /// the same interval. Zero for cron, whose ticks are what was asked for.
    pub fn phase(&self, id: &ConnectionId) -> Duration {
        match self {
            Self::Every(interval) => {
                let hash = blake3::hash(id.as_str().as_bytes());
                let (first, _) =
                    hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
                Duration::from_secs(u64::from_le_bytes(*first) % interval.0.as_secs())
            }
            Self::Cron(_) => Duration::ZERO,
        }
    }

    /// How much later than its tick a run may start: for cron a tenth of the shortest gap, at
    /// most five minutes, so that many connections with one expression do not start at once.
    /// Zero for an interval, which has its phase.
    pub fn jitter(&self) -> Duration {
        match self {
            Self::Every(_) => Duration::ZERO,
            Self::Cron(cron) => (cron.interval_shortest() / 10).min(Duration::from_mins(5)),
        }
    }
}

/// `every 1h` or `cron 0 7 * * * (Europe/Berlin)`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {}", duration::text(interval.0)),
            Self::Cron(cron) => write!(f, "cron {} ({})", cron.expression(), cron.timezone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every(text: &str) -> Schedule {
        Schedule::Every(Interval::try_from(text.to_owned()).unwrap())
    }

    #[test]
    fn intervals_have_bounds() {
        let refused = |text: &str| Interval::try_from(text.to_owned()).unwrap_err();
        assert_eq!(refused("59s"), IntervalError::TooShort);
        assert_eq!(refused("367d"), IntervalError::TooLong);
        assert_eq!(refused("90s 1ms"), IntervalError::Fraction);
        assert_eq!(refused("soon"), IntervalError::Duration(duration::DurationError));
        assert_eq!(every("1m").interval_longest(), Interval::MIN);
    }

    #[test]
    fn the_phase_of_an_id_never_moves() {
        // A schedule that was made by an older version keeps its minute.
        let id = ConnectionId::new("acme/newsletter").unwrap();
        assert_eq!(every("1h").phase(&id), Duration::from_secs(821));
    }

    #[test]
    fn phases_spread_over_the_interval() {
        let mut per_minute = [0_u32; 60];
        for number in 0..6_000 {
            let id = ConnectionId::new(&format!("acme/list-{number}")).unwrap();
            let minute = every("1h").phase(&id).as_secs() / 60;
            per_minute[usize::try_from(minute).unwrap()] += 1;
        }
        // 100 are expected in each minute, with a standard deviation of 10.
        assert!(per_minute.iter().all(|count| (50..150).contains(count)), "{per_minute:?}");
    }

    #[test]
    fn a_schedule_survives_the_store() {
        for schedule in
            [every("90m"), Schedule::Cron(Cron::new("0 7 * * 1-5", "Europe/Berlin").unwrap())]
        {
            let json = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule, "{json}");
        }
        assert!(serde_json::from_str::<Schedule>(r#"{"every":"1s"}"#).is_err());
        assert_eq!(every("90m").to_string(), "every 1h 30m");
    }

    #[test]
    fn jitter_stays_below_the_shortest_gap() {
        let jitter = |text| Schedule::Cron(Cron::new(text, "UTC").unwrap()).jitter();
        assert_eq!(jitter("* * * * *"), Duration::from_secs(6));
        assert_eq!(jitter("0 7 * * *"), Duration::from_mins(5));
        assert_eq!(every("1h").jitter(), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_phase_is_inside_its_interval(name in "[a-z0-9-]{1,30}", seconds in 60_u64..40_000_000) {
            if let Ok(interval) = Interval::new(Duration::from_secs(seconds)) {
                let schedule = Schedule::Every(interval);
                let id = ConnectionId::new(&format!("a/{name}")).unwrap();
                prop_assert!(schedule.phase(&id) < interval.duration());
            }
        }
    }
}
