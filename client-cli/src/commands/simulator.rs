//! `simulator`: serve a stand-in for both ends of a connection.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tidemark_simulator::{AccountOptions, ListOptions, Options, Seed};

use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::{signals, telemetry};

/// Serve a stand-in for Mailchimp and for a record API
///
/// In memory, with faults on demand and a ledger of every call under /_sim. Without --options it
/// holds one list, `newsletter`, that the key `demo-us1` can see, and takes records with the key
/// `record-key`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "TIDEMARK_SIMULATOR_LISTEN",
        default_value = "127.0.0.1:8600",
        hide_env_values = true
    )]
    listen: SocketAddr,

    /// Members of the list
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, conflicts_with = "options")]
    members: u32,

    /// A TOML file of accounts, lists and keys to begin with
    #[arg(long, value_name = "FILE")]
    options: Option<PathBuf>,
}

impl Args {
    pub(crate) async fn run(self, ui: Ui) -> Result<Exit, Error> {
        telemetry::to_stderr();
        let options = match &self.options {
            Some(path) => read(path)?,
            None => one_list(self.members),
        };
        ui.note(&format!("simulator at {}; Ctrl-C ends it", self.listen));
        tidemark_simulator::serve(self.listen, options, signals::terminated())
            .await
            .map_err(|source| Error::Listen { address: self.listen, source })?;
        Ok(Exit::Ok)
    }
}

fn read(path: &PathBuf) -> Result<Options, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?;
    toml::from_str(&text).map_err(|error| {
        Error::usage(
            format!("{} cannot be used: {}", path.display(), error.message()),
            "it holds [[accounts]] with api_key and lists, and destinations",
        )
    })
}

fn one_list(member_count: u32) -> Options {
    let list = ListOptions {
        id: "newsletter".to_owned(),
        name: "Newsletter".to_owned(),
        seed: Some(Seed::of(member_count)),
    };
    let account = AccountOptions { api_key: "demo-us1".to_owned(), lists: vec![list] };
    Options { accounts: vec![account], destinations: vec!["record-key".to_owned()] }
}
