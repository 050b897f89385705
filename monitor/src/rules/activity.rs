//! What a watch that was away can still see of the time in between.

use jiff::{SignedDuration, Timestamp};

use super::outage::{earlier, later};
use super::settings::Settings;

/// When runs of a sample of connections were ended by workers, with or without a commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Activity {
    /// By Temporal's clock, in any order.
    pub ended_at: Vec<Timestamp>,
    /// How many runs of the sample are due in an hour.
    pub runs_per_hour: f64,
}

impl Activity {
    /// The first run that ended after an instant of the watch, for certain.
    pub(super) fn first_after(&self, at: Timestamp, settings: &Settings) -> Option<Timestamp> {
        let from = later(at, settings.skew);
        self.ended_at.iter().copied().filter(|ended| *ended > from).min()
    }

    /// The last one that may have ended before.
    pub(super) fn last_before(&self, at: Timestamp, settings: &Settings) -> Option<Timestamp> {
        let until = later(at, settings.skew);
        self.ended_at.iter().copied().filter(|ended| *ended <= until).max()
    }

    /// The stretches within `from..to` in which no run ended, though so many were due that this
    /// cannot be chance.
    pub(super) fn gaps(
        &self,
        from: Timestamp,
        to: Timestamp,
        settings: &Settings,
    ) -> Vec<(Timestamp, Timestamp)> {
        /// A gap with so many runs due happens by chance once in 160,000.
        const DUE_COUNT: f64 = 12.0;
        const LEAST: SignedDuration = SignedDuration::from_mins(5);

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
            .map(|(start, end)| {
                // Of two clocks, it may have been longer than it looks.
                let mixed = start == from || end == to;
                (if mixed { earlier(start, settings.skew) } else { start }, end)
            })
            .collect()
    }
}
