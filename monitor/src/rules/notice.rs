//! What is told.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::cause::Cause;
use super::episode::Kind;
use super::outage::{Outage, Part};

/// Something for the team. Sent at least once; a repetition has the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub key: String,
    pub at: Timestamp,
    pub phase: Phase,
    pub subject: Subject,
}

/// Where in an episode it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Opened,
    Reminder,
    Closed,
}

/// Why an episode is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Recovered,
    Paused,
    /// The connection was removed.
    Removed,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "about")]
pub enum Subject {
    Connection {
        connection: ConnectionId,
        kind: Kind,
        cause: Cause,
        ending: Option<Ending>,
    },
    Group {
        kind: Kind,
        /// Members now; those that are told of for the first time; some of them with their causes.
        count: usize,
        new: Vec<ConnectionId>,
        sample: Vec<(ConnectionId, Cause)>,
    },
    Outage(Outage),
}

/// One line, with the words of causes as they came: whoever shows it has to escape it.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.subject, self.phase) {
            (Subject::Connection { connection, kind, cause, .. }, Phase::Opened) => {
                write!(f, "{connection}: {}: {cause}", begins(*kind))
            }
            (Subject::Connection { connection, kind, cause, .. }, Phase::Reminder) => {
                write!(f, "{connection}: still: {}: {cause}", begins(*kind))
            }
            (Subject::Connection { connection, kind, ending, .. }, Phase::Closed) => match ending {
                Some(Ending::Removed) => write!(f, "{connection}: over: it was removed"),
                Some(Ending::Paused) => write!(f, "{connection}: over: it was paused"),
                Some(Ending::Recovered) | None => write!(f, "{connection}: {}", ends(*kind)),
            },
            (Subject::Group { kind, count, sample, .. }, phase) => {
                let begins = begins(*kind);
                match phase {
                    Phase::Opened => write!(f, "{count} connections: {begins}")?,
                    Phase::Reminder => write!(f, "still {count} connections: {begins}")?,
                    Phase::Closed if *count == 0 => return write!(f, "over for all: {begins}"),
                    Phase::Closed => write!(f, "over for most: {begins}; {count} are left")?,
                }
                sample
                    .iter()
                    .try_for_each(|(connection, cause)| write!(f, "; {connection}: {cause}"))
            }
            (Subject::Outage(outage), phase) => write_outage(f, outage, phase),
        }
    }
}

fn begins(kind: Kind) -> &'static str {
    match kind {
        Kind::Late => "late",
        Kind::Held => "held",
        Kind::Rejecting => "rejecting",
        Kind::Schedule => "the schedule is not as it should be",
        Kind::Paused => "paused for long",
    }
}

fn ends(kind: Kind) -> &'static str {
    match kind {
        Kind::Late => "in time again",
        Kind::Held => "nothing is held any more",
        Kind::Rejecting => "nothing is refused any more",
        Kind::Schedule => "the schedule is as it should be again",
        Kind::Paused => "runs again",
    }
}

fn write_outage(f: &mut fmt::Formatter<'_>, outage: &Outage, phase: Phase) -> fmt::Result {
    let Outage { part, since, until } = outage;
    let what = match part {
        Part::Temporal => "Temporal does not answer",
        Part::Workers => "no worker polls",
        Part::Watch => "the lag watch was away",
        Part::Unseen => "no run ended while the lag watch was away",
    };
    match (phase, until) {
        (Phase::Reminder, _) => write!(f, "still: {what}, since {since:.0}"),
        (_, None) => write!(f, "{what}, since {since:.0}; nobody is called late meanwhile"),
        (Phase::Opened, Some(until)) => write!(f, "{what}: from {since:.0} to {until:.0}"),
        (Phase::Closed, Some(until)) => write!(f, "over: {what}, from {since:.0} to {until:.0}"),
    }
}
