//! The workflow with activities that follow a script: the order of steps, and every kind of end.

#![expect(
    unreachable_pub,
    dead_code,
    clippy::unused_async,
    reason = "the macro wants public and async activities, and makes a constant of each"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowDescribeOptions, WorkflowFetchHistoryOptions,
    WorkflowGetResultOptions, WorkflowHandle, WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{ActivityError, search_attributes::SearchAttributeKey};
use temporalio_macros::activities;
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    activities::ActivityContext,
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
};
use tidemark_activities::failure::{to_temporal, verdict};
use tidemark_model::{
    entry::{Coverage, RunNumber},
    failure::{Failure, FailureClass, FailureKind, Side},
    ids::ConnectionId,
    progress::Stage,
    receipt::{Cost, Outcome, Proof, ProofKind, PushCounts, Receipt, RecordCounts, RowCounts},
    step::{
        Computed, EndedRun, Known, Pushed, ReadOutcome, ReadSummary, SyncRequest, SyncResult,
        Timing,
    },
};
use tidemark_workflows::sync::{
    CommitStep, ComputeStep, EndStep, FailedRun, PushStep, ReadStep, SyncConnection, contract,
};
use tokio::sync::Notify;

use crate::server::client;

/// What pushing does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Push {
    Succeeds,
    /// Ends as cancelled when the run is.
    StopsWhenCancelled,
    /// Has sent its last batch when the cancellation comes.
    SucceedsThough,
}

/// What the activities do, and what they were asked to do.
struct Script {
    read: Result<ReadOutcome, Failure>,
    batch_count: u64,
    send_from: Option<Timestamp>,
    push: Push,
    steps: Mutex<Vec<&'static str>>,
    ended: Mutex<Option<EndedRun>>,
    push_began: Notify,
}

impl Script {
    fn reading(read: Result<ReadOutcome, Failure>) -> Self {
        Self {
            read,
            batch_count: 1,
            send_from: None,
            push: Push::Succeeds,
            steps: Mutex::default(),
            ended: Mutex::default(),
            push_began: Notify::new(),
        }
    }

    fn changed() -> Self {
        Self::reading(Ok(ReadOutcome::Read(summary())))
    }

    fn note(&self, step: &'static str) {
        self.steps.lock().unwrap().push(step);
    }

    fn steps(&self) -> Vec<&'static str> {
        self.steps.lock().unwrap().clone()
    }

    fn ended(&self) -> EndedRun {
        self.ended.lock().unwrap().clone().expect("the run left a note")
    }
}

/// The registered one, which shares its script with the test.
pub struct Actors(Arc<Script>);

#[activities]
impl Actors {
    #[activity(definition = contract::ReadSource)]
    pub async fn read_source(
        self: Arc<Self>,
        context: ActivityContext,
        _: ReadStep,
    ) -> Result<ReadOutcome, ActivityError> {
        self.0.note("read");
        self.0.read.clone().map_err(|failure| {
            let verdict = verdict(&failure, 0, 0.0);
            to_temporal(failure, verdict, context.info().attempt)
        })
    }

    #[activity(definition = contract::ComputeChanges)]
    pub async fn compute_changes(
        self: Arc<Self>,
        _: ActivityContext,
        _: ComputeStep,
    ) -> Result<Computed, ActivityError> {
        self.0.note("compute");
        Ok(Computed {
            number: RunNumber::FIRST,
            push: PushCounts { added: 3, ..PushCounts::default() },
            batch_count: self.0.batch_count,
            send_from: self.0.send_from,
        })
    }

    #[activity(definition = contract::PushChanges)]
    pub async fn push_changes(
        self: Arc<Self>,
        context: ActivityContext,
        _: PushStep,
    ) -> Result<Pushed, ActivityError> {
        self.0.note("push");
        if self.0.push != Push::Succeeds {
            self.0.push_began.notify_one();
            let mut heartbeats = tokio::time::interval(Duration::from_millis(100));
            while !context.is_cancelled() {
                tokio::select! {
                    () = context.cancelled() => {}
                    _ = heartbeats.tick() => context.record_heartbeat(()).await?,
                }
            }
        }
        if self.0.push == Push::StopsWhenCancelled {
            return Err(ActivityError::cancelled());
        }
        Ok(Pushed {
            number: RunNumber::FIRST,
            push: PushCounts { added: 3, acknowledged: 3, ..PushCounts::default() },
            request_count: 1,
            rejections: Vec::new(),
        })
    }

