//! `doctor`: what the monitor's audit finds within the hour, now; and what is safe to repair.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use tidemark_activities::setup::missing_search_attributes;
use tidemark_engine::{definitions, log::Log, store::Store};
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::look::{Looker, unreadable};
use tidemark_monitor::mutes;
use tidemark_monitor::rules::{Cause, Look, Settings, troubles};
use tidemark_schedules::{Created, Projection, ProjectionSettings};

use crate::commands::start;
use crate::error::Error;
use crate::exit::Exit;
use crate::many;
use crate::on_worker;
use crate::projected::ProjectedWith;
use crate::selection::Selection;
use crate::session::{Session, Temporal};
use crate::standing;
use crate::ui::output::{Entry, OutputArgs};
use crate::ui::table::{Cell, Tone};
use crate::ui::text::number_of;

/// Compare definitions, schedules and commit logs, and say what is wrong
///
/// Every connection is looked at, whatever visibility says: a schedule that is missing, was edited by hand
/// or does not fire, a pause that was forgotten, a connection that is late or waits for somebody, a
/// schedule without a definition, a store that went back in time. Ends with 1 if something is left wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Repair what is safe to repair: make schedules what the definitions say, start what does not fire,
    /// delete schedules of removed connections
    #[arg(long)]
    fix: bool,

    #[command(flatten)]
    projected: ProjectedWith,

    #[command(flatten)]
    output: OutputArgs,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
struct Finding {
    /// The connection, or what all of them need.
    subject: String,
    finding: String,
    /// What was done about it.
    repaired: Option<String>,
    next_command: Option<String>,
}

/// What is wrong with a connection, before anything is done about it.
enum Wrong {
    Trouble(Cause),
    /// It was removed, or never was, and has a schedule.
    Orphan {
        removed: bool,
    },
    /// The log ends below what the schedule knows of it.
    WentBack {
        /// What the log lacks, in words.
        lack: String,
    },
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let temporal = session.temporal().await?;
        let store = session.store().await?;
        let settings = self.projected.settings(session);
        let looker = Looker::new(store.clone(), temporal.schedules.clone(), settings.clone());
        let mut findings = platform(session, temporal).await?;
        let listed = temporal.schedules.list(&self.selection.filter()).await?;
        let ids = match self.selection.named() {
            Some(named) => named,
            None => self.selection.matching(session, &listed).await?,
        };
        let scheduled: BTreeSet<&ConnectionId> =
            listed.iter().map(|listed| &listed.connection).collect();
        let now = Timestamp::now();
        let results = many::each(&ids, async |id| {
            let look = looker.look(id, now).await?;
            let mut found = Vec::new();
            let mut wrongs = examine(store, look, scheduled.contains(id), now).await?;
            wrongs.extend(lost(store, temporal, id).await?);
            // A store that went back, or is another one, says nothing about the schedule.
            let went_back = wrongs.iter().any(|wrong| matches!(wrong, Wrong::WentBack { .. }));
            for wrong in wrongs {
                let repaired = match self.fix && !went_back {
                    true => repair(session, id, &wrong, &settings).await?,
                    false => None,
                };
                found.push(Finding::of(id, &wrong, repaired));
            }
            Ok(found)
        })
        .await;
        let count = results.len();
        for (id, result) in results {
            match result {
                Ok(found) => findings.extend(found),
                Err(error) if count == 1 || error.exit() == Exit::Unreachable => return Err(error),
                Err(error) => findings.push(Finding {
                    subject: id.to_string(),
                    finding: error.to_string(),
                    repaired: None,
                    next_command: error.hints().into_iter().next(),
                }),
            }
        }
        session.ui().entries(self.output.output, &findings)?;
        let left = findings.iter().filter(|finding| finding.repaired.is_none()).count();
        session.ui().note(&format!(
            "{} looked at, {}, {left} left",
            number_of(count, "connection"),
            number_of(findings.len(), "finding"),
        ));
        Ok(if left == 0 { Exit::Ok } else { Exit::Failed })
    }
}

/// What all connections need.
async fn platform(session: &Session, temporal: &Temporal) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let mut needs = |subject: String, finding: String, command: &str| {
        let next_command = Some(command.to_owned());
        findings.push(Finding { subject, finding, repaired: None, next_command });
    };
    let missing = temporal.unless_silent(missing_search_attributes(&temporal.client)).await??;
    if !missing.is_empty() {
        let finding = format!("it lacks the search attributes {}", missing.join(", "));
        needs(format!("namespace {}", temporal.namespace), finding, "tidemark setup");
    }
    if !on_worker::is_polled(session).await? {
        let subject = format!("task queue {}", session.task_queue());
        needs(subject, "no worker polls it".to_owned(), "tidemark worker");
    }
    let mutes = mutes::current(session.store().await?, Timestamp::now()).await?;
    for unreadable in &mutes.unreadable {
        needs("mutes".to_owned(), unreadable.to_string(), unreadable.hint());
    }
    Ok(findings)
}

