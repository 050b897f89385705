//! Cron expressions of five fields, read as Temporal reads them.
//!
//! Two rules differ from the cron of Unix, both after the documentation of Temporal's schedules:
//! a day has to match day-of-month *and* day-of-week, and a local time that a change of the clocks
//! skips does not tick, one that it repeats ticks twice.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time, date};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

/// A checked cron expression in a time zone, with the longest and the shortest gap of its ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Cron {
    written: Written,
    longest: Duration,
    shortest: Duration,
}

/// What of a [`Cron`] is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    expression: String,
    timezone: String,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    #[error("needs five fields: minute, hour, day of month, month and day of week; found {found}")]
    FieldCount { found: usize },
    #[error("has a bad {field}: write `*`, {first}-{last}, a list or a range with a step")]
    Field { field: &'static str, first: u8, last: u8 },
    #[error("has no two ticks in five years")]
    Rare,
    #[error("is not the name of a time zone, such as `Europe/Berlin` or `UTC`")]
    TimeZone,
}

impl Cron {
    /// Checks the expression and the name of the time zone (IANA).
    pub fn new(expression: &str, timezone: &str) -> Result<Self, CronError> {
        let ticks = Ticks::parse(expression)?;
        let zone = time_zone(timezone)?;
        let (longest, shortest) = ticks.gaps(&zone).ok_or(CronError::Rare)?;
        // One space between fields and the zone's own spelling, so that what is equal reads equal;
        // a server may tell `europe/berlin` from `Europe/Berlin`.
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let timezone = zone.iana_name().unwrap_or(timezone).to_owned();
        Ok(Self { written: Written { expression, timezone }, longest, shortest })
    }

    /// Checks the form of an expression alone.
    pub fn check_expression(expression: &str) -> Result<(), CronError> {
        Ticks::parse(expression).map(drop)
    }

    /// Checks the name of a time zone alone.
    pub fn check_timezone(timezone: &str) -> Result<(), CronError> {
        time_zone(timezone).map(drop)
    }

    /// The five fields, one space between them.
    pub fn expression(&self) -> &str {
        &self.written.expression
    }

    /// The IANA name of the time zone.
    pub fn timezone(&self) -> &str {
        &self.written.timezone
    }

    /// The longest time between two ticks.
    pub fn interval_longest(&self) -> Duration {
        self.longest
    }

    /// The shortest time between two ticks.
    pub fn interval_shortest(&self) -> Duration {
        self.shortest
    }
}

impl TryFrom<Written> for Cron {
    type Error = CronError;

    fn try_from(written: Written) -> Result<Self, CronError> {
        Self::new(&written.expression, &written.timezone)
    }
}

impl From<Cron> for Written {
    fn from(cron: Cron) -> Self {
        cron.written
    }
}

/// Looks only into the database that is compiled in: the same definition is valid everywhere.
fn time_zone(name: &str) -> Result<TimeZone, CronError> {
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| CronError::TimeZone)?;
    if zone.is_unknown() { Err(CronError::TimeZone) } else { Ok(zone) }
}

/// The values of each field, a bit for each.
#[derive(Debug, PartialEq, Eq)]
struct Ticks {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Ticks {
    fn parse(expression: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(CronError::FieldCount { found: fields.len() });
        };
        let weekdays = field(weekday, "day of week", 0, 7, WEEKDAYS)?;
        Ok(Self {
            minutes: field(minute, "minute", 0, 59, &[])?,
            hours: field(hour, "hour", 0, 23, &[])?,
            days: field(day, "day of month", 1, 31, &[])?,
            months: field(month, "month", 1, 12, MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0b111_1111,
        })
    }

    fn matches(&self, day: Date) -> bool {
        let has = |bits: u64, value: i8| bits >> value & 1 == 1;
        has(self.months, day.month())
            && has(self.days, day.day())
            && has(self.weekdays, day.weekday().to_sunday_zero_offset())
    }

    /// The times of a day at which it ticks, in order.
    fn times(&self) -> Vec<Time> {
        let values = |bits: u64| (0_i8..60).filter(move |value| bits >> value & 1 == 1);
        let minutes = || values(self.minutes);
        values(self.hours)
            .flat_map(|hour| minutes().map(move |minute| jiff::civil::time(hour, minute, 0, 0)))
            .collect()
    }

