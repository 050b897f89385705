//! `cancel`: end runs at their next durable page or batch.

use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::selection::Many;
use crate::session::Session;
use crate::ui::output::OutputArgs;

/// Cancel the runs that are under way
///
/// A run ends at its next durable page or batch, as cancelled; the watermark does not move, and
/// the next run goes on from there. The schedule stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    many: Many,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let chosen = self.many.choose(session, "cancel the runs of").await?;
        if chosen.dry_run {
            return many::dry_run(session, self.output.output, &chosen, "cancelled").await;
        }
        session.announce().await?;
        let results =
            many::each(&chosen.ids, async |id| cancel(session, id, "tidemark cancel").await).await;
        many::report(session.ui(), self.output.output, results)
    }
}

/// Asks the open runs of a connection to end.
pub(super) async fn cancel(
    session: &Session,
    id: &ConnectionId,
    reason: &str,
) -> Result<Report, Error> {
    let temporal = session.temporal().await?;
    let description = session.schedule(id).await?;
    for run in &description.running {
        temporal.request_cancel(run, reason).await?;
    }
    Ok(match description.running.first() {
        None => Report::done(id, "no run was under way"),
        Some(run) => Report::done(id, "cancel requested").run(run, session.links()?.run(run)),
    })
}
