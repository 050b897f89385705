//! What an open run is doing now.

use jiff::Timestamp;
use serde::Serialize;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::enums::v1::{
    PendingActivityState, PendingWorkflowTaskState, WorkflowExecutionStatus,
};
use temporalio_common::protos::temporal::api::workflow::v1::PendingActivityInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
};
use tidemark_activities::schedule::RunRef;
use tidemark_model::progress::{Progress, Stage};
use tidemark_workflows::sync::HeartbeatDetails;
use uuid::Uuid;

use crate::error::Error;
use crate::session::Temporal;
use crate::ui::text::{cut, grouped};
use crate::ui::time::{age, relative, rough};

/// A run at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Open {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    pub(crate) started_at: Option<Timestamp>,
    /// It is over; what follows is its last state.
    pub(crate) closed: bool,
    /// The step that is due or under way; absent between two steps.
    pub(crate) step: Option<Step>,
    /// Since when no worker has taken the decision about its next step.
    pub(crate) undecided_since: Option<Timestamp>,
}

/// A step of an open run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Absent for a step that this version does not know.
    pub(crate) stage: Option<Stage>,
    /// Whether a worker has taken it.
    pub(crate) taken: bool,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) worker: Option<String>,
    pub(crate) progress: Option<Progress>,
    /// Why the attempt before failed.
    pub(crate) last_failure: Option<String>,
    /// When the next attempt is made, if it waits for that.
    pub(crate) next_attempt_at: Option<Timestamp>,
}

impl Temporal {
    /// Looks at a run.
    ///
    /// # Errors
    /// No such run, or no answer.
    pub(crate) async fn look_at(&self, run: &RunRef) -> Result<Open, Error> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            execution: Some(execution(run)),
        };
        let described = self
            .client
            .clone()
            .describe_workflow_execution(request.into_request())
            .await
            .map_err(|status| self.failed_to("describe a run", status))?;
        Ok(Open::of(run, described.into_inner()))
    }

    /// Asks a run to end at its next durable page or batch.
    ///
    /// # Errors
    /// No such run (it may just have ended), or no answer.
    pub(crate) async fn request_cancel(&self, run: &RunRef, reason: &str) -> Result<(), Error> {
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            workflow_execution: Some(execution(run)),
            identity: self.client.connection().identity().to_owned(),
            request_id: Uuid::new_v4().to_string(),
            reason: reason.to_owned(),
            ..RequestCancelWorkflowExecutionRequest::default()
        };
        self.client
            .clone()
            .request_cancel_workflow_execution(request.into_request())
            .await
            .map(drop)
            .map_err(|status| self.failed_to("cancel a run", status))
    }
}

/// A run in the words of Temporal's messages.
pub(super) fn execution(run: &RunRef) -> WorkflowExecution {
    WorkflowExecution { workflow_id: run.workflow_id.clone(), run_id: run.run_id.clone() }
}

impl Open {
    fn of(run: &RunRef, described: DescribeWorkflowExecutionResponse) -> Self {
        let info = described.workflow_execution_info.unwrap_or_default();
        Self {
            workflow_id: run.workflow_id.clone(),
            run_id: info.execution.map_or_else(|| run.run_id.clone(), |one| one.run_id),
            started_at: info.start_time.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
            closed: info.status != i32::from(WorkflowExecutionStatus::Running),
            step: described.pending_activities.first().map(Step::of),
            undecided_since: described
                .pending_workflow_task
                .filter(|task| task.state == i32::from(PendingWorkflowTaskState::Scheduled))
                .and_then(|task| task.scheduled_time)
                .and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
        }
    }

    /// What it does, in one line: `read 12,000 of 50,000 rows, ends in 40s`.
    pub(crate) fn sentence(&self, now: Timestamp) -> String {
        match (&self.step, self.undecided_since) {
            (Some(step), _) => step.sentence(now),
            (None, Some(since)) => format!("waits for a worker, {} so far", age(now, since)),
            (None, None) => "between two steps".to_owned(),
        }
    }
}

impl Step {
    fn of(pending: &PendingActivityInfo) -> Self {
        let name = pending.activity_type.as_ref().map_or("", |kind| kind.name.as_str());
        let told: Option<HeartbeatDetails> = pending
            .heartbeat_details
            .as_ref()
            .and_then(|details| details.payloads.first())
            .and_then(|payload| serde_json::from_slice(&payload.data).ok());
        let progress = told.and_then(|told| told.progress);
        let worker = &pending.last_worker_identity;
        Self {
            stage: stage(name).or(progress.as_ref().map(|progress| progress.stage)),
            taken: pending.state == i32::from(PendingActivityState::Started),
            attempt: u32::try_from(pending.attempt).unwrap_or(1).max(1),
            worker: (!worker.is_empty()).then(|| worker.clone()),
            progress,
            last_failure: pending.last_failure.as_ref().map(|failure| failure.message.clone()),
            next_attempt_at: pending
                .next_attempt_schedule_time
                .as_ref()
                .and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()),
        }
    }

    fn sentence(&self, now: Timestamp) -> String {
        let stage = self.stage.map_or("step", Stage::as_str);
        let mut text = match &self.progress {
            None => stage.to_owned(),
            Some(progress) => progress_sentence(stage, progress, now),
        };
        if !self.taken && self.next_attempt_at.is_none() {
            text += ", waits for a worker";
        }
        if self.attempt > 1 {
            text += &format!(", attempt {}", self.attempt);
        }
        if let Some(at) = self.next_attempt_at.filter(|at| *at > now) {
            text += &format!(", goes on {}", relative(now, at));
            if let Some(failure) = &self.last_failure {
                text += &format!(" ({})", cut(failure, 120));
            }
        }
        text
    }
}

pub(crate) fn progress_sentence(stage: &str, progress: &Progress, now: Timestamp) -> String {
    let noun = if progress.stage == Stage::Push { "records" } else { "rows" };
    let mut text = match progress.row_total {
        Some(total) => {
            format!("{stage} {} of {} {noun}", grouped(progress.row_count), grouped(total))
        }
        None => format!("{stage} {} {noun}", grouped(progress.row_count)),
    };
    if let Some(end_at) = progress.expected_end_at.filter(|at| *at > now) {
        let left = end_at.duration_since(now).unsigned_abs();
        text += &format!(", about {} left", rough(left));
    }
    if let Some(reason) = &progress.waiting_for {
        text += &format!(", waits for {reason}");
        if let Some(until) = progress.waiting_until {
            text += &format!(" ({})", relative(now, until));
        }
    }
    text
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
