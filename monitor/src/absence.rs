//! What a monitor that was away can still see of the time in between: when runs ended.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tidemark_engine::definitions::{self, StoredDefinition};
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::ScheduleFilter;

use crate::{
    look::{LookError, Looker, unreadable},
    rules::Activity,
};

/// So many connections are asked about: enough that a silence of all of them is no chance.
const SAMPLE: usize = 100;

/// Definitions that are read at once.
const SIMULTANEOUS: usize = 16;

/// The runs of a sample of connections that ended since `since`; `None` if there were too many to
/// be listed, so that nothing can be concluded from a gap.
///
/// # Errors
/// The store or Temporal does not answer.
pub(crate) async fn activity(
    looker: &Looker,
    since: Timestamp,
) -> Result<Option<Activity>, LookError> {
    let running = ScheduleFilter { paused: Some(false), ..ScheduleFilter::default() };
    let listed = looker.schedules().list(&running).await?;
    // Spread over all of them: neighbours are of one account.
    let step = listed.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<ConnectionId> =
        listed.into_iter().step_by(step).map(|listed| listed.connection).collect();
    let store = looker.store();
    let defined: Vec<(ConnectionId, StoredDefinition)> = stream::iter(sample)
        .map(|id| async move {
            let stored = definitions::newest(&store.connection(&id)).await;
            match stored {
                Ok(stored) => Ok(stored.map(|stored| (id, stored))),
                // It says nothing of the workers, and is told of by itself.
                Err(error) if unreadable(&error) => Ok(None),
                Err(error) => Err(LookError::from(error)),
            }
        })
        .buffered(SIMULTANEOUS)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await?;
    let (mut connections, mut runs_per_hour) = (Vec::new(), 0.0);
    for (connection, stored) in defined {
        let Some(definition) = stored.definition else { continue };
        let schedule = definition.schedule();
        let longest = schedule.interval_longest() + schedule.jitter();
        // What was made lately had no runs to end.
        if stored.applied_at < since {
            runs_per_hour += SignedDuration::from_hours(1).as_secs_f64() / longest.as_secs_f64();
            connections.push(connection);
        }
    }
    let ended = looker.schedules().ended_since(&connections, since).await?;
    Ok(ended.map(|ended_at| Activity { ended_at, runs_per_hour }))
}
