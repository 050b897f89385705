//! `list`: how connections are doing.

use clap::ValueEnum;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::{Listed, OpenRun, RunStatus, ScheduleError, ScheduleFilter};
use tidemark_workflows::health::Health;

use crate::error::Error;
use crate::exit::Exit;
use crate::pauses::PauseState;
use crate::run::{self, open_sentence};
use crate::selection::Selection;
use crate::session::{Session, Temporal};
use crate::ui::output::{Entry, OutputArgs};
use crate::ui::table::{Cell, Tone};
use crate::ui::text::cut;
use crate::ui::time::{age, relative};

/// Schedules, runs and failures that are looked up at once.
const SIMULTANEOUS: usize = 16;

/// Show how connections are doing
///
/// Temporal's visibility is asked, which is about a second old. Runs that find nothing new publish
/// sparingly: SYNCED THROUGH may be behind the log by five minutes or a quarter of `max_lag`,
/// whichever is more. `tidemark inspect` has the exact one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// What comes first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t)]
    sort: Order,

    #[command(flatten)]
    output: OutputArgs,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Order {
    /// By id
    #[default]
    Id,
    /// What needs somebody first
    Health,
    /// The oldest watermark first
    Age,
    /// The next run first
    Next,
}

/// A connection in the list.
#[derive(Debug, Serialize)]
struct Standing {
    id: ConnectionId,
    health: Option<&'static str>,
    synced_through: Option<Timestamp>,
    lag_deadline: Option<Timestamp>,
    paused: bool,
    pauses: Vec<PauseState>,
    last_error: Option<String>,
    running: Option<OpenRun>,
    next_run_at: Option<Timestamp>,
    #[serde(skip)]
    severity: u8,
    #[serde(skip)]
    now: Timestamp,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let temporal = session.temporal().await?;
        let mut listed = temporal.schedules.list(&self.selection.filter()).await?;
        let unlisted = self.unlisted(session, &listed).await?;
        let named = self.selection.named().is_some();
        let further: Vec<Option<Listed>> = stream::iter(&unlisted)
            .map(|id| described(session, temporal, id, named))
            .buffered(SIMULTANEOUS)
            .try_collect()
            .await?;
        listed.extend(further.into_iter().flatten());
        listed.sort_by(|one, other| one.connection.cmp(&other.connection));
        let now = Timestamp::now();
        let mut standings: Vec<Standing> = stream::iter(listed)
            .map(|listed| standing(session, temporal, listed, now))
            .buffered(SIMULTANEOUS)
            .collect()
            .await;
        match self.sort {
            Order::Id => {}
            Order::Health => {
                standings.sort_by_key(|standing| (standing.severity, !standing.overdue()))
            }
            // One that never was in step is the oldest.
            Order::Age => standings.sort_by_key(|standing| standing.synced_through),
            Order::Next => {
                standings.sort_by_key(|standing| standing.next_run_at.unwrap_or(Timestamp::MAX))
            }
        }
        if standings.is_empty() && unlisted.is_empty() {
            let note = if self.selection.filter() == ScheduleFilter::default() {
                "no connection; `tidemark apply FILE` makes some".to_owned()
            } else {
                format!("no connection matches {}", self.selection)
            };
            session.ui().note(&note);
        }
        session.ui().entries(self.output.output, &standings)?;
        Ok(Exit::Ok)
    }

    /// Those that were asked for, and that visibility does not show.
    async fn unlisted(
        &self,
        session: &Session,
        listed: &[Listed],
    ) -> Result<Vec<ConnectionId>, Error> {
        let mut ids = match self.selection.named() {
            Some(named) => named,
            None => match self.selection.matching(session, listed).await {
                Ok(ids) => ids,
                // What visibility shows helps also while the store is away.
                Err(error) => {
                    let text = format!("what visibility does not show yet is left out: {error}");
                    session.ui().warning(&text);
                    return Ok(Vec::new());
                }
            },
        };
        ids.retain(|id| listed.binary_search_by(|one| one.connection.cmp(id)).is_err());
        Ok(ids)
    }
}

