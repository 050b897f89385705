//! What a run is doing now.

use jiff::Timestamp;
use serde::Serialize;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::{
    common::v1::WorkflowExecution,
    enums::v1::{PendingActivityState, PendingWorkflowTaskState, WorkflowExecutionStatus},
    workflow::v1::PendingActivityInfo,
    workflowservice::v1::{DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse},
};
use tidemark_model::{
    failure::Failure,
    progress::{Progress, Stage},
};
use tidemark_workflows::sync::{HeartbeatDetails, StepFailure};

use crate::payload::{failure_details, from_json, timed_out, timestamp};
use crate::{Operation, RunRef, ScheduleClient, ScheduleError};

/// A run at one instant.
#[derive(Clone, Debug, Serialize)]
pub struct OpenRun {
    pub workflow_id: String,
    pub run_id: String,
    pub started_at: Option<Timestamp>,
    /// It is over; what follows is its last state.
    pub closed: bool,
    /// The step that is due or under way; absent between two steps.
    pub step: Option<OpenStep>,
    /// Since when no worker has taken the decision about its next step.
    pub undecided_since: Option<Timestamp>,
    /// It waits until nothing that an earlier run sent can take effect any more: that is the only
    /// timer of a run.
    pub rests: bool,
}

/// A step of an open run.
#[derive(Clone, Debug, Serialize)]
pub struct OpenStep {
    /// Absent for a step that this version does not know.
    pub stage: Option<Stage>,
    /// Whether a worker has taken it.
    pub taken: bool,
    /// From 1.
    pub attempt: u32,
    pub worker: Option<String>,
    pub progress: Option<Progress>,
    /// When the last durable page or batch was written; before the first one, when the step began.
    pub moved_at: Option<Timestamp>,
    /// When a worker last took it or gave a sign of life at it, by Temporal's clock.
    #[serde(skip)]
    pub heard_at: Option<Timestamp>,
    /// Why the attempt before failed.
    pub last_failure: Option<String>,
    /// Whether that was no word of the step: Temporal waited in vain, as after the end of a worker.
    #[serde(skip)]
    pub timed_out: bool,
    /// The same as the step itself said it.
    #[serde(skip)]
    pub failure: Option<Failure>,
    /// When the next attempt is made, if it waits for that.
    pub next_attempt_at: Option<Timestamp>,
}

impl ScheduleClient {
    /// Looks at a run.
    ///
    /// # Errors
    /// No such run, or no answer.
    pub async fn look_at(&self, run: &RunRef) -> Result<OpenRun, ScheduleError> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.namespace().to_owned(),
            execution: Some(WorkflowExecution::from(run)),
        };
        let described = self
            .call(WorkflowService::describe_workflow_execution, request)
            .await
            .map_err(ScheduleError::of(Operation::general("describe a run")))?;
        Ok(OpenRun::of(run, described))
    }
}

impl OpenRun {
    fn of(run: &RunRef, described: DescribeWorkflowExecutionResponse) -> Self {
        let info = described.workflow_execution_info.unwrap_or_default();
        let closed = info.status != i32::from(WorkflowExecutionStatus::Running);
        let rests = described.pending_activities.is_empty()
            && described.pending_workflow_task.is_none()
            && !closed;
        Self {
            workflow_id: run.workflow_id.clone(),
            run_id: info.execution.map_or_else(|| run.run_id.clone(), |one| one.run_id),
            started_at: info.start_time.and_then(|at| timestamp(at.seconds, at.nanos)),
            closed,
            rests,
            step: described.pending_activities.first().map(OpenStep::of),
            undecided_since: described
                .pending_workflow_task
                .filter(|task| task.state == i32::from(PendingWorkflowTaskState::Scheduled))
                .and_then(|task| task.scheduled_time)
                .and_then(|at| timestamp(at.seconds, at.nanos)),
        }
    }
}

impl OpenStep {
    fn of(pending: &PendingActivityInfo) -> Self {
        let name = pending.activity_type.as_ref().map_or("", |kind| kind.name.as_str());
        let told: Option<HeartbeatDetails> = pending
            .heartbeat_details
            .as_ref()
            .and_then(|details| details.payloads.first())
            .and_then(from_json);
        let moved_at = told.as_ref().and_then(|told| told.moved_at);
        let progress = told.and_then(|told| told.progress);
        let failure = pending.last_failure.as_ref();
        let worker = &pending.last_worker_identity;
        let began_at = pending.last_started_time.as_ref();
        let began_at = began_at.and_then(|at| timestamp(at.seconds, at.nanos));
        let beat_at = pending.last_heartbeat_time.as_ref();
        let beat_at = beat_at.and_then(|at| timestamp(at.seconds, at.nanos));
        Self {
            stage: stage(name).or(progress.as_ref().map(|progress| progress.stage)),
            taken: pending.state == i32::from(PendingActivityState::Started),
            attempt: u32::try_from(pending.attempt).unwrap_or(1).max(1),
            worker: (!worker.is_empty()).then(|| worker.clone()),
            progress,
            moved_at: moved_at.or(began_at),
            heard_at: beat_at.max(began_at),
            last_failure: failure.map(|failure| failure.message.clone()),
            timed_out: failure.is_some_and(timed_out),
            failure: failure.and_then(failure_details::<StepFailure>).map(|step| step.failure),
            next_attempt_at: pending
                .next_attempt_schedule_time
                .as_ref()
                .and_then(|at| timestamp(at.seconds, at.nanos)),
        }
    }
}

/// The step that an activity carries out.
fn stage(activity: &str) -> Option<Stage> {
    match activity {
        "read_source" => Some(Stage::Read),
        "compute_changes" => Some(Stage::Compute),
        "push_changes" => Some(Stage::Push),
        "commit" => Some(Stage::Commit),
        _ => None,
    }
}
