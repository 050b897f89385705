//! How fast a step is, and when it may end.

use std::time::Duration;

use jiff::SignedDuration;
use tidemark_model::progress::{Progress, Stage};

use crate::port::Clock;

/// Below this a pace says nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// The begin of an attempt: its own rows make its pace, not those of earlier attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    stage: Stage,
    began: Duration,
    earlier: u64,
}

impl Pace {
    pub(crate) fn begin(clock: &dyn Clock, stage: Stage, earlier: u64) -> Self {
        Self { stage, began: clock.monotonic(), earlier }
    }

    /// How far the step is with `count` rows of all attempts.
    #[expect(clippy::cast_precision_loss, reason = "it is shown to people, rounded")]
    pub(crate) fn progress(&self, clock: &dyn Clock, count: u64, total: Option<u64>) -> Progress {
        let mut progress = Progress::new(self.stage, count, total);
        let elapsed = clock.monotonic().saturating_sub(self.began);
        if elapsed < SHORTEST || count <= self.earlier {
            return progress;
        }
        let rows_per_second = (count - self.earlier) as f64 / elapsed.as_secs_f64();
        progress.rows_per_second = Some(rows_per_second);
        let left = total.map(|total| total.saturating_sub(count) as f64 / rows_per_second);
        progress.expected_end_at = left
            .and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
            .and_then(|left| clock.now().checked_add(left).ok());
        progress
    }
}
