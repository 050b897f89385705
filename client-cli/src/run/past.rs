//! The runs of a connection: those that Temporal still knows, and those in the commit log.
//!
//! Temporal forgets runs after its retention; the log keeps only those that took a number. The
//! run id brings both together.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use jiff::Timestamp;
use serde::Serialize;
use temporalio_client::grpc::WorkflowService as _;
use temporalio_client::tonic::{Code, IntoRequest as _};
use temporalio_common::protos::temporal::api::enums::v1::WorkflowExecutionStatus;
use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest,
};
use tidemark_engine::log::{Log, LogEntry};
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::Hold;
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::Receipt;
use tidemark_model::step::EndedRun;
use tidemark_schedules::RunRef;
use tidemark_workflows::names;

use super::ended;
use crate::error::Error;
use crate::session::{Session, Temporal};
use crate::ui::output::Entry;
use crate::ui::table::{Cell, Tone};
use crate::ui::text::cut;
use crate::ui::time::{instant, rough};

/// A run of a connection, open or closed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// Absent for a run that ended before it took one.
    pub(crate) number: Option<RunNumber>,
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    /// `running`, an outcome, or Temporal's word for a run that did not get to say.
    pub(crate) outcome: String,
    /// Absent once Temporal has forgotten the run: the log does not know it.
    pub(crate) started_at: Option<Timestamp>,
    /// When what it was to send was ready, if it came so far.
    pub(crate) prepared_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) receipt: Option<Receipt>,
    /// The removals that it left waiting for an operator.
    pub(crate) hold: Option<Hold>,
    /// What the store keeps of a run that did not commit.
    pub(crate) ended: Option<EndedRun>,
}

impl Run {
    pub(crate) fn reference(&self) -> RunRef {
        RunRef { workflow_id: self.workflow_id.clone(), run_id: self.run_id.clone() }
    }

    pub(super) fn of_temporal(info: WorkflowExecutionInfo) -> Self {
        let at = |(seconds, nanos)| Timestamp::new(seconds, nanos).ok();
        let execution = info.execution.unwrap_or_default();
        let said = info
            .search_attributes
            .as_ref()
            .and_then(|attributes| attributes.indexed_fields.get(names::OUTCOME.name))
            .and_then(|payload| serde_json::from_slice::<String>(&payload.data).ok());
        let status = WorkflowExecutionStatus::try_from(info.status).unwrap_or_default();
        Self {
            number: None,
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            outcome: match (status, said) {
                (WorkflowExecutionStatus::Running, _) => "running".to_owned(),
                (_, Some(outcome)) => outcome,
                (WorkflowExecutionStatus::Canceled, None) => "cancelled".to_owned(),
                (WorkflowExecutionStatus::Terminated, None) => "terminated".to_owned(),
                (WorkflowExecutionStatus::TimedOut, None) => "timed_out".to_owned(),
                (WorkflowExecutionStatus::Failed, None) => "failed".to_owned(),
                (_, None) => "completed".to_owned(),
            },
            started_at: info.start_time.map(|time| (time.seconds, time.nanos)).and_then(at),
            prepared_at: None,
            ended_at: info.close_time.map(|time| (time.seconds, time.nanos)).and_then(at),
            receipt: None,
            hold: None,
            ended: None,
        }
    }

    pub(super) fn of_log(entry: &LogEntry) -> Self {
        let prepared = &entry.prepared;
        Self {
            number: Some(prepared.number),
            workflow_id: prepared.owner.workflow_id.clone(),
            run_id: prepared.owner.run_id.clone(),
            outcome: "prepared".to_owned(),
            started_at: None,
            prepared_at: None,
            ended_at: None,
            receipt: None,
            hold: None,
            ended: None,
        }
        .with(entry)
    }

    /// Takes over what the log says.
    pub(super) fn with(mut self, entry: &LogEntry) -> Self {
        self.number = Some(entry.prepared.number);
        self.prepared_at = Some(entry.prepared.prepared_at);
        if let Some(committed) = &entry.committed {
            if self.outcome == "prepared" {
                committed.receipt.outcome.as_str().clone_into(&mut self.outcome);
            }
            self.ended_at = self.ended_at.or(Some(committed.committed_at));
            self.receipt = Some(committed.receipt.clone());
            self.hold.clone_from(&committed.manifest.hold);
        }
        self
    }
}

