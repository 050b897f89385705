//! `new`: write definitions to begin with.

use std::fmt::Write as _;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use tidemark_connectors::{HttpConnectors, VisibleList};
use tidemark_model::failure::Side;
use tidemark_model::ids::{AccountId, ConnectionId};
use tidemark_model::secret::{LiteralSecret, SecretRef};
use url::Url;

use crate::error::Error;
use crate::exit::Exit;
use crate::secrets::{self, Here};
use crate::session::Session;
use crate::ui::output::{self, Entry};
use crate::ui::table::Cell;
use crate::ui::text::number_of;

/// Write definitions to begin with
#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "SOURCE", subcommand_help_heading = "Sources")]
pub(crate) struct Args {
    #[command(subcommand)]
    source: Source,
}

/// The kinds of sources.
#[derive(Debug, Subcommand)]
enum Source {
    Mailchimp(Mailchimp),
}

/// A definition for each list that a Mailchimp key can see
///
/// For example: tidemark new mailchimp --api-key env:ACME_KEY --account acme > acme.toml
#[derive(Debug, clap::Args)]
struct Mailchimp {
    /// Where the key is: env:NAME or file:/path
    #[arg(long, value_name = "REFERENCE")]
    api_key: String,

    /// The account of the new connections
    #[arg(long, value_name = "ACCOUNT", default_value = "my-account", value_parser = account)]
    account: AccountId,

    /// Where the API is, if it is not that of the key's data centre
    #[arg(long, value_name = "URL")]
    base_url: Option<Url>,

    /// Where records go
    #[arg(long, value_name = "URL", default_value = "https://data.example.com/record")]
    record_api: Url,

    /// Where the record API's key is: env:NAME or file:/path
    #[arg(long, value_name = "REFERENCE", default_value = "env:RECORD_API_KEY")]
    record_api_key: String,

    /// How to write the result to stdout
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Format,
}

/// How new definitions are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// What `check` and `apply` take
    #[default]
    Toml,
    /// The lists, for people
    Table,
    /// The lists as one JSON document
    Json,
    /// A list as a JSON document in each line
    Jsonl,
    /// The ids of the new connections only, one in each line
    Name,
}

/// A list and the connection that would mirror it.
#[derive(Debug, Serialize)]
struct Proposed {
    connection: ConnectionId,
    list_id: String,
    list_name: String,
}

/// Read here and not by clap, which would repeat a literal secret in its message.
fn reference(text: &str) -> Result<SecretRef, Error> {
    text.parse().map_err(|refused: LiteralSecret| {
        Error::usage(refused.to_string(), "put the secret into a variable and say env:NAME")
    })
}

fn account(text: &str) -> Result<AccountId, String> {
    text.parse().map_err(|error| format!("it {error}"))
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let Source::Mailchimp(mailchimp) = self.source;
        mailchimp.run(session).await
    }
}

impl Mailchimp {
    async fn run(self, session: &Session) -> Result<Exit, Error> {
        let api_key = reference(&self.api_key)?;
        let record_api_key = reference(&self.record_api_key)?;
        if let Some(missing) = secrets::look(Side::Source, &api_key) {
            return Err(Error::usage(missing.message(), "set it for this command as well"));
        }
        let connectors = HttpConnectors::new(Here)?;
        let placeholder = connection(&self.account, "new");
        let lists = connectors
            .mailchimp_lists(&placeholder, &api_key, self.base_url.as_ref())
            .await
            .map_err(|failure| {
                failure.hint(format!("put a valid key at {api_key} and try again"))
            })?;
        let proposed = propose(&self.account, lists);
        let ui = session.ui();
        ui.note(&format!("{api_key} can see {}", number_of(proposed.len(), "list")));
        let format = match self.output {
            Format::Toml => {
                ui.data(&self.toml(&api_key, &record_api_key, &proposed))?;
                return Ok(Exit::Ok);
            }
            Format::Table => output::Format::Table,
            Format::Json => output::Format::Json,
            Format::Jsonl => output::Format::Jsonl,
            Format::Name => output::Format::Name,
        };
        ui.entries(format, &proposed)?;
        Ok(Exit::Ok)
    }

