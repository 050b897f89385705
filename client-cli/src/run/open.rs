//! What an open run is doing now, in words.

use jiff::Timestamp;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::workflowservice::v1::RequestCancelWorkflowExecutionRequest;
use tidemark_model::progress::{Progress, Stage};
use tidemark_schedules::{OpenRun, OpenStep, RunRef};
use uuid::Uuid;

use crate::error::Error;
use crate::session::Temporal;
use crate::ui::text::{cut, grouped};
use crate::ui::time::{age, relative, rough};

impl Temporal {
    /// Asks a run to end at its next durable page or batch.
    ///
    /// # Errors
    /// No such run (it may just have ended), or no answer.
    pub(crate) async fn request_cancel(&self, run: &RunRef, reason: &str) -> Result<(), Error> {
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            workflow_execution: Some(run.into()),
            identity: self.client.connection().identity().to_owned(),
            request_id: Uuid::new_v4().to_string(),
            reason: reason.to_owned(),
            ..RequestCancelWorkflowExecutionRequest::default()
        };
        let mut client = self.client.clone();
        self.unless_silent(client.request_cancel_workflow_execution(request.into_request()))
            .await?
            .map(drop)
            .map_err(|status| self.failed_to("cancel a run", status))
    }
}

/// What it does, in one line: `read 12,000 of 50,000 rows, ends in 40s`.
pub(crate) fn open_sentence(run: &OpenRun, now: Timestamp) -> String {
    match (&run.step, run.undecided_since) {
        (Some(step), _) => step_sentence(step, now),
        (None, Some(since)) => format!("waits for a worker, {} so far", age(now, since)),
        (None, None) => "between two steps".to_owned(),
    }
}

fn step_sentence(step: &OpenStep, now: Timestamp) -> String {
    let stage = step.stage.map_or("step", Stage::as_str);
    let mut text = match &step.progress {
        None => stage.to_owned(),
        Some(progress) => progress_sentence(stage, progress, now),
    };
    if !step.taken && step.next_attempt_at.is_none() {
        text += ", waits for a worker";
    }
    if step.attempt > 1 {
        text += &format!(", attempt {}", step.attempt);
    }
    if let Some(at) = step.next_attempt_at.filter(|at| *at > now) {
        text += &format!(", goes on {}", relative(now, at));
        if let Some(failure) = &step.last_failure {
            text += &format!(" ({})", cut(failure, 120));
        }
    }
    text
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
