//! The rows: a connection that is behind in each, or those that have something in common.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_monitor::rules::{Cause, Mute, Settings};

use super::By;
use super::looked::Looked;
use crate::ui::output::Entry;
use crate::ui::table::{Cell, Tone};
use crate::ui::text::cut;
use crate::ui::time::{age, rough};

/// A connection that is behind.
#[derive(Debug, Serialize)]
pub(super) struct Behind {
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
pub(super) struct Alike {
    value: String,
    connection_count: usize,
    late_seconds: u64,
    example: ConnectionId,
}

impl Behind {
    pub(super) fn of(looked: Looked, asked: bool, mutes: &[Mute], now: Timestamp) -> Self {
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
pub(super) fn alike(behind: &[Behind], by: By) -> Vec<Alike> {
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
