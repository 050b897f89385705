//! How a connection is doing, as far as its schedule shows it.

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::log::Log;
use tidemark_model::{definition::Definition, entry::RunNumber};
use tidemark_workflows::health::Health;

/// What the commit log says of a connection, as far as its schedule shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub health: Health,
    /// The newest watermark, if there is one.
    pub synced_through: Option<Timestamp>,
    /// When somebody has to be told, unless a newer commit comes.
    pub lag_deadline: Timestamp,
    /// The newest commit: each run is told, and refuses a log that ends below it.
    pub committed: Option<RunNumber>,
}

/// The newest commit of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    pub number: RunNumber,
    /// Its watermark.
    pub complete_as_of: Timestamp,
}

impl Newest {
    /// Of a log; `None` before the first commit.
    #[must_use]
    pub fn of(log: &Log) -> Option<Self> {
        log.newest_commit().map(|commit| Self {
            number: commit.number,
            complete_as_of: commit.manifest.complete_as_of,
        })
    }
}

/// How a connection stands. Lag counts from the latest of the newest watermark, the schedule's
/// creation and the last time that it was resumed.
#[must_use]
pub fn standing(
    definition: &Definition,
    health: Health,
    newest: Option<Newest>,
    created_at: Timestamp,
    resumed_at: Option<Timestamp>,
) -> Standing {
    let watermark = newest.map(|newest| newest.complete_as_of);
    let since = [watermark, resumed_at].into_iter().flatten().fold(created_at, Timestamp::max);
    let max_lag = SignedDuration::try_from(definition.max_lag()).unwrap_or(SignedDuration::MAX);
    Standing {
        health,
        synced_through: watermark,
        committed: newest.map(|newest| newest.number),
        lag_deadline: since.saturating_add(max_lag).unwrap_or(Timestamp::MAX),
    }
}
