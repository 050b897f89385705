//! How a connection is doing, as far as its schedule shows it.

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::log::Log;
use tidemark_model::{definition::Definition, step::Known};
use tidemark_workflows::health::Health;

/// What the commit log says of a connection, as far as its schedule shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub health: Health,
    /// The newest watermark, if there is one.
    pub synced_through: Option<Timestamp>,
    /// When somebody has to be told, unless a newer commit comes.
    pub lag_deadline: Timestamp,
    /// Each run is told, and refuses a log that ends below it.
    pub known: Known,
}

/// The newest of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    pub known: Known,
    /// The newest commit's watermark, if there is one.
    pub complete_as_of: Option<Timestamp>,
}

impl Newest {
    #[must_use]
    pub fn of(log: &Log) -> Self {
        let complete_as_of = log.newest_commit().map(|commit| commit.manifest.complete_as_of);
        Self { known: log.known(), complete_as_of }
    }
}

/// How a connection stands. Lag counts from the latest of the newest watermark, the schedule's
/// creation and the last time that it was resumed.
#[must_use]
pub fn standing(
    definition: &Definition,
    health: Health,
    newest: Newest,
    created_at: Timestamp,
    resumed_at: Option<Timestamp>,
) -> Standing {
    let watermark = newest.complete_as_of;
    let since = [watermark, resumed_at].into_iter().flatten().fold(created_at, Timestamp::max);
    let max_lag = SignedDuration::try_from(definition.max_lag()).unwrap_or(SignedDuration::MAX);
    Standing {
        health,
        synced_through: watermark,
        known: newest.known,
        lag_deadline: since.saturating_add(max_lag).unwrap_or(Timestamp::MAX),
    }
}
