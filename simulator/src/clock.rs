//! The simulator's clock: the system's, shifted, or held still. Stamps and `Date` headers come from here.

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, tz::Offset};

/// The format of a stamp in an answer: whole seconds, always UTC.
const STAMP: &str = "%Y-%m-%dT%H:%M:%S+00:00";

enum Face {
    /// The system's clock plus so many seconds.
    Following { offset: i64 },
    /// Stands still at a Unix second until it is set or advanced.
    Held { at: i64 },
}

pub(crate) struct Clock(Mutex<Face>);

impl Clock {
    pub(crate) fn following() -> Self {
        Self(Mutex::new(Face::Following { offset: 0 }))
    }

    /// Whole Unix seconds: nothing that is simulated has a finer resolution.
    pub(crate) fn now(&self) -> i64 {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Face::Following { offset } => system_seconds().saturating_add(offset),
            Face::Held { at } => at,
        }
    }

    pub(crate) fn set(&self, at: Option<i64>) {
        let face = at.map_or(Face::Following { offset: 0 }, |at| Face::Held { at });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = face;
    }

    pub(crate) fn advance(&self, seconds: i64) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Face::Following { offset: value } | Face::Held { at: value } => {
                *value = value.saturating_add(seconds);
            }
        }
    }
}

fn system_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2022-02-23T16:25:57+00:00`.
pub(crate) fn stamp(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    Offset::UTC.to_datetime(at).strftime(STAMP).to_string()
}

/// The value of a `Date` header.
pub(crate) fn http_date(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    Offset::UTC.to_datetime(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as a query may write it: ISO 8601 with `Z`, an offset or nothing (UTC), with or without
/// fractions, which are cut off. Since stamps are whole seconds, cutting them off keeps the meaning
/// of both an exclusive lower and an inclusive upper bound.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<jiff::civil::DateTime>().ok()?;
        Offset::UTC.to_timestamp(local).ok()
    })?;
    Some(at.as_nanosecond().div_euclid(1_000_000_000)).and_then(|s| i64::try_from(s).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_form_of_a_time_is_read() {
        for text in [
            "2022-02-23T16:25:57Z",
            "2022-02-23T16:25:57+00:00",
            "2022-02-23T16:25:57.999Z",
            "2022-02-23T16:25:57.000000Z",
            "2022-02-23T17:25:57+01:00",
            "2022-02-23T16:25:57",
        ] {
            assert_eq!(parse(text), Some(1_645_633_557), "{text}");
        }
        for text in ["", "yesterday", "2022-02-23T16:25:57 00:00", "1645633557"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn stamps_and_dates_have_their_formats() {
        assert_eq!(stamp(1_645_633_557), "2022-02-23T16:25:57+00:00");
        assert_eq!(http_date(1_645_633_557), "Wed, 23 Feb 2022 16:25:57 GMT");
    }

    #[test]
    fn a_held_clock_moves_only_when_told() {
        let clock = Clock::following();
        clock.set(Some(100));
        clock.advance(5);
        assert_eq!(clock.now(), 105);
        clock.set(None);
        assert!(clock.now() > 1_600_000_000);
    }
}
