//! `inspect`: all that is known of a connection.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::definitions::{self, StoredDefinition};
use tidemark_engine::log::Log;
use tidemark_model::entry::{Committed, Prepared};
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::{Description, Newest, OpenRun, standing};
use tidemark_workflows::health::Health;

use crate::decisions::{self, Told};
use crate::error::Error;
use crate::exit::Exit;
use crate::pauses::PauseState;
use crate::run::{self, Run, hold_details, open_sentence, receipt_details, who_must_act};
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{Entry as _, OutputArgs, Subject};
use crate::ui::text::counted;
use crate::ui::time::{instant_and_age, relative};

/// Runs and ticks that are shown.
const RUNS: usize = 5;
const TICKS: usize = 3;

/// Show all that is known of a connection
///
/// Its definition, schedule, watermark, last runs, and what it is doing now.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    #[command(flatten)]
    output: OutputArgs,
}

/// All that is known.
#[derive(Debug, Serialize)]
struct Known {
    id: ConnectionId,
    definition: StoredDefinition,
    health: Option<&'static str>,
    /// The watermark, from the commit log.
    complete_as_of: Option<Timestamp>,
    lag_deadline: Option<Timestamp>,
    newest_commit: Option<Committed>,
    unfinished_count: usize,
    /// Decisions that wait for a run.
    open_decisions: Vec<Told>,
    /// The same in words.
    #[serde(skip)]
    decided: Vec<String>,
    schedule: ScheduleState,
    running: Vec<OpenRun>,
    runs: Vec<Run>,
    links: KnownLinks,
}

/// The schedule as Temporal has it.
#[derive(Debug, Serialize)]
struct ScheduleState {
    /// The definition that it was made from.
    definition_version: Option<u32>,
    paused: bool,
    pauses: Vec<PauseState>,
    next_run_at: Vec<Timestamp>,
    started_count: u64,
    skipped_count: u64,
    waiting_count: u64,
}

#[derive(Debug, Serialize)]
struct KnownLinks {
    schedule: Option<String>,
    running: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let folder = session.store().await?.connection(&self.id);
        let Some(definition) = definitions::newest(&folder).await? else {
            return Err(session.unknown(&self.id).await);
        };
        if definition.definition.is_none() {
            return Err(session.removed(&self.id, definition.applied_at).await);
        }
        let temporal = session.temporal().await?;
        let description = session.schedule(&self.id).await?;
        let log = Log::open(&folder).await?;
        let mut running = Vec::new();
        for run in &description.running {
            running.push(temporal.schedules.look_at(run).await?);
        }
        // What is published may be behind the watermark that is shown here.
        let lag_deadline = definition.definition.as_ref().map(|defined| {
            let health = description.attributes.health.unwrap_or(Health::New);
            let created_at = description.created_at.unwrap_or_else(Timestamp::now);
            let (newest, resumed_at) = (Newest::of(&log), description.resumed_at());
            standing(defined, health, newest, created_at, resumed_at).lag_deadline
        });
        let manifest = log.newest_commit().map(|commit| &commit.manifest);
        let open_decisions = decisions::open(&folder, manifest).await?;
        let links = session.links()?;
        let known = Known {
            health: description.attributes.health.map(Health::as_str),
            complete_as_of: log.newest_commit().map(|commit| commit.manifest.complete_as_of),
            lag_deadline,
            newest_commit: log.newest_commit().cloned(),
            unfinished_count: died_count(&running, &log),
            decided: open_decisions.iter().map(|told| decided(told, &running, &log)).collect(),
            open_decisions,
            runs: run::recent(session, &self.id, RUNS).await?,
            links: KnownLinks {
                schedule: links.schedule(&self.id),
                running: description.running.first().and_then(|run| links.run(run)),
            },
            schedule: ScheduleState::of(&description),
            running,
            definition,
            id: self.id,
        };
        session.ui().subject(self.output.output, &known)?;
        Ok(Exit::Ok)
    }
}

/// The entry of a run that is at work, once it has taken a number.
fn prepared<'l>(run: &OpenRun, log: &'l Log) -> Option<&'l Prepared> {
    log.unfinished().iter().find(|entry| entry.owner.run_id == run.run_id)
}

/// How many runs ended above the newest commit.
fn died_count(running: &[OpenRun], log: &Log) -> usize {
    let at_work = running.iter().filter(|run| !run.closed);
    log.unfinished().len() - at_work.filter_map(|run| prepared(run, log)).count()
}

