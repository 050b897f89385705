//! `watch`: follow the run that is under way.

use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::run::Followed;
use crate::selection;
use crate::session::Session;
use crate::ui::output::OutputArgs;
use crate::ui::progress::Bars;

/// Follow the run of a connection that is under way
///
/// Ends with the run and with its exit code. Ctrl-C detaches: the run goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let temporal = session.temporal().await?;
        let description = session.schedule(&self.id).await?;
        let Some(run) = description.running.first() else {
            return Err(Error::NothingRuns { id: self.id });
        };
        let bar = Bars::new(session.ui()).bar(self.id.as_str());
        let link = session.links()?.run(run);
        match temporal.follow(run, &bar).await? {
            Followed::Detached => {
                session.ui().note(&format!("detached; the run of {} goes on", self.id));
                Ok(Exit::Ok)
            }
            Followed::Ended(ending) => {
                session.tell_ending(&self.id, run, &ending);
                let report = Report::done(&self.id, "").run(run, link).ending(ending);
                many::report(session.ui(), self.output.output, vec![(&self.id, Ok(report))])
            }
        }
    }
}