/// A connection that visibility does not show, as its schedule says. One that was named has to have
/// one.
async fn described(
    session: &Session,
    temporal: &Temporal,
    id: &ConnectionId,
    named: bool,
) -> Result<Option<Listed>, Error> {
    match temporal.schedules.describe(id).await {
        Ok(description) => Ok(Some(description.listed(id))),
        Err(ScheduleError::NotFound { .. }) if named => Err(session.unknown(id).await),
        Err(ScheduleError::NotFound { .. }) => {
            session.ui().note(&format!(
                "{id} is defined and has no schedule: `tidemark doctor --fix` makes it"
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn standing(
    session: &Session,
    temporal: &Temporal,
    listed: Listed,
    now: Timestamp,
) -> Standing {
    let health = listed.attributes.health;
    let pauses = listed.pauses();
    let open = listed.recent.iter().rev().find(|run| run.status == RunStatus::Running);
    let running = match open.map(|started| &started.run) {
        Some(run) => temporal.schedules.look_at(run).await.ok().filter(|open| !open.closed),
        None => None,
    };
    let last_error = match health {
        Some(Health::Failing) => last_error(session, &listed).await,
        _ => None,
    };
    Standing {
        severity: severity(health),
        health: health.map(Health::as_str),
        synced_through: listed.attributes.synced_through,
        lag_deadline: listed.attributes.lag_deadline,
        paused: listed.paused,
        pauses: pauses.into_iter().map(PauseState::from).collect(),
        last_error,
        running,
        next_run_at: if listed.paused { None } else { listed.next_at.first().copied() },
        id: listed.connection,
        now,
    }
}

/// The smaller, the sooner somebody is needed.
fn severity(health: Option<Health>) -> u8 {
    match health {
        Some(Health::Failing) => 0,
        Some(Health::Held) => 1,
        Some(Health::Rejecting) => 2,
        Some(Health::InStepExcept) => 3,
        None => 4,
        Some(Health::New) => 5,
        Some(Health::InStep) => 6,
    }
}

/// Why the newest run failed that left a record. What visibility says about how runs ended may be
/// older than their records.
async fn last_error(session: &Session, listed: &Listed) -> Option<String> {
    for started in listed.recent.iter().rev() {
        if let Ok(Some(ended)) = run::ended(session, &listed.connection, &started.run).await
            && let Some(failure) = ended.failure
        {
            return Some(failure.to_string());
        }
    }
    None
}

impl Standing {
    /// Whether somebody has to be told that it is behind.
    fn overdue(&self) -> bool {
        !self.paused && self.lag_deadline.is_some_and(|deadline| deadline < self.now)
    }

    fn tone(&self) -> Tone {
        match self.severity {
            0 => Tone::Bad,
            1..=3 => Tone::Attention,
            6 if self.overdue() => Tone::Attention,
            6 => Tone::Good,
            // Unknown, or new.
            _ => Tone::Plain,
        }
    }

    fn health_cell(&self) -> Cell {
        let mut text = self.health.unwrap_or("unknown").to_owned();
        if self.overdue() {
            text += ", late";
        }
        if self.paused {
            text += ", paused";
        }
        Cell::new(text).tone(self.tone())
    }
}

impl Entry for Standing {
    const COLUMNS: &'static [&'static str] =
        &["CONNECTION", "HEALTH", "SYNCED THROUGH", "NEXT RUN", "NOW", "LAST ERROR"];

    fn cells(&self) -> Vec<Cell> {
        let doing = match (&self.running, self.pauses.first()) {
            (Some(open), _) => open_sentence(open, self.now),
            (None, Some(pause)) => cut(pause.reason(), 60),
            (None, None) => String::new(),
        };
        vec![
            Cell::new(self.id.as_str()),
            self.health_cell(),
            Cell::or_none(self.synced_through.map(|at| age(self.now, at) + " ago")),
            Cell::or_none(self.next_run_at.map(|at| relative(self.now, at))),
            Cell::new(doing),
            Cell::or_none(self.last_error.as_deref().map(|error| cut(error, 100)))
                .tone(if self.last_error.is_some() { Tone::Bad } else { Tone::Plain }),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_say_who_is_needed() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let earlier: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let tone = |health, lag_deadline| {
            let standing = Standing {
                id: "acme/news".parse().unwrap(),
                health: None,
                synced_through: None,
                lag_deadline,
                paused: false,
                pauses: Vec::new(),
                last_error: None,
                running: None,
                next_run_at: None,
                severity: severity(health),
                now,
            };
            standing.tone()
        };
        for (health, expected) in [
            (Some(Health::Failing), Tone::Bad),
            (Some(Health::Held), Tone::Attention),
            (Some(Health::Rejecting), Tone::Attention),
            (Some(Health::InStepExcept), Tone::Attention),
            (None, Tone::Plain),
            (Some(Health::New), Tone::Plain),
            (Some(Health::InStep), Tone::Good),
        ] {
            assert_eq!(tone(health, None), expected, "{health:?}");
        }
        assert_eq!(tone(Some(Health::InStep), Some(earlier)), Tone::Attention);
        assert_eq!(tone(Some(Health::Failing), Some(earlier)), Tone::Bad);
    }
}
