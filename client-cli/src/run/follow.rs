//! Following an open run to its end, with its progress on stderr.

use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use tidemark_schedules::{OpenRun, RunRef};

use super::{Ending, open_sentence};
use crate::error::Error;
use crate::session::Temporal;
use crate::ui::progress::Bar;

/// How often a run is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// When it is said that no worker takes a run up: one that is there does it in milliseconds.
const WAIT_TOLD: Duration = Duration::from_secs(2);

/// What came of following a run.
#[derive(Debug)]
pub(crate) enum Followed {
    Ended(Ending),
    /// Ctrl-C: the run goes on.
    Detached,
}

impl Temporal {
    /// Shows a run's progress until it is over, or until Ctrl-C.
    ///
    /// # Errors
    /// Those of [`Temporal::ending`]. A look that fails shows nothing and is made again.
    pub(crate) async fn follow(&self, run: &RunRef, bar: &Bar) -> Result<Followed, Error> {
        // Side by side: a look that is not answered holds up neither the end nor Ctrl-C, and both
        // are listened to before anything is shown.
        let followed = tokio::select! {
            biased;
            ended = self.ending(run) => ended.map(Followed::Ended),
            _ = tokio::signal::ctrl_c() => Ok(Followed::Detached),
            never = self.show(run, bar) => match never {},
        };
        bar.finish();
        followed
    }

    async fn show(&self, run: &RunRef, bar: &Bar) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            ticks.tick().await;
            if let Ok(open) = self.schedules.look_at(run).await {
                show(&open, bar);
            }
        }
    }
}

fn show(open: &OpenRun, bar: &Bar) {
    // Between two steps, for milliseconds, the last one is still the better answer.
    if open.closed || (open.step.is_none() && open.undecided_since.is_none() && !open.rests) {
        return;
    }
    let progress = open.step.as_ref().and_then(|step| step.progress.as_ref());
    let stage = open.step.as_ref().and_then(|step| step.stage);
    let now = Timestamp::now();
    let sentence = open_sentence(open, now);
    bar.show(stage, progress, &sentence);
    let undecided_since = open.undecided_since.filter(|_| open.step.is_none());
    let long = |since: Timestamp| now.duration_since(since).unsigned_abs() >= WAIT_TOLD;
    if open.rests || undecided_since.is_some_and(long) {
        bar.wait(&sentence);
    }
}