    /// The longest and the shortest gap between two ticks in five years from 2024 on: long enough
    /// to hold two 29th of February. `None` if there are no two ticks.
    fn gaps(&self, zone: &TimeZone) -> Option<(Duration, Duration)> {
        let times = self.times();
        let (first, last) = (*times.first()?, *times.last()?);
        let inside = Gaps::inside_a_day(&times);
        let mut gaps = Gaps::default();
        let mut day = date(2024, 1, 1);
        while day < date(2029, 1, 1) {
            let next = day.tomorrow().expect("the years 2024 to 2029 are representable");
            if self.matches(day) {
                match (instants(zone, day, first).as_slice(), instants(zone, day, last).as_slice())
                {
                    (&[first], &[last]) if same_offset(zone, day, next) => {
                        gaps.tick(first);
                        gaps.include(&inside);
                        gaps.previous = Some(last);
                    }
                    // The clocks change on this day: its ticks are looked at one by one.
                    _ => {
                        let mut ticks: Vec<Timestamp> =
                            times.iter().flat_map(|time| instants(zone, day, *time)).collect();
                        ticks.sort_unstable();
                        ticks.into_iter().for_each(|tick| gaps.tick(tick));
                    }
                }
            }
            day = next;
        }
        Some((gaps.longest?, gaps.shortest?))
    }
}

/// The gaps between ticks that were seen so far.
#[derive(Debug, Default)]
struct Gaps {
    previous: Option<Timestamp>,
    longest: Option<Duration>,
    shortest: Option<Duration>,
}

impl Gaps {
    /// The gaps of a day whose clocks do not change.
    fn inside_a_day(times: &[Time]) -> Self {
        let mut gaps = Self::default();
        for pair in times.windows(2) {
            if let &[earlier, later] = pair {
                gaps.gap(later.duration_since(earlier).unsigned_abs());
            }
        }
        gaps
    }

    fn tick(&mut self, at: Timestamp) {
        if let Some(previous) = self.previous.replace(at) {
            self.gap(at.duration_since(previous).unsigned_abs());
        }
    }

    fn include(&mut self, other: &Self) {
        other.longest.into_iter().chain(other.shortest).for_each(|gap| self.gap(gap));
    }

    fn gap(&mut self, gap: Duration) {
        self.longest = self.longest.max(Some(gap));
        self.shortest = Some(self.shortest.map_or(gap, |shortest| shortest.min(gap)));
    }
}

/// The instants at which the clocks of a zone show a local time: none, one or two.
fn instants(zone: &TimeZone, day: Date, time: Time) -> Vec<Timestamp> {
    let local = day.to_datetime(time);
    let offsets = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => vec![offset],
        AmbiguousOffset::Gap { .. } => vec![],
        AmbiguousOffset::Fold { before, after } => vec![before, after],
    };
    offsets.into_iter().filter_map(|offset| offset.to_timestamp(local).ok()).collect()
}

fn same_offset(zone: &TimeZone, one: Date, other: Date) -> bool {
    let at_midnight =
        |day: Date| zone.to_ambiguous_timestamp(day.to_datetime(Time::midnight())).offset();
    at_midnight(one) == at_midnight(other)
}

