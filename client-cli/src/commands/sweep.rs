//! `sweep`: delete what no run needs any more, now.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::run::{self, Swept};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::many;
use crate::selection;
use crate::session::Session;
use crate::ui::output::{Entry, OutputArgs};
use crate::ui::table::{Cell, Tone};
use crate::ui::text::grouped;

/// Delete what no run needs any more
///
/// The schedule that setup makes does the same every day. Kept are the log, all that the newest
/// commits and unfinished runs reach, and all that is young: `policy.keep_commits` and
/// `policy.keep_raw` say how much. Removed connections are swept as well.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection, required_unless_present = "all")]
    ids: Vec<ConnectionId>,

    /// Every connection of the store
    #[arg(long, conflicts_with = "ids")]
    all: bool,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// What became of one connection.
#[derive(Debug, Serialize)]
struct Report {
    connection: ConnectionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    swept: Option<Swept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let store = session.store().await?;
        let ids = if self.all { definitions::connections(store).await? } else { self.ids };
        let (now, dry_run) = (Timestamp::now(), self.dry_run);
        let results = many::each(&ids, |id| async move {
            let folder = store.connection(id);
            if definitions::newest(&folder).await?.is_none() {
                return Err(session.unknown(id).await);
            }
            let swept = if dry_run {
                run::sweepable(&folder, now).await?
            } else {
                run::sweep(&folder, now).await?
            };
            Ok(swept)
        })
        .await;
        let count = results.len();
        let mut reports = Vec::with_capacity(count);
        for (id, result) in results {
            let (swept, error) = match result {
                Ok(swept) => (Some(swept), None),
                Err(error) if count == 1 => return Err(error),
                Err(error) => (None, Some(error.to_string())),
            };
            reports.push(Report { connection: id.clone(), swept, error });
        }
        session.ui().entries(self.output.output, &reports)?;
        match reports.iter().filter(|report| report.error.is_some()).count() {
            0 => Ok(Exit::Ok),
            failed_count => Err(Error::SomeFailed { failed_count, count }),
        }
    }
}

impl Entry for Report {
    const COLUMNS: &'static [&'static str] =
        &["CONNECTION", "OBJECTS", "BYTES", "SNAPSHOTS", "CHANGES", "PAGES", "OTHERS"];

    fn cells(&self) -> Vec<Cell> {
        let number = |count: u64| Cell::new(grouped(count)).right();
        let mut cells = vec![Cell::new(self.connection.as_str())];
        match &self.swept {
            Some(swept) => {
                let total = swept.total();
                let bytes = [swept.snapshots.bytes, swept.changes.bytes, swept.pages.bytes];
                let others = total.bytes - bytes.iter().sum::<u64>();
                cells.extend([number(total.objects), number(total.bytes)]);
                cells.extend(bytes.map(number));
                cells.push(number(others));
            }
            None => {
                let error = self.error.as_deref().unwrap_or_default();
                cells.push(Cell::new(format!("failed: {error}")).tone(Tone::Bad));
            }
        }
        cells
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}
