//! `start`: run now.

use std::time::Duration;

use futures::future::join_all;
use tidemark_model::ids::ConnectionId;
use tidemark_model::schedule::duration;
use tidemark_schedules::{RunRef, Trigger};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::order::Order;
use crate::run::{Ending, Followed};
use crate::selection::{Chosen, Many};
use crate::session::Session;
use crate::ui::output::OutputArgs;
use crate::ui::progress::Bars;
use crate::ui::time::rough;

/// An idle schedule starts a run within milliseconds, a loaded one within seconds.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Run connections now
///
/// A run that is under way is finished first. A paused connection runs once and stays paused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    many: Many,

    /// Wait for the runs; the exit code is that of the run
    #[arg(short, long)]
    wait: bool,

    #[command(flatten)]
    order: Order,

    /// Spread the starts over this time
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    over: Option<Duration>,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let chosen = self.many.choose(session, "start").await?;
        let orders = self.order.prepare(session, &chosen.ids).await?;
        if chosen.dry_run {
            return many::dry_run(session, self.output.output, &chosen, "started").await;
        }
        session.announce().await?;
        orders.ask(session, &chosen.ids, self.many.yes())?;
        let start = async |id| {
            orders.give(session, id).await?;
            trigger(session, id).await
        };
        let triggered = match self.over {
            None => many::each(&chosen.ids, start).await,
            Some(over) => spread(session, &chosen, over, start).await,
        };
        let bars = Bars::new(session.ui());
        let results = join_all(triggered.into_iter().map(async |(id, triggered)| {
            let result = match triggered {
                Err(error) => Err(error),
                Ok(trigger) if self.wait => wait(session, id, &trigger, &bars).await,
                Ok(trigger) => started(session, id, &trigger).await,
            };
            (id, result)
        }))
        .await;
        many::report(session.ui(), self.output.output, results)
    }
}

pub(crate) async fn trigger(session: &Session, id: &ConnectionId) -> Result<Trigger, Error> {
    let triggered = session.temporal().await?.schedules.trigger(id).await;
    session.known(id, triggered).await
}

/// Starts a run, and waits until it is there: the one under way, if the new one waits for that.
/// `None` if Temporal took the trigger and has not started the run yet.
///
/// # Errors
/// No such schedule, no answer, or the server did not do it in time.
pub(crate) async fn begun(session: &Session, id: &ConnectionId) -> Result<Option<RunRef>, Error> {
    let trigger = session.temporal().await?.schedules.trigger(id).await?;
    match &trigger.waits_for {
        Some(running) => Ok(Some(running.clone())),
        None => soon(session, &trigger).await,
    }
}

/// The run that a trigger starts, if it is there soon.
async fn soon(session: &Session, trigger: &Trigger) -> Result<Option<RunRef>, Error> {
    let schedules = &session.temporal().await?.schedules;
    match timeout(START_PATIENCE, schedules.wait_triggered(trigger)).await {
        Ok(started) => Ok(Some(started?.run)),
        Err(_) => Ok(None),
    }
}

/// Starts one after the other, evenly over a time.
async fn spread<'c>(
    session: &Session,
    chosen: &'c Chosen,
    over: Duration,
    start: impl AsyncFn(&'c ConnectionId) -> Result<Trigger, Error>,
) -> Vec<(&'c ConnectionId, Result<Trigger, Error>)> {
    let gaps = u32::try_from(chosen.ids.len()).unwrap_or(u32::MAX).max(1);
    let gap = over / gaps;
    let begin = Instant::now();
    session.ui().note(&format!("one start every {}, over {}", rough(gap), rough(over)));
    let mut triggered = Vec::with_capacity(chosen.ids.len());
    for (place, id) in (0_u32..).zip(&chosen.ids) {
        sleep_until(begin + gap * place).await;
        triggered.push((id, start(id).await));
    }
    triggered
}

/// Names the run that a trigger started.
pub(crate) async fn started(
    session: &Session,
    id: &ConnectionId,
    trigger: &Trigger,
) -> Result<Report, Error> {
    if let Some(earlier) = &trigger.waits_for {
        return with_run(session, Report::done(id, "starts after the run under way"), earlier);
    }
    match soon(session, trigger).await? {
        Some(run) => with_run(session, Report::done(id, "started"), &run),
        None => Ok(Report::done(id, "triggered; Temporal has not started the run yet")),
    }
}

fn with_run(session: &Session, report: Report, run: &RunRef) -> Result<Report, Error> {
    let link = session.links()?.run(run);
    Ok(report.run(run, link))
}

/// Follows the run that a trigger starts to its end.
///
/// # Errors
/// As [`follow`].
pub(crate) async fn wait(
    session: &Session,
    id: &ConnectionId,
    trigger: &Trigger,
    bars: &Bars,
) -> Result<Report, Error> {
    let (run, ending) = follow(session, id, trigger, bars).await?;
    session.tell_ending(id, &run, &ending);
    with_run(session, Report::done(id, "").ending(ending), &run)
}

/// The run that a trigger starts, and how it ended.
///
/// # Errors
/// No answer, or Ctrl-C: the run goes on.
pub(crate) async fn follow(
    session: &Session,
    id: &ConnectionId,
    trigger: &Trigger,
    bars: &Bars,
) -> Result<(RunRef, Ending), Error> {
    let temporal = session.temporal().await?;
    if trigger.waits_for.is_some() {
        session.ui().note(&format!("{id}: waits for the run under way"));
    }
    let run = tokio::select! {
        run = temporal.schedules.wait_triggered(trigger) => run?.run,
        _ = tokio::signal::ctrl_c() => return Err(Error::Detached { id: id.clone() }),
    };
    match temporal.follow(&run, &bars.bar(id.as_str())).await? {
        Followed::Detached => Err(Error::Detached { id: id.clone() }),
        Followed::Ended(ending) => Ok((run, ending)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::cli::Place;
    use crate::ui::Ui;

    #[tokio::test(start_paused = true)]
    async fn starts_are_spread_evenly_and_one_that_fails_delays_no_other() {
        let session = Session::new(Place { store: None, task_queue: None, web_ui: None }, Ui);
        let ids: Vec<ConnectionId> =
            ["acme/a", "acme/b", "acme/c"].map(|id| id.parse().unwrap()).into();
        let chosen = Chosen { ids: ids.clone(), dry_run: false };
        let (began_at, starts) = (Instant::now(), RefCell::new(Vec::new()));

        let results = spread(&session, &chosen, Duration::from_mins(30), async |id| {
            starts.borrow_mut().push((id.clone(), began_at.elapsed().as_secs() / 60));
            // Temporal takes its time for each.
            tokio::time::sleep(Duration::from_mins(2)).await;
            Err(Error::NothingRuns { id: id.clone() })
        })
        .await;

        let minutes: Vec<_> = ids.iter().cloned().zip([0_u64, 10, 20]).collect();
        assert_eq!(starts.into_inner(), minutes);
        assert!(results.iter().map(|(id, _)| *id).eq(&ids));
        assert!(results.iter().all(|(_, result)| result.is_err()));
    }
}