    #[activity(definition = contract::Commit)]
    pub async fn commit(
        self: Arc<Self>,
        _: ActivityContext,
        _: CommitStep,
    ) -> Result<Receipt, ActivityError> {
        self.0.note("commit");
        Ok(receipt())
    }

    #[activity(definition = contract::EndRun)]
    pub async fn end_run(
        self: Arc<Self>,
        _: ActivityContext,
        step: EndStep,
    ) -> Result<(), ActivityError> {
        self.0.note("end");
        *self.0.ended.lock().unwrap() = Some(step.ended);
        Ok(())
    }
}

fn summary() -> ReadSummary {
    ReadSummary {
        number: RunNumber::FIRST,
        reading: "readings/1".to_owned(),
        coverage: Coverage::Full,
        definition_version: 1,
        page_count: 1,
        row_count: 3,
        source_total: 3,
        complete_as_of: Timestamp::UNIX_EPOCH,
        request_count: 1,
    }
}

fn receipt() -> Receipt {
    Receipt {
        number: RunNumber::FIRST,
        outcome: Outcome::InStep,
        definition_version: 1,
        full_read: true,
        complete_as_of: Timestamp::UNIX_EPOCH,
        rows: RowCounts::default(),
        records: RecordCounts::default(),
        push: PushCounts::default(),
        exception_count: 0,
        rejected_count: 0,
        held_count: 0,
        hold_rule: None,
        waived_count: 0,
        proof: Proof { kind: ProofKind::FirstResponse, source_total: 0, turn_count: 0 },
        source_cost: Cost::default(),
        destination_cost: Cost::default(),
        unmatched_paths: Vec::new(),
    }
}

/// How a run ended, and what is left of it.
struct Played {
    script: Arc<Script>,
    result: Result<SyncResult, WorkflowGetResultError>,
    outcome: Option<String>,
    event_count: usize,
    events: Vec<String>,
}

type Handle = WorkflowHandle<Client, SyncConnection>;

/// Plays a run to its end, and replays its history with the same code.
async fn play(name: &str, script: Script, meanwhile: impl AsyncFnOnce(&Handle, &Script)) -> Played {
    let client = client().await;
    let script = Arc::new(script);
    let queue = format!("workflow-{name}");
    let options = WorkerOptions::new(&queue)
        // The answer to a heartbeat brings a cancellation.
        .max_heartbeat_throttle_interval(Duration::from_millis(200))
        .register_workflow::<SyncConnection>()
        .unwrap()
        .register_activities(Actors(Arc::clone(&script)))
        .build();
    let runtime = Runtime::from_current_tokio(Default::default()).unwrap();
    let mut worker = Worker::new(&runtime, client.clone(), options).unwrap();
    let stop = worker.shutdown_handle();
    let test = async {
        let request = SyncRequest {
            connection: ConnectionId::new("acme/newsletter").unwrap(),
            timing: Timing::default(),
            known: Known::default(),
        };
        let options = WorkflowStartOptions::new(&queue, &queue).build();
        client.start_workflow(SyncConnection::run, request, options).await.unwrap();
        let handle = client.get_workflow_handle::<SyncConnection>(&queue);
        meanwhile(&handle, &script).await;
        let result = handle.get_result(WorkflowGetResultOptions::default()).await;
        stop();
        (handle, result)
    };
    let (ended, (handle, result)) = tokio::join!(worker.run(), test);
    ended.unwrap();

    let described = handle.describe(WorkflowDescribeOptions::default()).await.unwrap();
    let outcome = described.search_attributes().get(&SearchAttributeKey::keyword("Outcome"));
    let options = WorkflowReplayerOptions::new().register_workflow::<SyncConnection>().unwrap();
    let replayer = WorkflowReplayer::new(options.build()).unwrap();
    let history = handle.fetch_history(WorkflowFetchHistoryOptions::default());
    replayer.replay_workflow(history).await.expect("the history replays");
    let events = handle
        .fetch_history(WorkflowFetchHistoryOptions::default())
        .into_events()
        .await
        .unwrap()
        .iter()
        .map(|event| event.event_type().as_str_name().trim_start_matches("EVENT_TYPE_").to_owned())
        .collect();
    Played { script, result, outcome, event_count: described.history_length(), events }
}

async fn nothing(_: &Handle, _: &Script) {}

async fn cancel_while_pushing(handle: &Handle, script: &Script) {
    script.push_began.notified().await;
    handle.cancel(WorkflowCancelOptions::default()).await.unwrap();
}

