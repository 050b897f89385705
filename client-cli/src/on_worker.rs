//! Asking a worker to look at both ends of a connection: it has the secrets.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use temporalio_client::errors::WorkflowGetResultError;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions, WorkflowTerminateOptions};
use tidemark_model::check::{CheckReport, CheckRequest};
use tidemark_model::definition::Definition;
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_schedules::RunRef;
use tidemark_workflows::check::{CHECK_TIMEOUT, CheckConnection};
use tidemark_workflows::names;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::error::Error;
use crate::session::{Session, Temporal};

/// The largest definition that may cross Temporal, as JSON.
const DEFINITION_LIMIT: usize = 15 * 1024;

/// A worker asks for work at least once a minute, and clocks may be two minutes apart; the server
/// remembers one that is gone for five.
const POLLED_WITHIN: SignedDuration = SignedDuration::from_mins(3);

/// An idle worker takes a check within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether a worker has taken a check.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What is said to have failed if Temporal cannot tell of a check.
const WAIT: &str = "wait for a check";

/// A worker that has just started is known to the server after so long.
const POLLER_PATIENCE: Duration = Duration::from_secs(5);

/// Insists that a worker polls the task queue, before anybody waits for one.
///
/// # Errors
/// [`Error::NoWorker`], or Temporal does not answer.
pub(crate) async fn insist_on_one(session: &Session) -> Result<(), Error> {
    let begun_at = Instant::now();
    while !is_polled(session).await? {
        if begun_at.elapsed() >= POLLER_PATIENCE {
            return Err(no_worker(session));
        }
        sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Whether a worker polls the task queue.
///
/// # Errors
/// Temporal does not answer.
pub(crate) async fn is_polled(session: &Session) -> Result<bool, Error> {
    let schedules = &session.temporal().await?.schedules;
    let last = schedules.polled_at(session.task_queue()).await?;
    Ok(last.is_some_and(|last| Timestamp::now().duration_since(last) < POLLED_WITHIN))
}

fn no_worker(session: &Session) -> Error {
    Error::NoWorker { task_queue: session.task_queue().to_owned() }
}

/// Has a worker look at both ends of a definition.
///
/// # Errors
/// Temporal does not answer, or no worker takes it within ten seconds. What keeps a worker from
/// looking is part of the report.
pub(crate) async fn check(
    session: &Session,
    definition: &Definition,
) -> Result<CheckReport, Error> {
    let request = CheckRequest { definition: definition.clone() };
    let size = serde_json::to_vec(&request).map_or(usize::MAX, |json| json.len());
    if size > DEFINITION_LIMIT {
        let failure = Failure::new(
            FailureKind::Invalid,
            Side::Platform,
            format!("the definition has {size} bytes, and {DEFINITION_LIMIT} may cross Temporal"),
        );
        return Ok(neither(failure.hint("check it where its secrets are, without --on-worker")));
    }
    let temporal = session.temporal().await?;
    let id = names::check_workflow_id(definition.id(), &Uuid::new_v4().simple().to_string());
    session.ui().note(&format!("{}: a worker looks, as {id}", definition.id()));
    let options = WorkflowStartOptions::new(session.task_queue(), id)
        .execution_timeout(CHECK_TIMEOUT)
        .build();
    let handle = temporal
        .unless_silent(temporal.client.start_workflow(CheckConnection::run, request, options))
        .await?
        .map_err(|error| lost(definition, &error))?;
    let info = handle.info();
    let run = RunRef {
        workflow_id: info.workflow_id.clone(),
        run_id: info.run_id.clone().unwrap_or_default(),
    };
    let ended = async {
        // Fetched only once it is there: the client does not outlast a connection that drops.
        temporal.last_event(&run, WAIT).await?;
        temporal.unless_silent(handle.get_result(WorkflowGetResultOptions::default())).await
    };
    tokio::select! {
        report = ended => report?.or_else(|error| unfinished(temporal, definition, error)),
        () = nobody_takes(temporal, &run) => {
            // It would go on to wait, and be done by whoever comes first.
            let gone = WorkflowTerminateOptions::builder().reason("no worker took it").build();
            drop(handle.terminate(gone).await);
            Err(no_worker(session))
        }
    }
}

/// Returns once it is plain that no worker takes the workflow; otherwise never.
async fn nobody_takes(temporal: &Temporal, run: &RunRef) {
    let mut waited = Duration::ZERO;
    loop {
        sleep(LOOK_INTERVAL).await;
        waited += LOOK_INTERVAL;
        match temporal.schedules.look_at(run).await {
            // A worker has decided: from now on the workflow's own limits hold.
            Ok(open) if open.closed || open.step.is_some() => std::future::pending().await,
            Ok(_) if waited >= PATIENCE => return,
            _ => {}
        }
    }
}

/// A check that ended without a report.
fn unfinished(
    temporal: &Temporal,
    definition: &Definition,
    error: WorkflowGetResultError,
) -> Result<CheckReport, Error> {
    match error {
        WorkflowGetResultError::Failed(_) | WorkflowGetResultError::TimedOut => {
            let message = "no worker brought the check to its end";
            let failure = Failure::new(FailureKind::Transient, Side::Platform, message);
            let hint = "look at the workers: do they have a place free, and what do they log?";
            Ok(neither(failure.hint(hint).caused_by(&error)))
        }
        WorkflowGetResultError::Rpc(status) => Err(temporal.failed_to(WAIT, status)),
        other => Err(lost(definition, &other)),
    }
}

fn lost(definition: &Definition, error: &dyn std::error::Error) -> Error {
    Error::CheckLost { id: definition.id().clone(), reason: error.to_string() }
}

/// The report about a definition of which neither end was asked. It is told once.
fn neither(failure: Failure) -> CheckReport {
    CheckReport { source: Err(failure.clone()), destination: Err(failure) }
}
