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
        (None, None) if run.rests => {
            "waits until nothing that an earlier run sent can take effect any more".to_owned()
        }
        (None, None) => "between two steps".to_owned(),
    }
}

fn step_sentence(step: &OpenStep, now: Timestamp) -> String {
    let stage = step.stage.map_or("step", Stage::as_str);
    let goes_on_at = step.next_attempt_at.filter(|at| *at > now);
    let mut text = match &step.progress {
        None => stage.to_owned(),
        // Between two attempts, the failure of the last one says what is waited for.
        Some(progress) if goes_on_at.is_some() => count_sentence(stage, progress),
        Some(progress) => progress_sentence(stage, progress, now),
    };
    if !step.taken && step.next_attempt_at.is_none() {
        text += ", waits for a worker";
    }
    if step.attempt > 1 {
        text += &format!(", attempt {}", step.attempt);
    }
    if let Some(at) = goes_on_at {
        text += &format!(", goes on {}", relative(now, at));
        if let Some(failure) = &step.last_failure {
            text += &format!(" ({})", cut(failure, 120));
        }
    }
    text
}

fn count_sentence(stage: &str, progress: &Progress) -> String {
    let noun = if progress.stage == Stage::Push { "records" } else { "rows" };
    match progress.row_total {
        Some(total) => {
            format!("{stage} {} of {} {noun}", grouped(progress.row_count), grouped(total))
        }
        None => format!("{stage} {} {noun}", grouped(progress.row_count)),
    }
}

pub(crate) fn progress_sentence(stage: &str, progress: &Progress, now: Timestamp) -> String {
    let mut text = count_sentence(stage, progress);
    if let Some(end_at) = progress.expected_end_at.filter(|at| *at > now) {
        let left = end_at.duration_since(now).unsigned_abs();
        text += &format!(", about {} left", rough(left));
    }
    let waits = progress.waiting_until.is_none_or(|until| until > now);
    if let Some(reason) = progress.waiting_for.as_ref().filter(|_| waits) {
        text += &format!(", waits for {reason}");
        if let Some(until) = progress.waiting_until {
            text += &format!(" ({})", relative(now, until));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_step_waits_for_is_said_once() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let refused = "the source takes no more requests for now";
        let progress = Progress {
            waiting_for: Some(refused.to_owned()),
            waiting_until: Some(at("2026-03-01T10:00:30Z")),
            ..Progress::new(Stage::Read, 3_000, Some(5_000))
        };
        let step = OpenStep {
            stage: Some(Stage::Read),
            progress: Some(progress),
            attempt: 2,
            taken: false,
            worker: None,
            moved_at: None,
            heard_at: None,
            last_failure: Some(refused.to_owned()),
            timed_out: false,
            failure: None,
            next_attempt_at: Some(at("2026-03-01T10:00:30Z")),
        };
        assert_eq!(
            step_sentence(&step, at("2026-03-01T10:00:00Z")),
            format!("read 3,000 of 5,000 rows, attempt 2, goes on in 30s ({refused})")
        );
        // The next attempt has not said anything yet.
        let step = OpenStep { taken: true, next_attempt_at: None, ..step };
        assert_eq!(
            step_sentence(&step, at("2026-03-01T10:00:31Z")),
            "read 3,000 of 5,000 rows, attempt 2"
        );
    }
}
