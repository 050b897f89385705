//! Trouble of one kind that one connection has, from when it is told until it is over.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::cause::Cause;
use super::facts::Facts;
use super::notice::{Notice, Phase, Subject};

/// The kinds of trouble. Each is told by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is behind its deadline.
    Late,
    /// Removals wait for an operator.
    Held,
    /// The destination refuses records.
    Rejecting,
    /// Its schedule is missing, was edited by hand, does not fire, or has no definition.
    Schedule,
    /// It has been paused for long.
    Paused,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Late, Self::Held, Self::Rejecting, Self::Schedule, Self::Paused];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Held => "held",
            Self::Rejecting => "rejecting",
            Self::Schedule => "schedule",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An episode that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    pub kind: Kind,
    /// What tells it from other episodes, for ever: a receiver drops a repetition by it.
    pub key: String,
    pub opened_at: Timestamp,
    /// The cause at the last look.
    pub cause: Cause,
    /// When it was last told.
    pub told_at: Timestamp,
    pub reminder_count: u64,
    /// The group that tells of it, if one does.
    pub group: Option<String>,
    /// Whether it was told by itself, or has been since its group ended: its end is then, too, though
    /// a group tells of it meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told_alone: bool,
}

impl Episode {
    /// The key of the episode that begins now: of lag, the connection and its last commit (or its
    /// last resume or the last edit that allowed more, after which it had a new deadline). `since` is when it was first seen.
    pub(super) fn key(
        connection: &ConnectionId,
        kind: Kind,
        facts: &Facts,
        since: Timestamp,
    ) -> String {
        let number = facts.commit.map_or(0, |commit| commit.number);
        match kind {
            Kind::Late => {
                let watermark = facts.commit.map(|commit| commit.complete_as_of);
                let resumed = facts.resumed_at().filter(|resumed| Some(*resumed) > watermark);
                match resumed.max(facts.lengthened_at()) {
                    None => format!("{kind}/{connection}/{number}"),
                    Some(anew) => format!("{kind}/{connection}/{number}/{anew}"),
                }
            }
            Kind::Held | Kind::Rejecting => format!("{kind}/{connection}/{number}"),
            Kind::Schedule => Self::schedule_key(connection, since),
            Kind::Paused => {
                let since = facts.paused().and_then(|paused| paused.since).unwrap_or(since);
                format!("{kind}/{connection}/{since}")
            }
        }
    }

    /// The key of one about a schedule, whether the connection is defined or not.
    pub(super) fn schedule_key(connection: &ConnectionId, since: Timestamp) -> String {
        format!("{}/{connection}/{since}", Kind::Schedule)
    }

    /// Whether a group told of it until the group ended, and nothing but groups has since.
    pub(super) fn is_left_over(&self) -> bool {
        self.reminder_count == 0 && self.told_at != self.opened_at
    }

    /// That it stands: what is told when it opens by itself.
    pub(super) fn standing(&self, connection: &ConnectionId) -> Notice {
        Notice {
            key: self.key.clone(),
            at: self.opened_at,
            phase: Phase::Opened,
            subject: Subject::Connection {
                connection: connection.clone(),
                kind: self.kind,
                cause: self.cause.clone(),
                ending: None,
            },
        }
    }
}
