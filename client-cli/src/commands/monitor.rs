//! `monitor`: watch for lag and tell the team, until it is asked to stop.

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_monitor::Temporal;
use tidemark_monitor::config::{MonitorConfig, MonitorFlags};

use crate::error::Error;
use crate::exit::Exit;
use crate::secrets::Here;
use crate::session::{self, Session};
use crate::ui::output::{Entry, OutputArgs};
use crate::ui::table::{Cell, Tone};

/// Watch for connections that are behind or held, and tell the team, until SIGTERM or Ctrl-C
///
/// Where notices go is in the file that --config names, as `sink` tables; without one they are lines of its
/// own log. Two may run: they share what has been told. It changes no connection. Flags win over
/// variables, variables over the file.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    flags: MonitorFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    TestAlert(TestAlert),
}

/// Send one notice, marked as a test, to each sink
#[derive(Debug, clap::Args)]
struct TestAlert {
    #[command(flatten)]
    flags: MonitorFlags,

    #[command(flatten)]
    output: OutputArgs,
}

/// What became of one test notice.
#[derive(Debug, Serialize)]
struct Sent {
    sink: String,
    error: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        if let Some(Command::TestAlert(test)) = self.command {
            return test.run(session).await;
        }
        let config = MonitorConfig::from_process(&self.flags)?;
        tidemark_process::init_logs(&config.log, config.log_format)?;
        let shutdown = tidemark_process::stop_signal().map_err(Error::Runtime)?;
        let (mut connection, client) = session::settings()?;
        connection.identity = session::identity();
        let temporal = Temporal { connection, client };
        let open = |ops: Option<std::net::SocketAddr>| {
            let at = ops.map(|at| format!(", /healthz and /metrics at http://{at}"));
            session.ui().note(&format!("monitor watches{}", at.unwrap_or_default()));
        };
        Box::pin(tidemark_monitor::run(&config, temporal, &Here, open, shutdown)).await?;
        Ok(Exit::Ok)
    }
}

impl TestAlert {
    async fn run(self, session: &Session) -> Result<Exit, Error> {
        let config = MonitorConfig::from_process(&self.flags)?;
        tidemark_process::init_logs(&config.log, config.log_format)?;
        let (_, client) = session::settings()?;
        let sinks = tidemark_monitor::connect_sinks(&config, &client.namespace, &Here)?;
        let results = sinks.test_alert(Timestamp::now()).await;
        let sent: Vec<Sent> = results
            .into_iter()
            .map(|(sink, result)| Sent { sink, error: result.err().map(|error| error.to_string()) })
            .collect();
        session.ui().entries(self.output.output, &sent)?;
        if sent.is_empty() {
            session.ui().note("there is no [[sink]] in the file: notices are lines of the log");
        }
        match sent.iter().filter(|sent| sent.error.is_some()).count() {
            0 => Ok(Exit::Ok),
            failed_count => Err(Error::SinksFailed { failed_count, count: sent.len() }),
        }
    }
}

impl Entry for Sent {
    const COLUMNS: &'static [&'static str] = &["SINK", "RESULT"];

    fn cells(&self) -> Vec<Cell> {
        let result = match &self.error {
            None => Cell::new("sent").tone(Tone::Good),
            Some(error) => Cell::new(format!("failed: {error}")).tone(Tone::Bad),
        };
        vec![Cell::new(&self.sink), result]
    }

    fn name(&self) -> String {
        self.sink.clone()
    }
}
