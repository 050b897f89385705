//! Durations as people write them: `90s`, `1h 30m`, `7d`. A day has 24 hours, a week 7 days.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

/// The text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration; use text such as '1h 30m'")]
pub struct DurationError;

/// Reads a duration in jiff's friendly format.
///
/// # Errors
/// The text has another form, is negative, or uses months or years, whose length varies.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    static PARSER: SpanParser = SpanParser::new();
    let span = PARSER.parse_span(text.trim()).map_err(|_| DurationError)?;
    let signed =
        span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| DurationError)?;
    Duration::try_from(signed).map_err(|_| DurationError)
}

/// Writes a duration so that [`parse`] reads the same one.
pub fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nanoseconds = u64::from(duration.subsec_nanos());
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (nanoseconds / 1_000_000, "ms"),
        (nanoseconds / 1_000 % 1_000, "us"),
        (nanoseconds % 1_000, "ns"),
    ];
    let mut text = String::new();
    for (amount, unit) in parts.into_iter().filter(|(amount, _)| *amount > 0) {
        let space = if text.is_empty() { "" } else { " " };
        write!(text, "{space}{amount}{unit}").expect("writing to a string cannot fail");
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(with = "…")]`: a duration as its text.
pub(crate) mod serde_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_that_people_write() {
        for (given, seconds) in [
            ("1h", 3_600),
            ("90s", 90),
            ("1h 30m", 5_400),
            ("1h30m", 5_400),
            ("1 hour 30 minutes", 5_400),
            ("7d", 604_800),
            ("1 week", 604_800),
            ("0s", 0),
            (" 2m ", 120),
        ] {
            assert_eq!(parse(given), Ok(Duration::from_secs(seconds)), "{given}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for given in ["", "1", "hourly", "-1h", "1h ago", "1 month", "1y", "99999999999999h"] {
            assert_eq!(parse(given), Err(DurationError), "{given}");
        }
    }

    #[test]
    fn text_is_short() {
        assert_eq!(text(Duration::ZERO), "0s");
        assert_eq!(text(Duration::from_secs(7 * 86_400)), "7d");
        assert_eq!(text(Duration::from_millis(90_061_500)), "1d 1h 1m 1s 500ms");
    }

    proptest! {
        #[test]
        fn text_reads_back(nanoseconds in 0_u64..10_u64.pow(18)) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(given in "\\PC{0,20}") {
            if let Ok(duration) = parse(&given) {
                prop_assert_eq!(parse(&text(duration)), Ok(duration));
            }
        }
    }
}
