//! `apply`: make connections be as files define them.

mod carry_out;
mod plan;
mod taken;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tidemark_engine::definitions;
use tidemark_model::definition::{Definition, parse};

use self::plan::{Applied, Change, Planner};
use crate::error::Error;
use crate::exit::Exit;
use crate::projected::ProjectedWith;
use crate::session::Session;
use crate::ui::output::{self, Entry as _, OutputArgs};
use crate::ui::table;
use crate::ui::text::number_of;
use crate::{files, secrets};

/// Make connections be as files define them
///
/// Every problem of every file is told at once, and then nothing is changed. What is as defined
/// already stays untouched: the same file can be applied again at any time. Each change is told
/// with its consequence, and the costly ones are asked about. Pauses are never touched.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders of .toml files, or - for stdin
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,

    /// Only say what would change
    #[arg(long)]
    dry_run: bool,

    /// With --dry-run: end with 8 if changes are pending
    #[arg(long, requires = "dry_run")]
    exit_code: bool,

    /// Start a run of each connection that was created or changed
    #[arg(long, conflicts_with = "dry_run")]
    start: bool,

    /// Make costly changes without asking
    #[arg(short, long)]
    yes: bool,

    /// A new address is that of the old system: nothing is sent again
    #[arg(long)]
    same_destination: bool,

    /// Do not ask sources and destinations whether changed connections would work
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    projected: ProjectedWith,

    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let ui = session.ui();
        let definitions = self.definitions(session).await?;
        for warning in secrets::warnings(&definitions) {
            ui.warning(&warning);
        }
        let planner =
            Planner::new(session, self.same_destination, self.projected.settings(session));
        let mut changes = planner.plan(definitions).await?;
        if !self.offline {
            changes = plan::probe(changes).await?;
        }
        if self.dry_run {
            let planned: Vec<Applied> = changes.iter().map(Change::planned).collect();
            ui.entries(self.output.output, &planned)?;
            carry_out::refusals(&changes)?;
            let pending = changes.iter().any(Change::pending);
            return Ok(if pending && self.exit_code { Exit::Pending } else { Exit::Ok });
        }
        session.announce().await?;
        self.ask(session, &changes)?;
        let outcome = carry_out::all(&planner, changes, self.start).await;
        ui.entries(self.output.output, &outcome.applied)?;
        outcome.end()
    }

    /// The definitions of all files, checked against those of other connections.
    async fn definitions(&self, session: &Session) -> Result<Vec<Definition>, Error> {
        let texts = files::read(&self.paths)?;
        let stored: Vec<Definition> = definitions::all(session.store().await?)
            .await?
            .into_iter()
            .filter_map(|(_, stored)| stored.definition)
            .collect();
        parse(&texts, &stored).map_err(|problems| Error::Definitions { problems })
    }

    /// Asks about the costly changes, once for all of them.
    fn ask(&self, session: &Session, changes: &[Change]) -> Result<(), Error> {
        let costly: Vec<Applied> =
            changes.iter().filter(|change| change.asks()).map(Change::planned).collect();
        if costly.is_empty() {
            return Ok(());
        }
        let ui = session.ui();
        if !self.yes {
            let told = table::draw(Applied::COLUMNS, output::rows(&costly), false);
            ui.note(told.trim_end());
        }
        let connections: BTreeSet<&str> =
            costly.iter().map(|applied| applied.connection.as_str()).collect();
        let question = format!(
            "The changes of {} are costly. Make them?",
            number_of(connections.len(), "connection")
        );
        ui.confirm(&question, self.yes)
    }
}
