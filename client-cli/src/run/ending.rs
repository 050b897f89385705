//! How a run ended.

use serde::Serialize;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::request_extensions::NoRetryOnMatching;
use temporalio_client::tonic::{Code, IntoRequest as _, Status};
use temporalio_common::protos::temporal::api::common::v1::Payloads;
use temporalio_common::protos::temporal::api::enums::v1::HistoryEventFilterType;
use temporalio_common::protos::temporal::api::failure::v1::Failure as Reported;
use temporalio_common::protos::temporal::api::history::v1::HistoryEvent;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_common::protos::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;
use tidemark_model::failure::Failure;
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::{Outcome, Receipt};
use tidemark_model::step::SyncResult;
use tidemark_schedules::payload::failure_details;
use tidemark_schedules::{RunRef, is_lost};
use tidemark_workflows::sync::FailedRun;
use tokio::time::Instant;

use super::outage::Outage;
use super::receipt_sentence;
use crate::error::Error;
use crate::exit::Exit;
use crate::session::Temporal;

/// How a run ended, as its history says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Ending {
    Committed {
        receipt: Box<Receipt>,
    },
    Skipped {
        reason: String,
    },
    Cancelled,
    /// `texts` are those of Temporal's failure, outermost first, for a run that could not say
    /// more.
    Failed {
        failure: Option<Box<Failure>>,
        texts: Vec<String>,
    },
    Terminated {
        reason: String,
    },
    TimedOut,
}

impl Ending {
    /// What a caller that waited for the run ends with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Committed { receipt } => match receipt.outcome {
                Outcome::InStepExcept | Outcome::Held => Exit::InStepExcept,
                _ => Exit::Ok,
            },
            Self::Skipped { .. } => Exit::Skipped,
            Self::Cancelled | Self::Failed { .. } | Self::Terminated { .. } | Self::TimedOut => {
                Exit::Failed
            }
        }
    }

    /// The word for it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Committed { receipt } => receipt.outcome.as_str(),
            Self::Skipped { .. } => Outcome::Skipped.as_str(),
            Self::Cancelled => Outcome::Cancelled.as_str(),
            Self::Failed { .. } => "failed",
            Self::Terminated { .. } => "terminated",
            Self::TimedOut => "timed_out",
        }
    }

    /// What to say of it in a table: the word, and what was done.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Committed { receipt } => {
                format!("{}: {}", self.as_str(), receipt_sentence(receipt))
            }
            other => other.as_str().to_owned(),
        }
    }

    /// What is to be told of a run that is not green, or not entirely.
    pub(crate) fn error(&self, id: &ConnectionId, run: &RunRef) -> Option<Error> {
        let run_id = || run.run_id.clone();
        let (what, causes) = match self {
            Self::Committed { .. } => return None,
            Self::Failed { failure: Some(failure), .. } => {
                return Some(Error::RunFailed {
                    id: id.clone(),
                    run_id: run_id(),
                    failure: failure.clone(),
                });
            }
            Self::Failed { failure: None, texts } => ("failed".to_owned(), texts.clone()),
            Self::Skipped { reason } => (format!("was skipped: {reason}"), Vec::new()),
            Self::Cancelled => ("was cancelled".to_owned(), Vec::new()),
            Self::Terminated { reason } if reason.is_empty() => {
                ("was terminated".to_owned(), Vec::new())
            }
            Self::Terminated { reason } => (format!("was terminated: {reason}"), Vec::new()),
            Self::TimedOut => ("took longer than its deadline".to_owned(), Vec::new()),
        };
        Some(Error::RunEnded { id: id.clone(), run_id: run_id(), what, causes })
    }

    fn of(event: HistoryEvent) -> Option<Self> {
        Some(match event.attributes? {
            Attributes::WorkflowExecutionCompletedEventAttributes(completed) => {
                match result(completed.result.as_ref())? {
                    SyncResult::Committed(receipt) => Self::Committed { receipt },
                    SyncResult::Skipped { reason } => Self::Skipped { reason },
                }
            }
            Attributes::WorkflowExecutionFailedEventAttributes(failed) => {
                let reported = failed.failure.unwrap_or_default();
                let said = failure_details::<FailedRun>(&reported);
                let failure = said.map(|failed| Box::new(failed.failure));
                Self::Failed { failure, texts: texts(reported) }
            }
            Attributes::WorkflowExecutionCanceledEventAttributes(_) => Self::Cancelled,
            Attributes::WorkflowExecutionTerminatedEventAttributes(terminated) => {
                Self::Terminated { reason: terminated.reason }
            }
            Attributes::WorkflowExecutionTimedOutEventAttributes(_) => Self::TimedOut,
            _ => return None,
        })
    }
}

fn result(payloads: Option<&Payloads>) -> Option<SyncResult> {
    serde_json::from_slice(&payloads?.payloads.first()?.data).ok()
}

/// A failure's text and those of its causes, without what Temporal repeats.
fn texts(failure: Reported) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(Box::new(failure));
    while let Some(failure) = next {
        if !failure.message.is_empty() && texts.last() != Some(&failure.message) {
            texts.push(failure.message);
        }
        next = failure.cause;
    }
    texts
}

impl Temporal {
    /// Waits until a run is over.
    ///
    /// # Errors
    /// No such run, no answer, or a run that is no sync.
    pub(crate) async fn ending(&self, run: &RunRef) -> Result<Ending, Error> {
        Ending::of(self.last_event(run, "wait for a run").await?)
            .ok_or_else(|| Error::NotASync { workflow_id: run.workflow_id.clone() })
    }

    /// Waits until a workflow is over, and returns the event that says how. A connection that drops
    /// meanwhile, as when the server restarts, is made again.
    ///
    /// # Errors
    /// No such workflow, or no answer.
    pub(crate) async fn last_event(
        &self,
        run: &RunRef,
        operation: &'static str,
    ) -> Result<HistoryEvent, Error> {
        let mut message = GetWorkflowExecutionHistoryRequest {
            namespace: self.namespace.clone(),
            execution: Some(run.into()),
            wait_new_event: true,
            history_event_filter_type: HistoryEventFilterType::CloseEvent.into(),
            skip_archival: true,
            ..GetWorkflowExecutionHistoryRequest::default()
        };
        let mut client = self.client.clone();
        let mut outage = Outage::default();
        loop {
            let mut request = message.clone().into_request();
            // What is repeated here is not repeated by the client as well.
            let predicate = |status: &Status| is_lost(status.code());
            request.extensions_mut().insert(NoRetryOnMatching { predicate });
            let asked_at = Instant::now();
            let page = client.get_workflow_execution_history(request);
            let answer = match self.unless_silent(page).await? {
                Ok(answer) => answer.into_inner(),
                // The server answers a long wait with an empty page, a proxy with an error.
                Err(status) if status.code() == Code::DeadlineExceeded => {
                    outage.end();
                    continue;
                }
                Err(status) => {
                    if is_lost(status.code()) && outage.outlast(asked_at).await {
                        continue;
                    }
                    return Err(self.failed_to(operation, status));
                }
            };
            outage.end();
            if let Some(event) = answer.history.unwrap_or_default().events.pop() {
                return Ok(event);
            }
            message.next_page_token = answer.next_page_token;
        }
    }
}