/// Reads one field: `*`, a value, a range, each with an optional step, or a list of these.
fn field(
    text: &str,
    field: &'static str,
    first: u8,
    last: u8,
    names: &[&str],
) -> Result<u64, CronError> {
    let refused = || CronError::Field { field, first, last };
    let value = |text: &str| -> Result<u8, CronError> {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let value = match named.and_then(|position| u8::try_from(position).ok()) {
            // The names of months and weekdays begin at the first value of their field.
            Some(position) => first + position,
            None => text.parse().map_err(|_| refused())?,
        };
        if (first..=last).contains(&value) { Ok(value) } else { Err(refused()) }
    };
    let mut bits = 0;
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u8>().map_err(|_| refused())?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from)?, value(to)?),
            None if range == "*" => (first, last),
            // With a step, a single value begins a range that has no end.
            None if step.is_some() => (value(range)?, last),
            None => (value(range)?, value(range)?),
        };
        let step = step.unwrap_or(1);
        if from > to || step == 0 {
            return Err(refused());
        }
        for value in (from..=to).step_by(step.into()) {
            bits |= 1_u64 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600;

    /// The longest and the shortest gap in hours.
    fn gaps(expression: &str, timezone: &str) -> (u64, u64) {
        let cron = Cron::new(expression, timezone).unwrap();
        (cron.longest.as_secs() / HOUR, cron.shortest.as_secs() / HOUR)
    }

    #[test]
    fn gaps_of_common_expressions() {
        assert_eq!(gaps("0 * * * *", "UTC"), (1, 1));
        assert_eq!(gaps("0 */6 * * *", "UTC"), (6, 6));
        assert_eq!(gaps("0 7 * * *", "UTC"), (24, 24));
        assert_eq!(gaps("0 9-17 * * mon-fri", "UTC"), (64, 1));
        assert_eq!(gaps("30 6 1 * *", "UTC"), (31 * 24, 28 * 24));
        assert_eq!(gaps("0 0 29 2 *", "UTC"), (1_461 * 24, 1_461 * 24));
        let every_minute = Cron::new("* * * * *", "UTC").unwrap();
        assert_eq!(every_minute.interval_longest(), Duration::from_mins(1));
        assert_eq!(every_minute.interval_shortest(), Duration::from_mins(1));
    }

    #[test]
    fn clocks_that_change() {
        assert_eq!(gaps("0 7 * * *", "Europe/Berlin"), (25, 23));
        // 02:30 is skipped once a year, and comes twice on another day.
        assert_eq!(gaps("30 2 * * *", "Europe/Berlin"), (47, 1));
        assert_eq!(gaps("0 * * * *", "Europe/Berlin"), (1, 1));
    }

    #[test]
    fn a_day_has_to_match_both_fields() {
        // Friday the 13th, not every Friday and every 13th.
        assert_eq!(gaps("0 0 13 * 5", "UTC").1, 28 * 24);
        assert!(gaps("0 0 13 * 5", "UTC").0 > 200 * 24);
    }

    #[test]
    fn fields_have_forms() {
        let minutes = |text| field(text, "minute", 0, 59, &[]);
        assert_eq!(minutes("1,3-5"), Ok(0b11_1010));
        assert_eq!(minutes("0-10/5"), Ok(1 | 1 << 5 | 1 << 10));
        assert_eq!(minutes("40/10"), Ok(1 << 40 | 1 << 50));
        assert_eq!(field("JAN,dec", "month", 1, 12, MONTHS), Ok(1 << 1 | 1 << 12));
        assert_eq!(Ticks::parse("0 0 * * 7").unwrap(), Ticks::parse("0 0 * * sun").unwrap());
        for text in ["", "60", "a", "5-1", "*/0", "1,", "-1", "1-", "*-3", "300", "1/2/3"] {
            assert!(minutes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn bad_expressions_say_why() {
        let error = |expression, timezone| {
            let error = Cron::new(expression, timezone).unwrap_err();
            format!("{expression} [{timezone}] {error}")
        };
        insta::assert_snapshot!([
            error("0 7 * *", "UTC"),
            error("@daily", "UTC"),
            error("0 7 * * * *", "UTC"),
            error("0 24 * * *", "UTC"),
            error("0 7 * * fri-mon", "UTC"),
            error("0 0 31 2 *", "UTC"),
            error("0 7 * * *", "Europe/Berlim"),
        ].join("\n"), @r"
        0 7 * * [UTC] needs five fields: minute, hour, day of month, month and day of week; found 4
        @daily [UTC] needs five fields: minute, hour, day of month, month and day of week; found 1
        0 7 * * * * [UTC] needs five fields: minute, hour, day of month, month and day of week; found 6
        0 24 * * * [UTC] has a bad hour: write `*`, 0-23, a list or a range with a step
        0 7 * * fri-mon [UTC] has a bad day of week: write `*`, 0-7, a list or a range with a step
        0 0 31 2 * [UTC] has no two ticks in five years
        0 7 * * * [Europe/Berlim] is not the name of a time zone, such as `Europe/Berlin` or `UTC`
        ");
    }

    #[test]
    fn spelling_does_not_matter() {
        let cron = Cron::new("  0  7 * * *\t", "europe/berlin").unwrap();
        assert_eq!(cron, Cron::new("0 7 * * *", "Europe/Berlin").unwrap());
        assert_eq!(cron.timezone(), "Europe/Berlin");
        assert_eq!(Cron::new("0 7 * * *", "Etc/Unknown"), Err(CronError::TimeZone));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9*/, a-z-]{0,24}") {
            if let Ok(cron) = Cron::new(&text, "America/New_York") {
                prop_assert!(cron.shortest <= cron.longest);
                prop_assert!(cron.shortest >= Duration::from_mins(1));
            }
        }
    }
}