#[tokio::test]
async fn an_unchanged_run_reads_and_commits() {
    let script = Script::reading(Ok(ReadOutcome::Unchanged(summary())));

    let played = play("unchanged", script, nothing).await;

    assert_eq!(played.script.steps(), ["read", "commit"]);
    assert_eq!(played.result.unwrap(), SyncResult::Committed(Box::new(receipt())));
    assert_eq!(played.outcome.as_deref(), Some("in_step"));
    assert!(played.event_count <= 25, "{} events", played.event_count);
}

#[tokio::test]
async fn a_changed_run_waits_with_a_timer_before_it_sends() {
    let soon = Timestamp::now().checked_add(SignedDuration::from_secs(2)).unwrap();
    let script = Script { send_from: Some(soon), ..Script::changed() };

    let played = play("changed", script, nothing).await;

    assert_eq!(played.script.steps(), ["read", "compute", "push", "commit"]);
    assert_eq!(played.outcome.as_deref(), Some("in_step"));
    assert!(played.events.iter().any(|event| event == "TIMER_FIRED"), "{:?}", played.events);
}

#[tokio::test]
async fn nothing_to_send_is_not_pushed() {
    let script = Script { batch_count: 0, ..Script::changed() };

    let played = play("nothing-to-send", script, nothing).await;

    assert_eq!(played.script.steps(), ["read", "compute", "commit"]);
    assert!(played.result.is_ok());
}

#[tokio::test]
async fn a_skipped_run_says_so() {
    let reason = "another run is at work".to_owned();
    let script = Script::reading(Ok(ReadOutcome::Skipped { reason: reason.clone() }));

    let played = play("skipped", script, nothing).await;

    assert_eq!(played.script.steps(), ["read", "end"]);
    assert_eq!(played.result.unwrap(), SyncResult::Skipped { reason });
    assert_eq!(played.outcome.as_deref(), Some("skipped"));
}

#[tokio::test]
async fn a_run_that_failed_for_good_says_what_who_and_what_next() {
    let failure = Failure::new(FailureKind::Unauthenticated, Side::Source, "the key was refused")
        .hint("set ACME_KEY");
    let script = Script::reading(Err(failure));

    let played = play("failed", script, nothing).await;

    assert_eq!(played.script.steps(), ["read", "end"], "nothing is retried");
    assert_eq!(played.outcome.as_deref(), Some("failed_user"));
    let ended = played.script.ended();
    assert_eq!((ended.outcome, ended.stage), (Outcome::FailedUser, Stage::Read));
    assert_eq!(ended.attempt_count, 1);
    assert_eq!(ended.failure.unwrap().message, "the key was refused");
    let Err(WorkflowGetResultError::Failed(error)) = played.result else { panic!("it failed") };
    let temporalio_common::error::IncomingError::Application(application) = *error else {
        panic!("it failed as an application")
    };
    assert_eq!(application.type_name(), Some("unauthenticated"));
    assert_eq!(
        application.to_string(),
        "read acme/newsletter: the key was refused (user must act: set ACME_KEY)"
    );
    let details: FailedRun = application.details().unwrap().expect("it carries details");
    assert_eq!(details.class, FailureClass::User);
    assert_eq!(details.next.as_deref(), Some("set ACME_KEY"));
}

#[tokio::test]
async fn a_cancelled_run_waits_for_its_step_and_commits_nothing() {
    let script = Script { push: Push::StopsWhenCancelled, ..Script::changed() };

    let played = play("cancelled", script, cancel_while_pushing).await;

    assert_eq!(played.script.steps(), ["read", "compute", "push", "end"]);
    assert_eq!(played.outcome.as_deref(), Some("cancelled"));
    assert_eq!(played.script.ended().outcome, Outcome::Cancelled);
    assert!(played.script.ended().failure.is_none());
    assert!(matches!(played.result, Err(WorkflowGetResultError::Cancelled { .. })));
}

#[tokio::test]
async fn a_step_that_ends_well_after_the_cancellation_is_the_last_one() {
    let script = Script { push: Push::SucceedsThough, ..Script::changed() };

    let played = play("cancelled-late", script, cancel_while_pushing).await;

    assert_eq!(played.script.steps(), ["read", "compute", "push", "end"]);
    assert_eq!(played.outcome.as_deref(), Some("cancelled"));
    assert!(matches!(played.result, Err(WorkflowGetResultError::Cancelled { .. })));
}
