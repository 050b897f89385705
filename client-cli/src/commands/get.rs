//! `get`: the stored definition of a connection.

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_model::definition::Definition;
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{self, Subject};
use crate::ui::time::instant_and_age;

/// Show the stored definition of a connection
///
/// `-o toml` writes what `apply` takes back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// How to write the result to stdout
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

/// How a definition is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// A JSON document in each line
    Jsonl,
    /// Ids only, one in each line
    Name,
    /// What `apply` takes back
    Toml,
}

/// A definition as the store holds it.
#[derive(Debug, Serialize)]
struct Stored {
    id: ConnectionId,
    version: u32,
    applied_at: Timestamp,
    definition: Definition,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let stored = definition(session, &self.id).await?;
        let ui = session.ui();
        let format = match self.output {
            Format::Toml => {
                ui.data(&stored.definition.to_toml())?;
                return Ok(Exit::Ok);
            }
            Format::Table => output::Format::Table,
            Format::Json => output::Format::Json,
            Format::Jsonl => output::Format::Jsonl,
            Format::Name => output::Format::Name,
        };
        ui.subject(format, &stored)?;
        Ok(Exit::Ok)
    }
}

async fn definition(session: &Session, id: &ConnectionId) -> Result<Stored, Error> {
    let store = session.store().await?;
    let newest = definitions::newest(&store.connection(id)).await?;
    match newest {
        Some(definitions::StoredDefinition {
            version,
            applied_at,
            definition: Some(definition),
            ..
        }) => Ok(Stored { id: id.clone(), version, applied_at, definition }),
        _ => Err(session.unknown(id).await),
    }
}

impl Subject for Stored {
    fn details(&self) -> Details {
        Details::default()
            .pair("connection", self.id.as_str())
            .pair("version", self.version.to_string())
            .pair("applied", instant_and_age(Timestamp::now(), self.applied_at))
            .text("definition", self.definition.to_toml())
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}