async fn examine(
    store: &Store,
    look: Look,
    scheduled: bool,
    now: Timestamp,
) -> Result<Vec<Wrong>, Error> {
    match look.facts {
        Some(facts) => {
            let troubles = troubles(&facts, now, &Settings::default());
            let mut wrong: Vec<Wrong> = Vec::new();
            for (_, cause) in troubles {
                // One that is late because its schedule is missing is told once.
                let told = wrong
                    .iter()
                    .any(|wrong| matches!(wrong, Wrong::Trouble(known) if *known == cause));
                if !told {
                    wrong.push(Wrong::Trouble(cause));
                }
            }
            Ok(wrong)
        }
        None if scheduled => {
            let removed = definitions::newest(&store.connection(&look.connection)).await?.is_some();
            Ok(vec![Wrong::Orphan { removed }])
        }
        None => Ok(Vec::new()),
    }
}

/// Whether the log ends below what the schedule knows. A log that cannot be read is another
/// finding.
async fn lost(
    store: &Store,
    temporal: &Temporal,
    id: &ConnectionId,
) -> Result<Option<Wrong>, Error> {
    // The schedule first: what comes meanwhile is in the log already.
    let known = temporal.schedules.known(id).await?;
    let log = match Log::open(&store.connection(id)).await {
        Ok(log) => log,
        Err(error) if unreadable(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(log.lacks(known).map(|lack| Wrong::WentBack { lack }))
}

/// Does what is safe: whatever it is, nothing is lost by it. `None` if nothing is.
async fn repair(
    session: &Session,
    id: &ConnectionId,
    wrong: &Wrong,
    settings: &ProjectionSettings,
) -> Result<Option<String>, Error> {
    match wrong {
        Wrong::Trouble(Cause::ScheduleMissing | Cause::ScheduleEdited) => {
            let stored = definitions::newest(&session.store().await?.connection(id)).await?;
            let Some((version, definition)) =
                stored.and_then(|stored| Some((stored.version, stored.definition?)))
            else {
                return Ok(None);
            };
            let projection = Projection::new(&definition, version, settings);
            Ok(Some(match standing::schedule(session, &definition, &projection).await? {
                Created::Created => "its schedule was made".to_owned(),
                Created::Exists => "its schedule is as defined again".to_owned(),
            }))
        }
        Wrong::Trouble(Cause::NotFiring { .. }) => {
            Ok(Some(match start::begun(session, id).await? {
                Some(run) => format!("run {} was started", run.run_id),
                None => "a run was triggered; Temporal has not started it yet".to_owned(),
            }))
        }
        Wrong::Orphan { removed: true } => {
            session.temporal().await?.schedules.delete(id).await?;
            Ok(Some("its schedule was deleted".to_owned()))
        }
        Wrong::Trouble(_) | Wrong::Orphan { removed: false } | Wrong::WentBack { .. } => Ok(None),
    }
}

impl Finding {
    fn of(id: &ConnectionId, wrong: &Wrong, repaired: Option<String>) -> Self {
        let (finding, next_command) = match wrong {
            Wrong::Trouble(cause) => (cause.to_string(), Some(cause.hint(id))),
            Wrong::Orphan { removed: true } => (
                "it was removed, and has a schedule".to_owned(),
                Some(format!("tidemark doctor {id} --fix")),
            ),
            Wrong::Orphan { removed: false } => (
                "it has a schedule, and the store has never had a definition of it".to_owned(),
                Some(format!("temporal schedule delete --schedule-id {id}")),
            ),
            Wrong::WentBack { lack } => (
                format!(
                    "the store went back in time: the log {lack}. Put the store's newer objects \
                     back; only if they are lost, send every record again"
                ),
                Some(format!("tidemark start {id} --resend")),
            ),
        };
        let next_command = next_command.filter(|_| repaired.is_none());
        Self { subject: id.to_string(), finding, repaired, next_command }
    }
}

impl Entry for Finding {
    const COLUMNS: &'static [&'static str] = &["WHAT", "FINDING", "REPAIRED", "NEXT"];

    fn cells(&self) -> Vec<Cell> {
        let tone = if self.repaired.is_some() { Tone::Faint } else { Tone::Bad };
        vec![
            Cell::new(&self.subject),
            Cell::new(&self.finding).tone(tone),
            Cell::or_none(self.repaired.clone()).tone(Tone::Good),
            Cell::or_none(self.next_command.clone()),
        ]
    }

    fn name(&self) -> String {
        self.subject.clone()
    }
}
