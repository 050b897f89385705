//! `setup`: make what Temporal and the store need before the first connection.

use serde::Serialize;
use tidemark_activities::setup::{commands, ensure_search_attributes};
use tidemark_activities::sweep::ensure_schedule;
use tidemark_schedules::ProjectionSettings;

use crate::error::Error;
use crate::exit::Exit;
use crate::session::{self, Session};
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::text::joined;

/// Make the search attributes and the sweep's schedule, and claim the store
///
/// May be called again at any time: what is there stays. The store belongs to one namespace of one
/// cluster from then on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only print the commands, for clusters where somebody else runs them
    #[arg(long)]
    print: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// What was found and made.
#[derive(Debug, Serialize)]
struct Prepared {
    namespace: String,
    address: String,
    store: String,
    search_attributes_added: Vec<&'static str>,
    search_attributes_present: Vec<&'static str>,
    sweep: &'static str,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let ui = session.ui();
        let settings = ProjectionSettings {
            task_queue: session.task_queue().to_owned(),
            ..ProjectionSettings::default()
        };
        if self.print {
            let (_, client) = session::settings()?;
            let commands = commands(&client.namespace, &settings);
            ui.subject(self.output.output, &Printed { commands })?;
            return Ok(Exit::Ok);
        }
        let temporal = session.temporal().await?;
        let ensured = temporal.unless_silent(ensure_search_attributes(&temporal.client)).await??;
        let store = session.claim_store().await?;
        let sweep = temporal.unless_silent(ensure_schedule(&temporal.client, &settings)).await??;
        ui.subject(
            self.output.output,
            &Prepared {
                namespace: temporal.namespace.clone(),
                address: temporal.address.clone(),
                store: store.url().to_owned(),
                search_attributes_added: ensured.added,
                search_attributes_present: ensured.present,
                sweep: sweep.as_str(),
            },
        )?;
        Ok(Exit::Ok)
    }
}

/// The commands that somebody else is to run.
#[derive(Debug, Serialize)]
struct Printed {
    commands: String,
}

impl Subject for Printed {
    fn details(&self) -> Details {
        Details::default().text("", self.commands.as_str())
    }

    fn name(&self) -> String {
        self.commands.clone()
    }
}

impl Subject for Prepared {
    fn details(&self) -> Details {
        let attributes = if self.search_attributes_added.is_empty() {
            format!("all {} were there", self.search_attributes_present.len())
        } else {
            format!("added {}", joined(&self.search_attributes_added, 10))
        };
        Details::default()
            .pair("namespace", format!("{} at {}", self.namespace, self.address))
            .pair("search attributes", attributes)
            .pair("sweep", format!("its daily schedule is {}", self.sweep))
            .pair("store", format!("{} belongs to this namespace", self.store))
    }

    fn name(&self) -> String {
        self.namespace.clone()
    }
}
