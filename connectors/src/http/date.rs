//! Times as HTTP writes them.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

/// Reads an HTTP date (`Sat, 21 Nov 2026 10:39:26 GMT`).
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|time| time.timestamp())
}

/// Reads the value of a `Retry-After` header: seconds, or a date that counts from `now`.
pub(super) fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = parse(text)?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_given_in_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-21T10:39:26Z".parse().unwrap();
        assert_eq!(wait("120", now), Some(Duration::from_secs(120)));
        assert_eq!(wait("Sat, 21 Nov 2026 10:40:26 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(wait("Sat, 21 Nov 2026 10:39:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("soon", now), None);
        assert_eq!(wait("-1", now), None);
    }
}
