//! The deletion guard: removals that look like a mistake wait for an operator.
//!
//! It counts what no operator approved of, over 24 hours, against the records of 24 hours ago: a
//! source that loses a few records every hour is noticed as well as one that loses all at once.

use jiff::Timestamp;
use tidemark_model::{
    definition::HoldDeletions,
    entry::Manifest,
    exception::{HoldRule, HourOfRemovals},
};

const HOUR: i64 = 3_600;
/// An hour counts until it lies entirely before the last 24 hours.
const HOURS: i64 = 24;
/// Shorter lists may lose more than half.
const SMALL_LIST: u64 = 10;

/// What was removed in the 24 hours before a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    hours: Vec<HourOfRemovals>,
    hour: i64,
    /// Before the run.
    records: u64,
}

impl Window {
    pub(super) fn of(base: Option<&Manifest>, now: Timestamp) -> Self {
        let hour = now.as_second().div_euclid(HOUR);
        let known = base.map_or(&[][..], |base| &base.removals).iter().copied();
        Self {
            hours: known.filter(|known| known.hour >= hour - HOURS).collect(),
            hour,
            records: base.map_or(0, |base| base.snapshot.record_count),
        }
    }

    /// The rule that holds a run's removals, if any does. `removals`: those that nobody approved
    /// of. `left`: the records once they are gone.
    pub(super) fn rule(&self, limit: HoldDeletions, removals: u64, left: u64) -> Option<HoldRule> {
        if removals == 0 {
            return None;
        }
        // Nothing was removed before the oldest hour, so there were as many 24 hours ago.
        let records = self.hours.first().map_or(self.records, |oldest| oldest.records);
        let removals = removals + self.hours.iter().map(|hour| hour.removals).sum::<u64>();
        let HoldDeletions { over, and_over_fraction } = limit;
        if left == 0 && self.records > 0 {
            Some(HoldRule::NothingLeft { records })
        } else if records >= SMALL_LIST && removals.saturating_mul(2) > records {
            Some(HoldRule::MoreThanHalf { removals, records })
        } else if removals > u64::from(over) && exceeds(removals, and_over_fraction, records) {
            Some(HoldRule::OverLimit { removals, records, over, and_over_fraction })
        } else {
            None
        }
    }

    /// The hours once `removals` were sent that nobody approved of.
    pub(super) fn after(mut self, removals: u64) -> Vec<HourOfRemovals> {
        match self.hours.last_mut().filter(|last| last.hour == self.hour) {
            Some(last) => last.removals += removals,
            None if removals > 0 => {
                let Self { hour, records, .. } = self;
                self.hours.push(HourOfRemovals { hour, records, removals });
            }
            None => {}
        }
        self.hours
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of a count")]
fn exceeds(removals: u64, fraction: f64, records: u64) -> bool {
    removals as f64 > fraction * records as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: HoldDeletions = HoldDeletions { over: 100, and_over_fraction: 0.1 };

    fn window(records: u64, hours: &[HourOfRemovals]) -> Window {
        Window { hours: hours.to_vec(), hour: 500_000, records }
    }

    fn hour(hour: i64, records: u64, removals: u64) -> HourOfRemovals {
        HourOfRemovals { hour, records, removals }
    }

    #[test]
    fn both_halves_of_the_limit_must_be_crossed() {
        let short = window(2_000, &[]);
        assert_eq!(short.rule(LIMIT, 200, 1_800), None, "exactly a tenth");
        assert!(matches!(
            short.rule(LIMIT, 201, 1_799),
            Some(HoldRule::OverLimit { removals: 201, records: 2_000, .. })
        ));
        let long = window(1_000_000, &[]);
        assert_eq!(long.rule(LIMIT, 5_000, 995_000), None);
    }

    #[test]
    fn small_lists_may_shrink_but_not_to_nothing() {
        assert_eq!(window(9, &[]).rule(LIMIT, 8, 1), None);
        assert!(matches!(
            window(9, &[]).rule(LIMIT, 9, 0),
            Some(HoldRule::NothingLeft { records: 9 })
        ));
        assert!(matches!(
            window(10, &[]).rule(LIMIT, 6, 4),
            Some(HoldRule::MoreThanHalf { removals: 6, records: 10 })
        ));
    }

    #[test]
    fn a_slow_leak_adds_up_against_the_records_of_a_day_ago() {
        let leaked = [hour(499_990, 2_000, 90), hour(499_995, 1_910, 90)];
        let window = window(1_820, &leaked);
        assert_eq!(window.rule(LIMIT, 20, 1_800), None);
        assert!(matches!(
            window.rule(LIMIT, 21, 1_799),
            Some(HoldRule::OverLimit { removals: 201, records: 2_000, .. })
        ));
    }

    #[test]
    fn what_a_run_before_the_first_commit_removes_is_not_held() {
        assert_eq!(window(0, &[]).rule(LIMIT, 1, 0), None);
    }

    #[test]
    fn removals_of_one_hour_are_one_entry_and_old_ones_go() {
        let hours = window(10, &[hour(499_999, 12, 2)]).after(1);
        assert_eq!(hours, [hour(499_999, 12, 2), hour(500_000, 10, 1)]);
        let again = window(9, &hours).after(3);
        assert_eq!(again, [hour(499_999, 12, 2), hour(500_000, 10, 4)]);
        assert_eq!(window(9, &hours).after(0), hours);
    }
}