    /// A file with what all connections share in `[defaults]`.
    fn toml(
        &self,
        api_key: &SecretRef,
        record_api_key: &SecretRef,
        proposed: &[Proposed],
    ) -> String {
        let text = |value: &str| toml::Value::from(value).to_string();
        let mut file = format!(
            "# Look at it, then: tidemark check FILE, tidemark apply FILE\n\
             [defaults]\n\
             every = \"1h\"\n\n\
             [defaults.source]\n\
             kind = \"mailchimp\"\n\
             api_key = {}\n",
            text(&api_key.to_string())
        );
        let mut line = |line: std::fmt::Arguments<'_>| {
            file.write_fmt(line).expect("writing to a string cannot fail");
        };
        if let Some(base_url) = &self.base_url {
            line(format_args!("base_url = {}\n", text(base_url.as_str())));
        }
        line(format_args!(
            "\n[defaults.destination]\n\
             kind = \"record-api\"\n\
             url = {}\n\
             api_key = {}\n\
             # How a record is removed: {{ method = \"DELETE\", path = \"/record/{{id}}\" }} or\n\
             # {{ tombstone = \"deleted\" }}. Without it, nothing can be removed.\n\
             delete = {{ method = \"DELETE\", path = \"/record/{{id}}\" }}\n\n\
             [defaults.record]\n\
             id = \"contact_id\"\n\
             email = \"email_address\"\n\
             firstname = \"merge_fields.FNAME\"\n\
             lastname = \"merge_fields.LNAME\"\n\n\
             [defaults.policy]\n\
             # A record goes when its row does (propagate), or stays (keep).\n\
             deletions = \"propagate\"\n",
            text(self.record_api.as_str()),
            text(&record_api_key.to_string())
        ));
        for one in proposed {
            line(format_args!(
                "\n# {}\n[[connection]]\nid = {}\nsource.list_id = {}\n",
                one.list_name.escape_debug(),
                text(one.connection.as_str()),
                text(&one.list_id)
            ));
        }
        file
    }
}

/// Names each connection after its list; lists of one name are told apart by their ids.
fn propose(account: &AccountId, lists: Vec<VisibleList>) -> Vec<Proposed> {
    let mut proposed: Vec<Proposed> = Vec::with_capacity(lists.len());
    for list in lists {
        let named = connection(account, &slug(&list.name));
        let taken = proposed.iter().any(|other| other.connection == named);
        let connection = if taken {
            connection(account, &slug(&format!("{} {}", list.name, list.id)))
        } else {
            named
        };
        proposed.push(Proposed { connection, list_id: list.id, list_name: list.name });
    }
    proposed
}

fn connection(account: &AccountId, name: &str) -> ConnectionId {
    ConnectionId::new(&format!("{account}/{name}"))
        .or_else(|_| ConnectionId::new(&format!("{account}/list")))
        .unwrap_or_else(|_| ConnectionId::new("account/list").expect("it is of the form"))
}

/// `Übersicht & News` becomes `bersicht-news`.
fn slug(name: &str) -> String {
    const LONGEST: usize = 40;
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= LONGEST {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "list".to_owned() } else { slug.to_owned() }
}

impl Entry for Proposed {
    const COLUMNS: &'static [&'static str] = &["CONNECTION", "LIST", "NAME"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(self.connection.as_str()),
            Cell::new(&self.list_id),
            Cell::new(&self.list_name),
        ]
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_named_after_their_lists() {
        let list = |id: &str, name: &str| VisibleList { id: id.to_owned(), name: name.to_owned() };
        let account = AccountId::new("acme").unwrap();
        let proposed = propose(
            &account,
            vec![list("a1", "Weekly News!"), list("b2", "weekly news"), list("c3", "日本")],
        );
        let ids: Vec<&str> = proposed.iter().map(|one| one.connection.as_str()).collect();
        assert_eq!(ids, ["acme/weekly-news", "acme/weekly-news-b2", "acme/list"]);
    }
}
