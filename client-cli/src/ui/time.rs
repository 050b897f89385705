//! Instants and durations as people read them. JSON carries RFC 3339 instead.

use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

/// A duration in its two greatest units: `3h 20m`, `45s`, `0s`.
pub(crate) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(length, _)| seconds >= *length) else {
        return "0s".to_owned();
    };
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, unit) in units.iter().skip(first).take(2) {
        if rest / length > 0 {
            parts.push(format!("{}{unit}", rest / length));
        }
        rest %= length;
    }
    parts.join(" ")
}

/// `3h 20m ago`, or `in 12m` for what is to come.
pub(crate) fn relative(now: Timestamp, at: Timestamp) -> String {
    let difference = at.duration_since(now);
    let text = rough(difference.unsigned_abs());
    if difference > SignedDuration::ZERO { format!("in {text}") } else { format!("{text} ago") }
}

/// How long ago it was, without "ago".
pub(crate) fn age(now: Timestamp, at: Timestamp) -> String {
    rough(Duration::try_from(now.duration_since(at)).unwrap_or_default())
}

/// `2026-11-21T10:00:00Z`: whole seconds.
pub(crate) fn instant(at: Timestamp) -> String {
    whole_seconds(at).to_string()
}

/// The second that an instant is in.
pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    let down = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    at.round(down).unwrap_or(at)
}

/// `2026-11-21T10:00:00Z (3h 20m ago)`.
pub(crate) fn instant_and_age(now: Timestamp, at: Timestamp) -> String {
    format!("{} ({})", instant(at), relative(now, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rough() {
        let all: Vec<String> = [0, 59, 60, 3_600, 12_000, 90_061, 604_800]
            .map(|seconds| rough(Duration::from_secs(seconds)))
            .into();
        assert_eq!(all.join("; "), "0s; 59s; 1m; 1h; 3h 20m; 1d 1h; 7d");
    }

    #[test]
    fn past_and_future() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(relative(now, "2026-11-21T09:57:00Z".parse().unwrap()), "3m ago");
        assert_eq!(relative(now, "2026-11-21T10:12:00Z".parse().unwrap()), "in 12m");
        assert_eq!(age(now, "2026-11-21T10:12:00Z".parse().unwrap()), "0s");
        assert_eq!(instant("2026-11-21T10:00:00.123456Z".parse().unwrap()), "2026-11-21T10:00:00Z");
    }
}