/// The newest runs, newest first.
///
/// # Errors
/// Temporal or the store does not answer.
pub(crate) async fn recent(
    session: &Session,
    connection: &ConnectionId,
    limit: usize,
) -> Result<Vec<Run>, Error> {
    let folder = session.store().await?.connection(connection);
    let log = Log::open(&folder).await?;
    let entries = log.recent(limit).await?;
    let known = session.temporal().await?.runs_of(connection, limit).await?;
    let mut runs: BTreeMap<String, Run> =
        known.into_iter().map(|run| (run.run_id.clone(), run)).collect();
    for entry in &entries {
        let run = match runs.remove(&entry.prepared.owner.run_id) {
            Some(run) => run.with(entry),
            None => Run::of_log(entry),
        };
        runs.insert(run.run_id.clone(), run);
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.started_at.or(run.prepared_at)));
    runs.truncate(limit);
    try_join_all(runs.into_iter().map(|run| completed(session, connection, run))).await
}

/// Adds what the store keeps of a run that did not commit.
pub(super) async fn completed(
    session: &Session,
    connection: &ConnectionId,
    mut run: Run,
) -> Result<Run, Error> {
    if run.receipt.is_none() && run.outcome != "running" {
        run.ended = ended(session, connection, &run.reference()).await?;
        if let Some(ended) = &run.ended {
            run.number = run.number.or(ended.number);
            ended.outcome.as_str().clone_into(&mut run.outcome);
            run.ended_at = run.ended_at.or(Some(ended.ended_at));
        }
    }
    Ok(run)
}

impl Temporal {
    /// A run as Temporal knows it; `None` if it has forgotten it.
    ///
    /// # Errors
    /// No answer.
    pub(super) async fn known_run(&self, run: &RunRef) -> Result<Option<Run>, Error> {
        let request = DescribeWorkflowExecutionRequest {
            namespace: self.namespace.clone(),
            execution: Some(run.into()),
        };
        let mut client = self.client.clone();
        let described =
            self.unless_silent(client.describe_workflow_execution(request.into_request())).await?;
        match described {
            Ok(answer) => Ok(answer.into_inner().workflow_execution_info.map(Run::of_temporal)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.failed_to("describe a run", status)),
        }
    }

    async fn runs_of(&self, connection: &ConnectionId, limit: usize) -> Result<Vec<Run>, Error> {
        let request = ListWorkflowExecutionsRequest {
            namespace: self.namespace.clone(),
            page_size: i32::try_from(limit).unwrap_or(i32::MAX),
            // An id holds nothing that would end the text.
            query: format!("{} = '{connection}'", names::CONNECTION_ID.name),
            ..ListWorkflowExecutionsRequest::default()
        };
        let mut client = self.client.clone();
        let listed = self
            .unless_silent(client.list_workflow_executions(request.into_request()))
            .await?
            .map_err(|status| self.failed_to("list runs", status))?;
        Ok(listed.into_inner().executions.into_iter().map(Run::of_temporal).collect())
    }
}

impl Entry for Run {
    const COLUMNS: &'static [&'static str] = &[
        "RUN", "STARTED", "TOOK", "OUTCOME", "ADDED", "CHANGED", "REMOVED", "HELD", "REJECTED",
        "ACCEPTED", "RUN ID", "ERROR",
    ];

    fn cells(&self) -> Vec<Cell> {
        let count = |count: fn(&Receipt) -> u64| {
            Cell::or_none(self.receipt.as_ref().map(|receipt| count(receipt).to_string())).right()
        };
        let took = self.started_at.zip(self.ended_at).map(|(from, to)| {
            let took = to.duration_since(from).unsigned_abs();
            if took.as_secs() == 0 { "<1s".to_owned() } else { rough(took) }
        });
        let prepared = || self.prepared_at.map(|at| format!("prepared {}", instant(at)));
        let failure = self.ended.as_ref().and_then(|ended| ended.failure.as_ref());
        vec![
            Cell::or_none(self.number.map(|number| number.to_string())).right(),
            Cell::or_none(self.started_at.map(instant).or_else(prepared)),
            Cell::or_none(took),
            Cell::new(&self.outcome).tone(tone(&self.outcome)),
            count(|receipt| receipt.push.added),
            count(|receipt| receipt.push.changed),
            count(|receipt| receipt.push.removals()),
            count(|receipt| receipt.held_count),
            count(|receipt| receipt.rejected_count),
            count(|receipt| receipt.waived_count),
            Cell::new(&self.run_id).tone(Tone::Faint),
            Cell::or_none(failure.map(|failure| cut(&failure.message, 80))),
        ]
    }

    fn name(&self) -> String {
        self.run_id.clone()
    }
}

fn tone(outcome: &str) -> Tone {
    match outcome {
        "in_step" => Tone::Good,
        "running" | "completed" => Tone::Plain,
        "in_step_except" | "skipped" | "cancelled" | "prepared" => Tone::Attention,
        _ => Tone::Bad,
    }
}
