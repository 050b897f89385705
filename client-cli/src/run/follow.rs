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
    if open.closed || (open.step.is_none() && open.undecided_since.is_none()) {
        return;
    }
    let progress = open.step.as_ref().and_then(|step| step.progress.as_ref());
    let stage = open.step.as_ref().and_then(|step| step.stage);
    bar.show(stage, progress, &open_sentence(open, Timestamp::now()));
}
