//! `lag`: who is behind, and why, without the monitor.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::look::{self, LookError, Looker};
use tidemark_monitor::mutes;
use tidemark_monitor::rules::{Cause, Due, Facts, Look, Mute, Settings};
use tidemark_schedules::Listed;

use crate::error::Error;
use crate::exit::Exit;
use crate::many;
use crate::on_worker;
use crate::projected::ProjectedWith;
use crate::selection::Selection;
use crate::session::{Session, Temporal};
use crate::ui::output::{Entry, Format, OutputArgs, rows};
use crate::ui::table::{self, Cell, Tone};
use crate::ui::text::{cut, number_of};
use crate::ui::time::{age, rough};

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

/// A connection that was looked at.
struct Looked {
    id: ConnectionId,
    facts: Facts,
    due: Due,
    /// Why nothing is known of it but what the store says.
    error: Option<String>,
}

/// All selected connections, counted. Each counts once, as the first of these that it is: paused,
/// behind, new (it has never been in step), held, in step except for some records.
#[derive(Debug, Serialize)]
struct Summary {
    connection_count: usize,
    in_step_count: usize,
    in_step_except_count: usize,
    behind_count: usize,
    held_count: usize,
    paused_count: usize,
    new_count: usize,
    /// Absent if Temporal does not answer, or not this.
    worker_polls: Option<bool>,
    temporal_answers: bool,
    /// Whether Temporal lists schedules: without that each of them is asked about.
    visibility_answers: bool,
}

/// What Temporal answers at all.
#[derive(Clone, Copy)]
struct Answers {
    temporal: bool,
    visibility: bool,
    worker_polls: Option<bool>,
}

/// A connection that is behind.
#[derive(Debug, Serialize)]
struct Behind {
    id: ConnectionId,
    /// The watermark; absent for one that has never been in step.
    synced_through: Option<Timestamp>,
    deadline: Timestamp,
    /// Seconds since the deadline.
    late_seconds: u64,
    cause: Option<Cause>,
    /// Why the cause is not known, or not even whether it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The mute that keeps quiet about it.
    muted: Option<Mute>,
    next_command: Option<String>,
    #[serde(skip)]
    destination: String,
    #[serde(skip)]
    now: Timestamp,
}

/// Connections that are behind and have something in common.
#[derive(Debug, Serialize)]
struct Alike {
    value: String,
    connection_count: usize,
    late_seconds: u64,
    example: ConnectionId,
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
        let mut looked = look_at(session, temporal, &ids, &listed, now).await?;
        let known = |id: &&ConnectionId| looked.iter().any(|looked| looked.id == **id);
        if let Some(unknown) = named.iter().flatten().find(|id| !known(id)) {
            return Err(session.unknown(unknown).await);
        }
        let mutes = mutes::current(session.store().await?, now).await?;
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
                    text += &table::draw(T::COLUMNS, rows(entries), stdout().is_terminal());
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

impl Looked {
    /// `None` for one that is not defined any more.
    fn of(look: Look) -> Option<Self> {
        let facts = look.facts?;
        let due = Due::of(&facts, &[], &Settings::default());
        Some(Self { id: look.connection, facts, due, error: None })
    }

