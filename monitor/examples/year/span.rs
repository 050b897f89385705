//! Times of the simulation: whole seconds since its begin, by the one true clock.

use jiff::Timestamp;

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;

/// The begin of the simulation: 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

/// What a clock that is `skew` ahead shows.
pub(crate) fn shown(at: i64, skew: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + at + skew).expect("a month is within the calendar")
}

/// What the instant of a clock without skew is here.
pub(crate) fn second(at: Timestamp) -> i64 {
    at.as_second() - BEGIN
}

/// From, inclusive, until, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Span {
    pub(crate) fn new(from: i64, length: i64) -> Self {
        Self { from, to: from + length }
    }

    pub(crate) fn length(self) -> i64 {
        self.to - self.from
    }

    pub(crate) fn holds(self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// Spans in their order, without overlaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// Merges what overlaps or touches.
    pub(crate) fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Span> {
        self.0.iter().copied()
    }

    /// The one that covers an instant.
    pub(crate) fn at(&self, at: i64) -> Option<Span> {
        let place = self.0.partition_point(|span| span.to <= at);
        self.0.get(place).copied().filter(|span| span.holds(at))
    }

    /// When the next one after an instant begins.
    pub(crate) fn next_after(&self, at: i64) -> Option<i64> {
        let place = self.0.partition_point(|span| span.from <= at);
        self.0.get(place).map(|span| span.from)
    }

    /// The last one that is over at an instant.
    pub(crate) fn last_before(&self, at: i64) -> Option<Span> {
        let place = self.0.partition_point(|span| span.to <= at);
        place.checked_sub(1).and_then(|place| self.0.get(place)).copied()
    }

    /// Those that share an instant with a span.
    pub(crate) fn within(&self, span: Span) -> impl Iterator<Item = Span> {
        let first = self.0.partition_point(|one| one.to <= span.from);
        self.0.iter().skip(first).take_while(move |one| one.from < span.to).copied()
    }
}
