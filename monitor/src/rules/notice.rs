//! What is told.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::{AccountId, ConnectionId};

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
        /// The members now. When it is over, also a zero for each account that it was told of.
        counts: BTreeMap<AccountId, usize>,
        /// Members that no notice named before.
        new: Vec<ConnectionId>,
        /// Some of the members: at most three of an account, and sixty in all.
        sample: Vec<(ConnectionId, Cause)>,
        /// What the group is called as long as it stands, and when it stands again.
        group: String,
        /// Whether the first members of some accounts joined an open group, and this is about them:
        /// for those who had heard nothing of the group, since they may not see the others.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        joining: bool,
    },
    Outage(Outage),
    /// A receiver of notices that takes none: told to the others.
    Sink {
        name: String,
        /// Its first failure since it last took something, and when it took something again.
        since: Timestamp,
        until: Option<Timestamp>,
        /// Its last failure, without a secret; may quote the other side.
        error: String,
        /// Notices that were kept for it for too long, and that it will not get any more.
        given_up: u64,
    },
    /// Somebody tries whether notices arrive.
    Test {
        sink: String,
    },
}

/// Members that the line about a group names.
const NAMED: usize = 5;

impl Notice {
    /// What somebody gets of it who may see some accounts only; `None` if that is nothing. Outages
    /// are everybody's. Who may know of a sink is for the sinks to say.
    #[must_use]
    pub fn for_accounts(&self, allowed: &dyn Fn(&AccountId) -> bool) -> Option<Self> {
        let subject = match &self.subject {
            Subject::Connection { connection, .. } if !allowed(&connection.account()) => {
                return None;
            }
            Subject::Group { kind, counts, new, sample, group, joining } => {
                let counts: BTreeMap<AccountId, usize> = counts
                    .iter()
                    .filter(|(account, _)| allowed(account))
                    .map(|(account, count)| (account.clone(), *count))
                    .collect();
                if counts.is_empty() {
                    return None;
                }
                let is_shown = |connection: &ConnectionId| allowed(&connection.account());
                Subject::Group {
                    kind: *kind,
                    counts,
                    new: new.iter().filter(|member| is_shown(member)).cloned().collect(),
                    sample: sample.iter().filter(|(member, _)| is_shown(member)).cloned().collect(),
                    group: group.clone(),
                    joining: *joining,
                }
            }
            shown @ (Subject::Connection { .. }
            | Subject::Outage(_)
            | Subject::Sink { .. }
            | Subject::Test { .. }) => shown.clone(),
        };
        Some(Self { subject, ..self.clone() })
    }
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
            (Subject::Group { kind, counts, sample, .. }, phase) => {
                let begins = begins(*kind);
                let count: usize = counts.values().sum();
                match phase {
                    Phase::Opened => write!(f, "{count} connections: {begins}")?,
                    Phase::Reminder => write!(f, "still {count} connections: {begins}")?,
                    Phase::Closed if count == 0 => return write!(f, "over for all: {begins}"),
                    Phase::Closed => write!(f, "over for most: {begins}; {count} are left")?,
                }
                sample
                    .iter()
                    .take(NAMED)
                    .try_for_each(|(connection, cause)| write!(f, "; {connection}: {cause}"))
            }
            (Subject::Outage(outage), phase) => write_outage(f, outage, phase),
            (Subject::Sink { name, since, until, error, given_up }, phase) => {
                match (phase, until) {
                    (Phase::Opened, _) => {
                        write!(f, "sink {name} has taken no notice since {since:.0}: {error}")
                    }
                    (Phase::Reminder, _) => write!(
                        f,
                        "sink {name}: notices kept too long and given up: {given_up}: {error}"
                    ),
                    (Phase::Closed, Some(until)) => {
                        write!(f, "over: sink {name} took no notice from {since:.0} to {until:.0}")
                    }
                    (Phase::Closed, None) => write!(f, "over: sink {name} was removed"),
                }
            }
            (Subject::Test { sink }, _) => {
                write!(f, "this is a test of sink {sink}: nothing is wrong")
            }
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
