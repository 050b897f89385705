//! How long each step may take, how it is retried, and what the Web UI calls it.

use std::time::Duration;

use temporalio_common::{ActivityCloseTimeouts, RetryPolicy};
use temporalio_workflow::{ActivityCancellationType, ActivityOptions, WorkflowCancellationToken};
use tidemark_model::step::Timing;

/// What Temporal waits after an attempt that said nothing, at first and at most. A failure that
/// an activity reports carries its own delay.
const RETRY_INITIAL: Duration = Duration::from_secs(1);
const RETRY_MAXIMUM: Duration = Duration::from_secs(60);
/// A note about a run that ended is worth some minutes, and not the run's place in the queue.
const END_DEADLINE: Duration = Duration::from_mins(5);
const END_ATTEMPT: Duration = Duration::from_secs(60);
/// The most that Temporal takes as a summary.
const SUMMARY_BYTES: usize = 400;

/// A step that is retried until the run's deadline.
///
/// A cancelled step is waited for: it ends after its page or batch, and until then no other run
/// may take it for dead.
pub(crate) fn step(timing: Timing, summary: String) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: timing.deadline,
        start_to_close: timing.deadline,
    })
    .heartbeat_timeout(timing.heartbeat_timeout)
    .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
    .retry_policy(retry())
    .summary(cut(summary))
    .build()
}

/// The note about a run that ended, which is written for a cancelled run as well.
pub(super) fn end(summary: String) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        schedule_to_close: END_DEADLINE,
        start_to_close: END_ATTEMPT,
    })
    .cancellation_token(WorkflowCancellationToken::new())
    .retry_policy(retry())
    .summary(cut(summary))
    .build()
}

fn retry() -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(RETRY_INITIAL)
        .backoff_coefficient(2.0)
        .maximum_interval(RETRY_MAXIMUM)
        .build()
}

fn cut(mut summary: String) -> String {
    summary.truncate(summary.floor_char_boundary(SUMMARY_BYTES));
    summary
}
