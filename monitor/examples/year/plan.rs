//! What one run does from its start to its end. All that can stand in its way is in the script, so
//! it is known beforehand.

use rand::{RngExt, rngs::StdRng};

use crate::span::{DAY, MINUTE, Span, Spans};

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It waits for a worker.
    Queued,
    Working,
    RateLimited,
    SourceDown,
    DestinationDown,
    /// Neither progress nor failure.
    Stalled,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    steps: Vec<(Span, Work)>,
    /// When its reading began: its watermark.
    pub(crate) read_at: i64,
    pub(crate) end: i64,
    /// What failed, if it does not commit.
    pub(crate) failed: Option<Work>,
}

/// The longest that a run is retried.
const DEADLINE: i64 = DAY;

impl Plan {
    /// A run with `work` seconds of work.
    pub(crate) fn new(
        start: i64,
        queue: i64,
        work: i64,
        blockers: &[(&Spans, Work)],
        rng: &mut StdRng,
    ) -> Self {
        let mut plan = Self { steps: Vec::new(), read_at: start, end: start, failed: None };
        let (mut at, mut left, mut begun) = (start, work, false);
        if queue > 0 {
            plan.step(&mut at, start + queue, Work::Queued);
        }
        while left > 0 {
            if at >= start + DEADLINE {
                plan.failed = Some(plan.steps.last().map_or(Work::Stalled, |(_, work)| *work));
                break;
            }
            let blocked = blockers.iter().find_map(|(spans, work)| Some((spans.at(at)?, *work)));
            if let Some((span, work)) = blocked {
                // What asked for a pause says until when; anything else is found out by trying.
                let delay = if work == Work::RateLimited { 0 } else { rng.random_range(1..MINUTE) };
                plan.step(&mut at, span.to + delay, work);
                continue;
            }
            if !begun {
                (plan.read_at, begun) = (at, true);
            }
            let next = blockers.iter().filter_map(|(spans, _)| spans.next_after(at)).min();
            let until = next.map_or(at + left, |next| next.min(at + left));
            left -= until - at;
            plan.step(&mut at, until, Work::Working);
        }
        plan.end = at.min(start + DEADLINE);
        plan
    }

    /// One that fails as soon as it begins.
    pub(crate) fn refused(start: i64, begin: i64) -> Self {
        let mut plan = Self { steps: Vec::new(), read_at: begin, end: begin + 5, failed: None };
        let mut at = start;
        if begin > start {
            plan.step(&mut at, begin, Work::Queued);
        }
        plan.step(&mut at, begin + 5, Work::Working);
        plan.failed = Some(Work::Working);
        plan
    }

    /// Makes it end red at an instant.
    pub(crate) fn give_up(&mut self, at: i64) {
        self.failed = Some(self.at(at - 1).1);
        self.end = at;
    }

    fn step(&mut self, at: &mut i64, to: i64, work: Work) {
        self.steps.push((Span { from: *at, to }, work));
        *at = to;
    }

    /// Whether it has done something by an instant.
    pub(crate) fn has_moved(&self, at: i64) -> bool {
        self.steps.iter().any(|(span, work)| *work == Work::Working && span.from < at)
    }

    /// What it is at, from when until when.
    pub(crate) fn at(&self, at: i64) -> (Span, Work) {
        let found = self.steps.iter().find(|(span, _)| span.holds(at)).or(self.steps.last());
        found.copied().expect("a run does something")
    }
}
