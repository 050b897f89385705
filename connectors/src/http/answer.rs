//! What came back of a request.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    StatusCode,
    header::{DATE, HeaderMap, HeaderName, RETRY_AFTER},
};
use tidemark_model::receipt::Cost;

use super::date;

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) sent_at: Timestamp,
    pub(super) duration: Duration,
    pub(super) bytes_sent: u64,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, decompressed.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// When the request left, by our clock.
    pub(crate) fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    /// When the whole answer was there, by our clock.
    pub(crate) fn answered_at(&self) -> Timestamp {
        self.sent_at.saturating_add(self.duration).unwrap_or(self.sent_at)
    }

    /// When the request began at the latest, by the other side's clock: its `Date` less the
    /// request's duration and the second to which `Date` is cut; never later than our clock.
    /// `None` without a readable `Date`.
    pub(crate) fn requested_at(&self) -> Option<Timestamp> {
        let date = date::parse(self.header(&DATE)?)?;
        let taken = SignedDuration::try_from(self.duration).ok()? + SignedDuration::from_secs(1);
        Some(date.checked_sub(taken).ok()?.min(self.sent_at))
    }

    /// The pause that the other side asks for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let now = self.header(&DATE).and_then(date::parse).unwrap_or_else(|| self.answered_at());
        date::wait(self.header(&RETRY_AFTER)?, now)
    }

    /// What the request cost. Bytes are those of the two bodies, the received one decompressed.
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            request_count: 1,
            bytes_sent: self.bytes_sent,
            bytes_received: self.body.len() as u64,
        }
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(date: &'static str) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(DATE, date.parse().unwrap())]),
            body: Bytes::new(),
            sent_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            duration: Duration::from_millis(2_500),
            bytes_sent: 0,
        }
    }

    #[test]
    fn a_request_begins_by_the_other_sides_clock() {
        let begin = |date| answer(date).requested_at().map(|time| time.to_string());
        let earlier = "Sat, 21 Nov 2026 09:30:10 GMT";
        assert_eq!(begin(earlier).as_deref(), Some("2026-11-21T09:30:06.5Z"));
        let in_our_future = "Sat, 21 Nov 2026 11:00:00 GMT";
        assert_eq!(begin(in_our_future).as_deref(), Some("2026-11-21T10:00:00Z"));
        assert_eq!(begin("yesterday"), None);
    }
}
