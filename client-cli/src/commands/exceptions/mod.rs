//! `exceptions`: what is not at the destination as the snapshot says, and what to do about it.

mod decide;
mod list;
mod show;

use clap::Subcommand;
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::selection;
use crate::session::Session;

/// Show what is not in step, and decide about it
///
/// An exception is a record that the destination refused, a row that cannot be mapped, or a
/// removal that is held because it looks like a mistake. What is decided is written down, and the
/// next run carries it out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Args),
    Show(show::Args),
    Approve(decide::ApproveArgs),
    Retry(decide::RetryArgs),
    Ignore(decide::IgnoreArgs),
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let id = &self.id;
        match self.verb {
            Verb::List(args) => args.run(session, id).await,
            Verb::Show(args) => args.run(session, id).await,
            Verb::Approve(args) => args.run(session, id).await,
            Verb::Retry(args) => args.run(session, id).await,
            Verb::Ignore(args) => args.run(session, id).await,
        }
    }
}
