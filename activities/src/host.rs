//! The engine's host inside an activity: clocks, stops, progress, and other runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use temporalio_client::{
    Connection,
    tonic::{Code, IntoRequest as _},
};
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::WorkflowExecutionStatus,
    workflowservice::v1::DescribeWorkflowExecutionRequest,
};
use tidemark_engine::port::{Clock, Host, Stop, SystemClock};
use tidemark_model::{
    entry::Owner,
    progress::{Progress, Stage},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::heartbeat::Heart;

/// A question about another run that is not answered within this time counts as yes.
const IS_OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The host of one attempt.
pub(crate) struct ActivityHost {
    clock: SystemClock,
    owner: Owner,
    heart: Arc<Heart>,
    /// Set when the worker goes down.
    draining: CancellationToken,
    connection: Connection,
    started: Instant,
    rows: Mutex<Rows>,
}

/// What the reports of an attempt say of its rows.
struct Rows {
    /// At the first report of this attempt.
    first: Option<u64>,
    /// The most that are known of, by all attempts.
    most: u64,
}

impl Rows {
    /// Before the first report. What earlier attempts did is no news when this one finds it again;
    /// a comparison keeps nothing, and begins anew.
    fn after(earlier: u64, stage: Stage) -> Self {
        Self { first: None, most: if stage == Stage::Compute { 0 } else { earlier } }
    }

    /// Takes note of a report: the rows done by this attempt alone, and whether some are new.
    fn take(&mut self, row_count: u64) -> (u64, bool) {
        let first = *self.first.get_or_insert(row_count);
        let moved = row_count > self.most;
        self.most = row_count.max(self.most);
        (row_count.saturating_sub(first), moved)
    }
}

impl ActivityHost {
    pub(crate) fn new(
        owner: Owner,
        heart: Arc<Heart>,
        draining: CancellationToken,
        connection: Connection,
        stage: Stage,
    ) -> Self {
        Self {
            clock: SystemClock::default(),
            owner,
            rows: Mutex::new(Rows::after(heart.row_count(), stage)),
            heart,
            draining,
            connection,
            started: Instant::now(),
        }
    }

    /// Takes note of the rows; the rows done by this attempt alone.
    fn count(&self, row_count: u64) -> u64 {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, moved) = rows.take(row_count);
        if moved {
            // A page or batch is durable since the last report: failures are counted anew.
            self.heart.moved(row_count);
        }
        done
    }
}

#[async_trait]
impl Host for ActivityHost {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        self.heart
            .permission()
            .stop()
            .or_else(|| self.draining.is_cancelled().then_some(Stop::Draining))
    }

    async fn stopped(&self) {
        tokio::select! {
            () = self.draining.cancelled() => {}
            () = self.heart.permission().stopped() => {}
        }
    }

    fn report(&self, progress: Progress) {
        let done = self.count(progress.row_count);
        self.heart.tell(with_pace(progress, done, self.started.elapsed(), Timestamp::now()));
    }

    async fn is_open(&self, owner: &Owner) -> bool {
        is_open(&self.connection, owner).await
    }
}

/// Whether a workflow run may still be at work. No answer means yes.
pub async fn is_open(connection: &Connection, owner: &Owner) -> bool {
    let mut request = DescribeWorkflowExecutionRequest {
        namespace: owner.namespace.clone(),
        execution: Some(WorkflowExecution {
            workflow_id: owner.workflow_id.clone(),
            run_id: owner.run_id.clone(),
        }),
    }
    .into_request();
    request.set_timeout(IS_OPEN_TIMEOUT);
    match connection.workflow_service().describe_workflow_execution(request).await {
        Ok(described) => {
            let info = described.into_inner().workflow_execution_info;
            info.is_none_or(|info| info.status() == WorkflowExecutionStatus::Running)
        }
        // Long over, and its history is gone.
        Err(status) => status.code() != Code::NotFound,
    }
}

/// Adds the pace of this attempt and the end that follows from it, where the step said neither.
fn with_pace(mut progress: Progress, done: u64, elapsed: Duration, now: Timestamp) -> Progress {
    let seconds = elapsed.as_secs_f64();
    if progress.rows_per_second.is_none() && done > 0 && seconds > 0.0 {
        #[expect(clippy::cast_precision_loss, reason = "a pace for people")]
        let pace = done as f64 / seconds;
        // Two digits after the point are enough to look at.
        progress.rows_per_second = Some((pace * 100.0).round() / 100.0);
    }
    if let (None, Some(pace), Some(total)) =
        (progress.expected_end_at, progress.rows_per_second, progress.row_total)
        && pace > 0.0
    {
        #[expect(clippy::cast_precision_loss, reason = "a guess for people")]
        let left = total.saturating_sub(progress.row_count) as f64 / pace;
        let left = SignedDuration::try_from_secs_f64(left.round()).ok();
        progress.expected_end_at = left.and_then(|left| now.checked_add(left).ok());
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_moves_a_step_and_what_is_taken_up_again_does_not() {
        let mut first = Rows::after(0, Stage::Read);
        assert_eq!(first.take(1_000), (0, true));
        assert_eq!(first.take(2_000), (1_000, true));

        let mut second = Rows::after(2_000, Stage::Read);
        assert_eq!(second.take(1_000), (0, false));
        assert_eq!(second.take(2_000), (1_000, false));
        assert_eq!(second.take(3_000), (2_000, true));
    }

    #[test]
    fn a_push_moves_with_its_first_batch() {
        let mut rows = Rows::after(0, Stage::Push);
        // How far it is is told before anything is sent.
        assert_eq!(rows.take(0), (0, false));
        assert_eq!(rows.take(500), (500, true));
    }

    #[test]
    fn a_comparison_moves_although_an_earlier_one_came_further() {
        let mut rows = Rows::after(9_000, Stage::Compute);
        assert_eq!(rows.take(0), (0, false));
        assert_eq!(rows.take(4_000), (4_000, true));
    }

    #[test]
    fn the_end_is_expected_from_the_pace_of_this_attempt() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let progress = Progress::new(Stage::Read, 6_000, Some(10_000));
        // 5,000 of the 6,000 rows were staged by an earlier attempt.
        let progress = with_pace(progress, 1_000, Duration::from_secs(10), now);
        assert_eq!(progress.rows_per_second, Some(100.0));
        assert_eq!(progress.expected_end_at, Some("2026-11-21T10:00:40Z".parse().unwrap()));
    }

    #[test]
    fn without_a_total_no_end_is_expected() {
        let now = Timestamp::UNIX_EPOCH;
        let progress =
            with_pace(Progress::new(Stage::Push, 5, None), 5, Duration::from_secs(1), now);
        assert_eq!(progress.expected_end_at, None);
    }
}
