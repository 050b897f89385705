//! `lag`: who is behind, and why, without the monitor.

mod looked;
mod rows;
mod summary;

use std::io::{IsTerminal as _, stdout};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::pauses::SeenPauses;
use tidemark_monitor::rules::Mute;

use self::looked::look_at;
use self::rows::{Behind, alike};
use self::summary::{Answers, Summary};
use crate::commands::mute;
use crate::error::Error;
use crate::exit::Exit;
use crate::on_worker;
use crate::selection::Selection;
use crate::session::Session;
use crate::ui::output::{self, Entry, Format, OutputArgs};
use crate::ui::table;

/// Show who is behind, and why, the worst first
///
/// The commit log decides: it is read for every connection that is selected, so it is exact where
/// `list` may be a second old. Temporal is asked for the causes; without it there are none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Count them instead
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,

    #[command(flatten)]
    output: OutputArgs,
}

/// What connections are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Why they are behind
    Cause,
    /// Whose they are
    Account,
    /// Where their records go
    Destination,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let temporal = match session.temporal().await {
            Ok(temporal) => Some(temporal),
            Err(error) if error.exit() == Exit::Unreachable && !self.selection.asks_health() => {
                session.ui().error(&error);
                None
            }
            Err(error) => return Err(error),
        };
        let listed = match temporal {
            Some(temporal) => match temporal.schedules.list(&self.selection.filter()).await {
                Ok(listed) => Some(listed),
                Err(error) if self.selection.asks_health() => return Err(error.into()),
                Err(error) => {
                    session.ui().error(&Error::from(error));
                    None
                }
            },
            None => None,
        };
        let visibility = listed.is_some();
        let listed = listed.unwrap_or_default();
        let named = self.selection.named();
        let ids = match &named {
            Some(named) => named.clone(),
            // By the store as well: visibility may not show a new one.
            None => self.selection.matching(session, &listed).await?,
        };
        let now = Timestamp::now();
        let pauses = seen_pauses(session).await?;
        let mut looked = look_at(session, temporal, &ids, &listed, &pauses, now).await?;
        let known = |id: &&ConnectionId| looked.iter().any(|looked| looked.id == **id);
        if let Some(unknown) = named.iter().flatten().find(|id| !known(id)) {
            return Err(session.unknown(unknown).await);
        }
        let mutes = mute::current(session, now).await?;
        let mutes: Vec<Mute> = mutes.into_iter().map(|(_, mute)| mute).collect();
        let worker_polls = match temporal {
            Some(_) => match on_worker::is_polled(session).await {
                Ok(polled) => Some(polled),
                Err(error) => {
                    session.ui().error(&error);
                    None
                }
            },
            None => None,
        };
        let answers = Answers { temporal: temporal.is_some(), visibility, worker_polls };
        let summary = Summary::of(&looked, now, answers);
        looked.retain(|looked| looked.late(now) || looked.error.is_some());
        looked.sort_by_key(|looked| looked.due.at);
        if let Some(at) = pauses.outdated(now)
            && looked.iter().any(|looked| pauses.include(&looked.id))
        {
            session.ui().warning(&format!(
                "no monitor has passed since {at:.0}: when connections were resumed that it had \
                 seen paused is not known, and they may not be behind"
            ));
        }
        let behind: Vec<Behind> = looked
            .into_iter()
            .map(|looked| Behind::of(looked, temporal.is_some(), &mutes, now))
            .collect();
        match self.by {
            None => self.tell(session, &summary, &behind)?,
            Some(by) => self.tell(session, &summary, &alike(&behind, by))?,
        }
        Ok(Exit::Ok)
    }

    fn tell<T: Entry>(
        &self,
        session: &Session,
        summary: &Summary,
        entries: &[T],
    ) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            summary: &'a Summary,
            behind: &'a [T],
        }
        let ui = session.ui();
        match self.output.output {
            Format::Table => {
                let mut text = summary.sentence() + "\n";
                if !entries.is_empty() {
                    text += &table::draw(T::COLUMNS, output::rows(entries), stdout().is_terminal());
                }
                ui.data(&text)
            }
            Format::Json => {
                let document = Document { summary, behind: entries };
                let text = serde_json::to_string_pretty(&document);
                ui.data(&(text.expect("what verbs answer with is JSON") + "\n"))
            }
            format @ (Format::Jsonl | Format::Name) => ui.entries(format, entries),
        }
    }
}

/// What the monitors remember of pauses. `lag` works without it.
async fn seen_pauses(session: &Session) -> Result<SeenPauses, Error> {
    match SeenPauses::read(session.store().await?).await {
        Ok(pauses) => Ok(pauses),
        Err(error) => {
            session.ui().warning(&format!(
                "what the monitor remembers of pauses cannot be read, and counts for nothing: \
                 {error}"
            ));
            Ok(SeenPauses::default())
        }
    }
}
