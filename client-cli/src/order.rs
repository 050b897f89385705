//! What a started run is to do beyond keeping in step.

use std::path::PathBuf;

use tidemark_engine::log::Log;
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::Verdict;
use tidemark_model::ids::ConnectionId;

use crate::decisions::{self, Decider};
use crate::error::Error;
use crate::saved::SavedPreview;
use crate::session::Session;
use crate::ui::text::{grouped, joined};

/// The flags that order it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Order {
    /// Read the whole list
    #[arg(long)]
    full: bool,

    /// Send every record again, without deleting first
    #[arg(long)]
    resend: bool,

    /// Send exactly what a preview showed that was saved in this file, or nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["full", "resend", "over"])]
    exactly: Option<PathBuf>,

    #[command(flatten)]
    decider: Decider,
}

/// An order, looked at before anything is written.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    who: String,
    verdicts: Vec<Verdict>,
    /// The records of all connections, if they are to be sent again.
    resent_count: Option<u64>,
}

impl Order {
    /// Looks whether the order can be given.
    ///
    /// # Errors
    /// A file that orders nothing here, nobody who orders, or the store's.
    pub(crate) async fn prepare(
        &self,
        session: &Session,
        ids: &[ConnectionId],
    ) -> Result<Orders, Error> {
        let mut orders = Orders { who: String::new(), verdicts: Vec::new(), resent_count: None };
        if self.full {
            orders.verdicts.push(Verdict::ReadInFull);
        }
        if self.resend {
            orders.verdicts.push(Verdict::SendAgain);
            let mut count = 0;
            for id in ids {
                count += record_count(session, id).await?;
            }
            orders.resent_count = Some(count);
        }
        if let Some(path) = &self.exactly {
            let [id] = ids else {
                return Err(Error::usage(
                    format!("--exactly is for one connection, not for {}", ids.len()),
                    "name the one that the preview is of",
                ));
            };
            let saved = SavedPreview::current(session, id, path).await?;
            orders.verdicts.push(Verdict::Exactly(saved.exact));
        }
        if !orders.verdicts.is_empty() {
            orders.who = self.decider.name()?;
        }
        Ok(orders)
    }
}

impl Orders {
    /// Asks before records are sent again.
    ///
    /// # Errors
    /// The answer was no.
    pub(crate) fn ask(
        &self,
        session: &Session,
        ids: &[ConnectionId],
        yes: bool,
    ) -> Result<(), Error> {
        let Some(count) = self.resent_count else { return Ok(()) };
        let records =
            if count == 1 { "the one record" } else { &format!("all {} records", grouped(count)) };
        let question = format!("Send {records} of {} again?", joined(ids, 4));
        session.ui().confirm(&question, yes)
    }

    /// Writes the order down for the next run of a connection.
    ///
    /// # Errors
    /// No such connection, or the store's.
    pub(crate) async fn give(&self, session: &Session, id: &ConnectionId) -> Result<(), Error> {
        if self.verdicts.is_empty() {
            return Ok(());
        }
        // An order to a connection that is not there would wait for it for ever.
        session.schedule(id).await?;
        let newest = newest_run(session, id).await?;
        for verdict in &self.verdicts {
            decisions::write(session, id, &self.who, newest, verdict.clone()).await?;
        }
        Ok(())
    }
}

async fn newest_run(session: &Session, id: &ConnectionId) -> Result<Option<RunNumber>, Error> {
    let log = Log::open(&session.store().await?.connection(id)).await?;
    Ok(log.newest_commit().map(|commit| commit.number))
}

async fn record_count(session: &Session, id: &ConnectionId) -> Result<u64, Error> {
    let log = Log::open(&session.store().await?.connection(id)).await?;
    Ok(log.newest_commit().map_or(0, |commit| commit.receipt.records.next))
}