/// A decision that is not carried out, and the run that it waits for. A run that has not taken a
/// number yet may still read it.
fn decided(told: &Told, running: &[OpenRun], log: &Log) -> String {
    let may_do =
        |run: &OpenRun| prepared(run, log).is_none_or(|entry| told.number <= entry.next.decided);
    let run = if running.iter().any(|run| !run.closed && may_do(run)) {
        "the run under way or the next one"
    } else {
        "the next run"
    };
    told.sentence() + "; waits for " + run
}

impl ScheduleState {
    fn of(description: &Description) -> Self {
        Self {
            definition_version: description.from.as_ref().map(|from| from.version),
            paused: description.paused,
            pauses: description.pauses().into_iter().map(PauseState::from).collect(),
            next_run_at: description.next_at.iter().take(TICKS).copied().collect(),
            started_count: description.action_count,
            skipped_count: description.skipped_count,
            waiting_count: description.buffered_count,
        }
    }
}

impl Known {
    fn state(&self, details: Details, now: Timestamp) -> Details {
        let watermark = match self.complete_as_of {
            Some(at) => instant_and_age(now, at),
            None => "never in step".to_owned(),
        };
        let deadline = self.lag_deadline.map(|at| {
            let late = if at < now { "late since " } else { "" };
            format!("{late}{}", instant_and_age(now, at))
        });
        let now_doing = match self.running.as_slice() {
            [] => "nothing".to_owned(),
            open => open.iter().map(|open| open_sentence(open, now)).collect::<Vec<_>>().join("\n"),
        };
        details
            .section("state")
            .pair("health", self.health.unwrap_or("unknown"))
            .pair("complete as of", watermark)
            .pair_if("lag deadline", deadline)
            .pair("now", now_doing)
            .pair_if("decided", (!self.decided.is_empty()).then(|| self.decided.join("\n")))
            .pair_if(
                "unfinished",
                (self.unfinished_count > 0).then(|| {
                    let count = counted(self.unfinished_count as u64, "run");
                    format!(
                        "{count} ended after the first batch may have been sent; the next run \
                             sends what they touched again"
                    )
                }),
            )
    }

    fn pause_lines(&self) -> String {
        let lines: Vec<String> = self.schedule.pauses.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    fn schedule(&self, details: Details, now: Timestamp) -> Details {
        let ticks: Vec<String> = self
            .schedule
            .next_run_at
            .iter()
            .map(|at| format!("{at} ({})", relative(now, *at)))
            .collect();
        let version =
            (self.schedule.definition_version != Some(self.definition.version)).then(|| {
                format!(
                    "made from another definition than version {}; apply it again",
                    self.definition.version
                )
            });
        let every = self.definition.definition.as_ref().map(|one| one.schedule().to_string());
        details
            .section("schedule")
            .pair_if("runs", every)
            .pair_if("paused", self.schedule.paused.then(|| self.pause_lines()))
            .pair(if self.schedule.paused { "next, if resumed" } else { "next" }, ticks.join("\n"))
            .pair_if(
                "waiting",
                (self.schedule.waiting_count > 0)
                    .then(|| counted(self.schedule.waiting_count, "start")),
            )
            .pair_if("differs", version)
            .pair_if("link", self.links.schedule.as_deref())
            .pair_if("link of the run", self.links.running.as_deref())
    }
}

impl Subject for Known {
    fn details(&self) -> Details {
        let now = Timestamp::now();
        let stored = &self.definition;
        let mut details = Details::default()
            .section("connection")
            .pair("id", self.id.as_str())
            .pair_if("definition", stored.definition.as_ref().map(|one| one.summary()))
            .pair(
                "version",
                format!("{}, applied {}", stored.version, instant_and_age(now, stored.applied_at)),
            );
        details = self.schedule(self.state(details, now), now);
        if let Some(commit) = &self.newest_commit {
            details = receipt_details(details, &commit.receipt, now);
            if let Some(hold) = &commit.manifest.hold {
                details = hold_details(details, &self.id, hold);
            }
        }
        let failure = self.runs.first().and_then(|run| run.ended.as_ref());
        if let Some((ended, failure)) =
            failure.and_then(|ended| Some((ended, ended.failure.as_ref()?)))
        {
            details = details
                .section("last error")
                .pair("error", &failure.message)
                .pair_if("who must act", ended.class().map(who_must_act))
                .pair_if("hint", failure.hint.as_deref());
        }
        details.table("last runs", Run::COLUMNS, self.runs.iter().map(Run::cells).collect())
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}
