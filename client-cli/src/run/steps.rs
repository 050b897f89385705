//! The steps that a run took, as its history tells them: how many attempts each needed, and why.

use std::collections::BTreeMap;

use serde::Serialize;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::failure::v1::Failure as Reported;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_common::protos::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;
use tidemark_schedules::RunRef;

use crate::error::Error;
use crate::session::Temporal;
use crate::ui::table::Cell;
use crate::ui::text::cut;

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StepTaken {
    /// The activity's name: `read_source`.
    step: String,
    /// Absent while it is under way: `inspect` and `watch` show its attempts then.
    attempt_count: Option<u32>,
    /// What ended the attempt before the last one, or the last one if it failed as well.
    last_failure: Option<String>,
}

impl StepTaken {
    pub(crate) const COLUMNS: &'static [&'static str] = &["STEP", "ATTEMPTS", "LAST FAILURE"];

    pub(crate) fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(&self.step),
            Cell::or_none(self.attempt_count.map(|count| count.to_string())).right(),
            Cell::or_none(self.last_failure.as_deref().map(|failure| cut(failure, 120))),
        ]
    }
}

impl Temporal {
    /// The steps of a run, in their order; none if Temporal has forgotten the run.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn steps(&self, run: &RunRef) -> Result<Vec<StepTaken>, Error> {
        let mut request = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace.clone(),
            execution: Some(run.into()),
            skip_archival: true,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let mut client = self.client.clone();
        let mut steps = BTreeMap::new();
        loop {
            let page = client.get_workflow_execution_history(request.clone().into_request());
            let answer = self.unless_silent(page).await?;
            let answer = match answer {
                Ok(answer) => answer.into_inner(),
                Err(status) if status.code() == Code::NotFound => return Ok(Vec::new()),
                Err(status) => return Err(self.failed_to("read the history of a run", status)),
            };
            for event in answer.history.unwrap_or_default().events {
                note(&mut steps, event);
            }
            if answer.next_page_token.is_empty() {
                return Ok(steps.into_values().collect());
            }
            request.next_page_token = answer.next_page_token;
        }
    }
}

/// Takes an event into account. A step is known by the event that scheduled it.
fn note(steps: &mut BTreeMap<i64, StepTaken>, event: HistoryEvent) {
    let mut failed = |scheduled: i64, failure: Option<Reported>| {
        if let (Some(step), Some(failure)) = (steps.get_mut(&scheduled), failure) {
            step.last_failure = Some(failure.message);
        }
    };
    match event.attributes {
        Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => {
            let step = scheduled.activity_type.map(|kind| kind.name).unwrap_or_default();
            let taken = StepTaken { step, attempt_count: None, last_failure: None };
            steps.insert(event.event_id, taken);
        }
        Some(Attributes::ActivityTaskStartedEventAttributes(started)) => {
            failed(started.scheduled_event_id, started.last_failure);
            if let Some(step) = steps.get_mut(&started.scheduled_event_id) {
                step.attempt_count = u32::try_from(started.attempt).ok();
            }
        }
        Some(Attributes::ActivityTaskFailedEventAttributes(ended)) => {
            failed(ended.scheduled_event_id, ended.failure);
        }
        Some(Attributes::ActivityTaskTimedOutEventAttributes(ended)) => {
            failed(ended.scheduled_event_id, ended.failure);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::common::v1::ActivityType;
    use temporalio_common::protos::temporal::api::history::v1::{
        ActivityTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes,
    };

    use super::*;

    fn failure(message: &str) -> Option<Reported> {
        Some(Reported { message: message.to_owned(), ..Reported::default() })
    }

    #[test]
    fn a_step_has_its_attempts_and_its_last_failure() {
        let mut steps = BTreeMap::new();
        let events = [
            Attributes::ActivityTaskScheduledEventAttributes(
                ActivityTaskScheduledEventAttributes {
                    activity_type: Some(ActivityType { name: "read_source".to_owned() }),
                    ..Default::default()
                },
            ),
            Attributes::ActivityTaskStartedEventAttributes(ActivityTaskStartedEventAttributes {
                scheduled_event_id: 1,
                attempt: 3,
                last_failure: failure("the source did not answer"),
                ..Default::default()
            }),
        ];
        for (id, attributes) in (1..).zip(events) {
            let event = HistoryEvent {
                event_id: id,
                attributes: Some(attributes),
                ..HistoryEvent::default()
            };
            note(&mut steps, event);
        }
        let expected = StepTaken {
            step: "read_source".to_owned(),
            attempt_count: Some(3),
            last_failure: Some("the source did not answer".to_owned()),
        };
        assert_eq!(steps[&1], expected);

        let last = ActivityTaskFailedEventAttributes {
            scheduled_event_id: 1,
            failure: failure("the key was refused"),
            ..Default::default()
        };
        let attributes = Some(Attributes::ActivityTaskFailedEventAttributes(last));
        note(&mut steps, HistoryEvent { event_id: 3, attributes, ..HistoryEvent::default() });
        assert_eq!(steps[&1].last_failure.as_deref(), Some("the key was refused"));
    }
}
