//! `remove`: keep connections in step no longer.

mod records;

use clap::ValueEnum;
use jiff::Timestamp;
use tidemark_engine::definitions::{self, Stored, StoredDefinition};
use tidemark_engine::log::Log;
use tidemark_model::entry::Manifest;
use tidemark_model::failure::FailureKind;
use tidemark_model::ids::ConnectionId;
use tidemark_model::step::Known;
use tidemark_schedules::{RunRef, ScheduleError};

use crate::decisions::Decider;
use crate::engine::engine;
use crate::error::Error;
use crate::exit::Exit;
use crate::many::{self, Report};
use crate::selection::Many;
use crate::session::{Session, Temporal};
use crate::ui::output::OutputArgs;
use crate::ui::progress::Bars;
use crate::ui::text::{counted, joined, number_of};

/// Keep connections in step no longer
///
/// Their records stay at the destination, unless --records delete is said. The commit log is kept,
/// so that applying the definition again goes on from there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    many: Many,

    /// What becomes of the records at the destination
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    records: Records,

    #[command(flatten)]
    decider: Decider,

    /// Erase snapshots, pages and dead letters as well; the next first sync reads and sends
    /// everything
    #[arg(long)]
    purge: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// What becomes of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Records {
    /// They stay
    #[default]
    Keep,
    /// A last run removes them all under the definition's rule for deletions; only when every one
    /// is gone is the connection removed
    Delete,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let chosen = self.many.find(session, "remove").await?;
        let deletes = self.records == Records::Delete;
        let mut who = String::new();
        if deletes {
            who = self.decider.name()?;
            records::check(session, &chosen.ids).await?;
        }
        let counted = many::each(&chosen.ids, async |id| record_count(session, id).await).await;
        if chosen.dry_run {
            let would = |(id, count): (_, Result<u64, Error>)| {
                let what = |count| if deletes { are(count) + " removed" } else { stay(count) };
                let report = |count| Report::done(id, format!("would be removed; {}", what(count)));
                (id, count.map(report))
            };
            let results = counted.into_iter().map(would).collect();
            return many::report(session.ui(), self.output.output, results);
        }
        let mut known = Vec::with_capacity(counted.len());
        for (_, count) in counted {
            match count {
                Ok(count) => known.push(count),
                // Nobody is asked about the only one if it is not there.
                Err(error) if chosen.ids.len() == 1 => return Err(error),
                Err(_) => {}
            }
        }
        let question = format!(
            "Remove {}, {}? {}{}.",
            number_of(chosen.ids.len(), "connection"),
            joined(&chosen.ids, 4),
            if deletes {
                format!("{} removed from the destination first", are(known.iter().sum()))
            } else {
                let stay = stay(known.iter().sum());
                format!("{stay} at the destination and are no longer kept in step")
            },
            if self.purge { "; snapshots, pages and dead letters are erased" } else { "" },
        );
        session.announce().await?;
        session.ui().confirm(&question, self.many.yes())?;
        let bars = Bars::new(session.ui());
        let results = many::each(&chosen.ids, async |id| {
            let removed = match self.records {
                Records::Keep => None,
                Records::Delete => records::remove(session, id, &who, &bars).await?,
            };
            remove(session, id, removed, self.purge).await
        })
        .await;
        many::report(session.ui(), self.output.output, results)
    }
}

/// `1,000 records stay`.
fn stay(count: u64) -> String {
    format!("{} stay{}", counted(count, "record"), if count == 1 { "s" } else { "" })
}

/// `1,000 records are`.
fn are(count: u64) -> String {
    format!("{} {}", counted(count, "record"), if count == 1 { "is" } else { "are" })
}

/// The records of a connection at the destination: those that it keeps in step, and those whose
/// rows are gone and that were held or kept.
async fn record_count(session: &Session, id: &ConnectionId) -> Result<u64, Error> {
    let folder = session.store().await?.connection(id);
    if definitions::newest(&folder).await?.is_none() {
        return Err(session.unknown(id).await);
    }
    let log = Log::open(&folder).await?;
    let Some(commit) = log.newest_commit() else { return Ok(0) };
    let Manifest { hold, waived_removals, kept, .. } = &commit.manifest;
    let held = hold.as_ref().map(|hold| &hold.removals);
    let others = held.into_iter().chain(waived_removals).chain(kept);
    let others: u64 = others.map(|file| file.row_count).sum();
    Ok(commit.receipt.records.next + others)
}

/// Removes the connection. `removed` says what became of its records, unless they stay.
async fn remove(
    session: &Session,
    id: &ConnectionId,
    removed: Option<String>,
    purge: bool,
) -> Result<Report, Error> {
    let folder = session.store().await?.connection(id);
    let Some(newest) = definitions::newest(&folder).await? else {
        return Err(session.unknown(id).await);
    };
    let temporal = session.temporal().await?;
    let (running, known) = match temporal.schedules.describe(id).await {
        Ok(description) => (description.running, description.known),
        Err(ScheduleError::NotFound { .. }) => (Vec::new(), Known::default()),
        Err(error) => return Err(error.into()),
    };
    let lost = lost(session, id, known, purge).await?;
    let mut result = match removed {
        Some(removed) => format!("{removed}; the connection is removed"),
        None => format!("removed; {}", stay(record_count(session, id).await?)),
    };
    if newest.definition.is_some() {
        let removed = StoredDefinition {
            version: newest.version + 1,
            applied_at: Timestamp::now(),
            definition: None,
            same_destination: false,
        };
        if let Stored::Overtaken(other) = definitions::put(&folder, removed).await?
            && other.definition.is_some()
        {
            return Err(Error::Overtaken { id: id.clone(), version: other.version });
        }
    }
    // What follows is finished by the next call if this one is cut short here.
    temporal.schedules.delete(id).await?;
    if purge {
        end_all(temporal, &running).await?;
        let count = engine(session).await?.purge(id).await?;
        result += &format!("; {} erased", counted(count, "object"));
        if lost {
            result += "; the log had lost runs, and records that only they knew may stay";
        }
    } else if !running.is_empty() {
        result += "; a run is under way and goes on to its end";
    }
    Ok(Report::done(id, result))
}

/// Whether the log ends below what the schedule knows. Nobody else knows it: without the
/// schedule, a connection that is applied again would go on as if nothing were lost. Only of a log
/// that is erased nothing can go on.
async fn lost(
    session: &Session,
    id: &ConnectionId,
    known: Known,
    purge: bool,
) -> Result<bool, Error> {
    match engine(session).await?.confirm_log(id, known).await {
        Ok(()) => Ok(false),
        Err(failure) if purge && failure.kind == FailureKind::Corrupt => Ok(true),
        Err(failure) => Err(failure.into()),
    }
}

/// Ends runs before what they work on is erased.
async fn end_all(temporal: &Temporal, running: &[RunRef]) -> Result<(), Error> {
    for run in running {
        temporal.request_cancel(run, "tidemark remove --purge").await?;
        temporal.ending(run).await?;
    }
    Ok(())
}