    /// Whether it is behind its deadline, with no allowance for clocks.
    fn late(&self, now: Timestamp) -> bool {
        self.facts.paused_since().is_none() && self.due.at <= now
    }
}

/// Reads the commit log of every connection that is defined, and asks Temporal about those that
/// look late or are not listed: they may be paused, or be without a schedule. What it does not say of
/// one is that one's error; when it is lost altogether, the others are not asked about.
async fn look_at(
    session: &Session,
    temporal: Option<&Temporal>,
    ids: &[ConnectionId],
    listed: &[Listed],
    now: Timestamp,
) -> Result<Vec<Looked>, Error> {
    let store = session.store().await?;
    let looker = temporal.map(|temporal| {
        let settings = ProjectedWith::default().settings(session);
        Looker::new(store.clone(), temporal.schedules.clone(), settings)
    });
    let lost = AtomicBool::new(false);
    let results = many::each(ids, async |id| {
        // In the order of their connections.
        let place = listed.binary_search_by(|one| one.connection.cmp(id));
        let listed = place.ok().and_then(|place| listed.get(place));
        let Some(glance) = Looked::of(look::glance(store, id, listed, now).await?) else {
            return Ok(None);
        };
        let Some(looker) = looker.as_ref().filter(|_| glance.late(now) || listed.is_none()) else {
            return Ok(Some(glance));
        };
        if lost.load(Ordering::Relaxed) {
            let unasked = || "temporal was lost before this one was asked about".to_owned();
            let error = glance.late(now).then(unasked);
            return Ok(Some(Looked { error, ..glance }));
        }
        match looker.look(id, now).await {
            Ok(look) => Ok(Looked::of(look)),
            Err(LookError::Temporal(error)) => {
                if error.unreachable() {
                    lost.store(true, Ordering::Relaxed);
                }
                Ok(Some(Looked { error: Some(error.to_string()), ..glance }))
            }
            Err(error) => Err(error.into()),
        }
    })
    .await;
    let looked: Result<Vec<Option<Looked>>, Error> =
        results.into_iter().map(|(_, looked)| looked).collect();
    Ok(looked?.into_iter().flatten().collect())
}

impl Summary {
    fn of(looked: &[Looked], now: Timestamp, answers: Answers) -> Self {
        let mut summary = Self {
            connection_count: looked.len(),
            in_step_count: 0,
            in_step_except_count: 0,
            behind_count: 0,
            held_count: 0,
            paused_count: 0,
            new_count: 0,
            worker_polls: answers.worker_polls,
            temporal_answers: answers.temporal,
            visibility_answers: answers.visibility,
        };
        for looked in looked {
            let held = looked.facts.commit.is_some_and(|commit| commit.held_count > 0);
            let except = looked.facts.commit.is_some_and(|commit| commit.exception_count > 0);
            let count = if looked.facts.paused_since().is_some() {
                &mut summary.paused_count
            } else if looked.late(now) {
                &mut summary.behind_count
            } else if looked.facts.commit.is_none() {
                &mut summary.new_count
            } else if held {
                &mut summary.held_count
            } else if except {
                &mut summary.in_step_except_count
            } else {
                &mut summary.in_step_count
            };
            *count += 1;
        }
        summary
    }

