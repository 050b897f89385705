//! `pause`: start no more runs.

use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::Pause;

use super::cancel;
use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::selection::Many;
use crate::session::{self, Session};
use crate::ui::output::OutputArgs;
use crate::ui::time::whole_seconds;

/// Start no more runs of connections
///
/// A run that is under way goes on to its end unless --cancel is said. Pauses add up: each with a
/// tag can be undone alone, with `resume --paused-by TAG`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    many: Many,

    /// Why; shown by `list`, `inspect` and the Web UI
    #[arg(long)]
    reason: String,

    /// A name for this pause, by which it can be undone alone
    #[arg(long)]
    tag: Option<String>,

    /// Cancel the run that is under way as well
    #[arg(long)]
    cancel: bool,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let pause = Pause {
            tag: self.tag.clone(),
            by: Some(session::identity()),
            since: Some(whole_seconds(Timestamp::now())),
            ..Pause::new(&self.reason)
        };
        pause.check()?;
        let chosen = self.many.choose(session, "pause").await?;
        if chosen.dry_run {
            return many::dry_run(session, self.output.output, &chosen, "paused").await;
        }
        session.announce().await?;
        let pause_one = async |id| pause_one(session, id, &pause, self.cancel).await;
        let results = many::each(&chosen.ids, pause_one).await;
        many::report(session.ui(), self.output.output, results)
    }
}

async fn pause_one(
    session: &Session,
    id: &ConnectionId,
    pause: &Pause,
    and_cancel: bool,
) -> Result<Report, Error> {
    let temporal = session.temporal().await?;
    let paused = temporal.schedules.pause(id, pause).await;
    let description = session.known(id, paused).await?;
    let Some(run) = description.running.first() else {
        return Ok(Report::done(id, "paused"));
    };
    let result = if and_cancel {
        cancel::cancel(session, id, &pause.reason).await?;
        "paused; the run under way was asked to end"
    } else {
        "paused; a run is under way and goes on to its end"
    };
    Ok(Report::done(id, result).run(run, session.links()?.run(run)))
}
