//! How a connection is doing, published on its schedule, where lists and alarms look for it.
//!
//! Published state is a hint: the commit log decides. So it is sent once, dropped if anybody else
//! changes the schedule at that moment, left out if it says nearly the same as before, and a
//! failure to publish is a line in the log and nothing else.

use std::time::Duration;

use jiff::Timestamp;
use tidemark_engine::{
    definitions,
    log::Log,
    store::{Store, StoreError},
};
use tidemark_model::{ids::ConnectionId, progress::Stage, receipt::Receipt, step::Known};
use tidemark_schedules::{
    Newest, Projection, ProjectionSettings, Published, ScheduleAttributes, ScheduleClient,
    ScheduleError, Standing, standing,
};
use tidemark_workflows::health::Health;

/// The least by which the deadline moves before it is published again, whatever `max_lag` is.
const LEAST_MOVE: Duration = Duration::from_mins(5);

/// Whether it says more than what is published already.
fn is_news(standing: &Standing, published: &ScheduleAttributes, max_lag: Duration) -> bool {
    let Some(deadline) = published.lag_deadline else { return true };
    let moved = standing.lag_deadline.duration_since(deadline).unsigned_abs();
    published.health != Some(standing.health) || moved >= LEAST_MOVE.max(max_lag / 4)
}

/// Publishes for the runs of one worker.
#[derive(Clone)]
pub struct Publisher {
    schedules: ScheduleClient,
    store: Store,
    settings: ProjectionSettings,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Committed { sent_count: u64 },
    Failed { stage: Stage },
}

impl Ending {
    /// A store that goes back in time is found out by the schedule, which names the newest run.
    /// One that sent nothing may be forgotten: the next run finds the same. One that sent something
    /// may not, or what the source takes back meanwhile would stay at the destination.
    fn must_be_known(self) -> bool {
        match self {
            Self::Committed { sent_count } => sent_count > 0,
            Self::Failed { stage } => matches!(stage, Stage::Push | Stage::Commit),
        }
    }
}

/// What came of it, for the log.
#[derive(Debug)]
enum Outcome {
    Sent,
    NoNews,
    /// No schedule, or no definition any more: there is nobody to tell.
    Gone,
    Stale,
}

#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Publisher {
    /// `settings` are those with which definitions are projected everywhere.
    #[must_use]
    pub fn new(schedules: ScheduleClient, store: Store, settings: ProjectionSettings) -> Self {
        Self { schedules, store, settings }
    }

    /// Publishes what a commit means.
    pub async fn committed(&self, connection: &ConnectionId, receipt: &Receipt) {
        let number = Some(receipt.number);
        let newest = Newest {
            known: Known { committed: number, entered: number },
            complete_as_of: Some(receipt.complete_as_of),
        };
        let ending = Ending::Committed { sent_count: receipt.push.sent() };
        self.publish(connection, Health::of_commit(receipt), newest, ending).await;
    }

    /// Publishes what the end of a run means that did not commit, in a stage.
    pub async fn ended(&self, connection: &ConnectionId, health: Health, stage: Stage) {
        let newest = match Log::open(&self.store.connection(connection)).await {
            Ok(log) => Newest::of(&log),
            Err(error) => {
                tracing::warn!(error = %error, "the commit log cannot be read");
                Newest::default()
            }
        };
        self.publish(connection, health, newest, Ending::Failed { stage }).await;
    }

    /// Costs a describe, and an update if it is news.
    async fn publish(
        &self,
        connection: &ConnectionId,
        health: Health,
        newest: Newest,
        ending: Ending,
    ) {
        match self.try_publish(connection, health, newest, ending).await {
            Ok(outcome) => tracing::debug!(?outcome, %health, "published"),
            Err(error) => tracing::warn!(
                error = %error,
                "how the connection is doing could not be published; the next run does it"
            ),
        }
    }

    async fn try_publish(
        &self,
        connection: &ConnectionId,
        health: Health,
        newest: Newest,
        ending: Ending,
    ) -> Result<Outcome, PublishError> {
        let seen = match self.schedules.describe(connection).await {
            Err(ScheduleError::NotFound { .. }) => return Ok(Outcome::Gone),
            described => described?,
        };
        // Read after the schedule was looked at: if a newer definition is applied after this, its
        // update makes the look stale, and nothing older can be written over it.
        let stored = definitions::newest(&self.store.connection(connection)).await?;
        let Some((version, definition)) =
            stored.and_then(|stored| Some((stored.version, stored.definition?)))
        else {
            return Ok(Outcome::Gone);
        };
        let created_at = seen.created_at.unwrap_or_else(Timestamp::now);
        let mut standing = standing(&definition, health, newest, created_at, seen.resumed_at());
        // A commit may be one over a store that went back in time and was accepted as it is. A run
        // that failed because of it must not make the next one forget.
        if matches!(ending, Ending::Failed { .. }) {
            standing.known = standing.known.or_newer(seen.known);
        }
        let projection = Projection::new(&definition, version, &self.settings);
        let is_news = seen.known.committed > standing.known.committed
            || seen.known.entered > standing.known.entered
            || ending.must_be_known() && seen.known != standing.known
            || is_news(&standing, &seen.attributes, definition.max_lag());
        if seen.matches(&projection) && !is_news {
            return Ok(Outcome::NoNews);
        }
        Ok(match self.schedules.publish(&projection, &standing, &seen).await? {
            Published::Sent => Outcome::Sent,
            Published::Stale => Outcome::Stale,
            Published::Gone => Outcome::Gone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn published(health: Health, deadline: &str) -> ScheduleAttributes {
        ScheduleAttributes {
            health: Some(health),
            lag_deadline: Some(at(deadline)),
            ..ScheduleAttributes::default()
        }
    }

    fn standing_until(health: Health, deadline: &str) -> Standing {
        Standing {
            health,
            synced_through: None,
            lag_deadline: at(deadline),
            known: Known::default(),
        }
    }

    #[test]
    fn a_deadline_that_hardly_moved_is_no_news() {
        let three_hours = Duration::from_hours(3);
        let before = published(Health::InStep, "2026-11-21T10:00:00Z");
        let news =
            |health, deadline| is_news(&standing_until(health, deadline), &before, three_hours);
        assert!(!news(Health::InStep, "2026-11-21T10:44:59Z"));
        assert!(news(Health::InStep, "2026-11-21T10:45:00Z"));
        assert!(news(Health::InStep, "2026-11-21T09:15:00Z"), "an edit can bring it forward");
        assert!(news(Health::Failing, "2026-11-21T10:00:00Z"));
    }

    #[test]
    fn short_deadlines_are_published_every_five_minutes_at_most() {
        let before = published(Health::InStep, "2026-11-21T10:00:00Z");
        let news = |deadline| {
            is_news(&standing_until(Health::InStep, deadline), &before, Duration::from_mins(2))
        };
        assert!(!news("2026-11-21T10:04:59Z"));
        assert!(news("2026-11-21T10:05:00Z"));
    }

    #[test]
    fn nothing_published_yet_is_news() {
        let standing = standing_until(Health::New, "2026-11-21T10:00:00Z");
        assert!(is_news(&standing, &ScheduleAttributes::default(), Duration::from_hours(3)));
    }
}