    /// `5 connections: 3 in step, 1 behind, 0 held, 1 paused, 0 new. Temporal answers, …`.
    fn sentence(&self) -> String {
        let work = match self.worker_polls {
            _ if !self.temporal_answers => {
                "Temporal does not answer: causes and pauses are not known"
            }
            None => "Temporal answers, and does not say whether workers poll",
            Some(true) => "Temporal answers, and workers poll",
            Some(false) => "Temporal answers, and NO WORKER polls",
        };
        let list = if self.temporal_answers && !self.visibility_answers {
            "; it does not list its schedules, so each was asked about"
        } else {
            ""
        };
        let except = match self.in_step_except_count {
            0 => String::new(),
            count => format!(" {count} in step except for some records,"),
        };
        format!(
            "{}: {} in step,{except} {} behind, {} held, {} paused, {} new. {work}{list}.",
            number_of(self.connection_count, "connection"),
            self.in_step_count,
            self.behind_count,
            self.held_count,
            self.paused_count,
            self.new_count,
        )
    }
}

impl Behind {
    fn of(looked: Looked, asked: bool, mutes: &[Mute], now: Timestamp) -> Self {
        let Looked { id, facts, due, error } = looked;
        let muted = mutes.iter().find(|mute| mute.covers(&id, now)).cloned();
        let known = asked && error.is_none();
        let cause = known.then(|| Cause::of_lag(&facts, now, &Settings::default()));
        // What is damaged in the store is known without Temporal.
        let damage = facts.ended.as_ref().filter(|_| !asked).map(|ended| ended.message.to_string());
        Self {
            synced_through: facts.commit.map(|commit| commit.complete_as_of),
            deadline: due.at,
            // One that could not be looked at need not be late.
            late_seconds: now.duration_since(due.at.min(now)).unsigned_abs().as_secs(),
            next_command: cause.as_ref().map(|cause| cause.hint(&id)),
            cause,
            error: error.or(damage),
            destination: facts.terms.destination.to_string(),
            muted,
            id,
            now,
        }
    }
}

/// Counts them, the most first.
fn alike(behind: &[Behind], by: By) -> Vec<Alike> {
    let mut counted: BTreeMap<String, Alike> = BTreeMap::new();
    for one in behind {
        let value = match by {
            By::Account => one.id.account().to_string(),
            By::Destination => one.destination.clone(),
            By::Cause => one.cause.as_ref().map_or("not known", Cause::name).to_owned(),
        };
        let alike = counted.entry(value.clone()).or_insert_with(|| Alike {
            value,
            connection_count: 0,
            late_seconds: one.late_seconds,
            example: one.id.clone(),
        });
        alike.connection_count += 1;
    }
    let mut counted: Vec<Alike> = counted.into_values().collect();
    counted.sort_by_key(|alike| std::cmp::Reverse(alike.connection_count));
    counted
}

fn late(seconds: u64) -> Cell {
    Cell::new(rough(std::time::Duration::from_secs(seconds))).tone(Tone::Bad).right()
}

impl Entry for Behind {
    const COLUMNS: &'static [&'static str] =
        &["CONNECTION", "LATE BY", "SYNCED THROUGH", "CAUSE", "NEXT"];

    fn cells(&self) -> Vec<Cell> {
        let through = self.synced_through.map(|at| age(self.now, at) + " ago");
        let why = self.cause.as_ref().map(ToString::to_string).or_else(|| self.error.clone());
        let cause = why.map(|why| cut(&why, 120));
        let cause = match &self.muted {
            Some(mute) => {
                let muted = format!("muted until {:.0} ({})", mute.until, cut(&mute.reason, 40));
                Some(cause.map_or(muted.clone(), |cause| format!("{cause}; {muted}")))
            }
            None => cause,
        };
        vec![
            Cell::new(self.id.as_str()),
            late(self.late_seconds),
            Cell::new(through.unwrap_or_else(|| "never".to_owned())),
            Cell::or_none(cause),
            Cell::or_none(self.next_command.clone()),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Entry for Alike {
    const COLUMNS: &'static [&'static str] = &["WHAT", "BEHIND", "LATE BY UP TO", "SUCH AS"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(&self.value),
            Cell::new(self.connection_count.to_string()).right(),
            late(self.late_seconds),
            Cell::new(self.example.as_str()),
        ]
    }

    fn name(&self) -> String {
        self.value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_temporal_does_not() {
        let sentence = |temporal, visibility, worker_polls| {
            let answers = Answers { temporal, visibility, worker_polls };
            Summary::of(&[], Timestamp::UNIX_EPOCH, answers).sentence()
        };
        let none = "0 connections: 0 in step, 0 behind, 0 held, 0 paused, 0 new.";
        assert_eq!(
            sentence(true, true, Some(true)),
            format!("{none} Temporal answers, and workers poll.")
        );
        assert_eq!(
            sentence(true, false, None),
            format!(
                "{none} Temporal answers, and does not say whether workers poll; it does not list \
                 its schedules, so each was asked about."
            )
        );
        assert!(sentence(false, false, None).ends_with("causes and pauses are not known."));
    }

    #[test]
    fn refused_records_are_not_in_step() {
        let answers = Answers { temporal: true, visibility: true, worker_polls: Some(true) };
        let mut summary = Summary::of(&[], Timestamp::UNIX_EPOCH, answers);
        summary.in_step_except_count = 2;
        assert!(
            summary.sentence().contains("0 in step, 2 in step except for some records, 0 behind")
        );
    }
}
