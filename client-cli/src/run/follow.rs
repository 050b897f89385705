//! Following an open run to its end, with its progress on stderr.

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
        let mut ending = std::pin::pin!(self.ending(run));
        let mut detached = std::pin::pin!(tokio::signal::ctrl_c());
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        let followed = loop {
            tokio::select! {
                ended = &mut ending => break ended.map(Followed::Ended),
                _ = &mut detached => break Ok(Followed::Detached),
                _ = ticks.tick() => {
                    if let Ok(open) = self.schedules.look_at(run).await {
                        show(&open, bar);
                    }
                }
            }
        };
        bar.finish();
        followed
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
