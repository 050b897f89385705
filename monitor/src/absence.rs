//! What a monitor that was away can still see of the time in between: when runs ended.

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::definitions;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::ScheduleFilter;

use crate::{
    look::{LookError, Looker},
    rules::Activity,
};

/// So many connections are asked about: enough that a silence of all of them is no chance.
const SAMPLE: usize = 100;

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
    let defined = definitions::newest_of(looker.store(), sample).await?;
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
