//! Old attempts and old runs that are still at work: none of them leaves the destination on an old
//! value.

use temporalio_client::{
    UntypedWorkflow, WorkflowTerminateOptions,
    schedules::{ScheduleOverlapPolicy, TriggerScheduleOptions},
};
use tidemark_simulator::{Call, Fault, FaultAction, RandomKind, Side};
use tidemark_tests::{LIST, Line, RECORD_KEY, Role, Stage};

use crate::{TOMBSTONE, stage};

const HELD: &str = "held";

/// A second key of the record space: so the ledger tells who wrote.
const OTHER_KEY: &str = "0ther-rec0rd-ap1-5ecret";

/// Many small batches, one after the other.
const LIMITS: &str = "batch_records = 10\nsimultaneous_batches = 1";

/// A worker that reaches Temporal by a line, and writes with the other key.
fn worker_at(stage: &Stage, line: &Line) -> Role {
    stage.world().add_destination_key(OTHER_KEY, RECORD_KEY).unwrap();
    let mut command = stage.command();
    command.env("TEMPORAL_ADDRESS", line.url()).env("RECORD_API_KEY", OTHER_KEY).arg("worker");
    Role::spawn(command)
}

fn change(stage: &Stage, count: usize, seed: u64) {
    stage.world().mutate_random(LIST, RandomKind::Change, count, seed).unwrap();
}

/// The writes with a key since a mark.
fn writes(stage: &Stage, mark: usize, key: &str) -> Vec<Call> {
    let calls = stage.world().ledger_since(mark).calls.into_iter();
    calls
        .filter(|call| call.side == Side::Destination && call.key.as_deref() == Some(key))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_cannot_reach_temporal_stops_before_the_next_one_starts() {
    let stage = stage("severed", 1_500).await;
    stage.apply_with(TOMBSTONE, LIMITS).await;
    // `apply` has looked at the destination, with the key that the new worker writes with.
    let mark = stage.world().ledger().mark;
    let line = Line::to(stage.temporal_address()).await;
    let old = worker_at(&stage, &line);
    // 150 batches of 100 ms: more than an attempt that is not heard of may take.
    let slow = Fault::next(Side::Destination, FaultAction::Delay).times(u64::MAX);
    stage.world().add_fault(slow.delayed(std::time::Duration::from_millis(100)));

    let start = stage.ask(["start", stage.id(), "--wait"]);
    let story = async {
        stage.world().wait_calls(Side::Destination, 3).await;
        line.cut();
        let new = stage.worker(&[]);
        let new_one = |call: &Call| call.number >= mark && call.key.as_deref() == Some(RECORD_KEY);
        stage.world().wait_until(1, new_one).await;
        stage.world().clear_faults();
        new
    };
    let (answer, _new) = tokio::join!(start, story);
    answer.expect(0);
    stage.assert_in_step();
    // Not before: the old worker may well be given a later attempt.
    line.mend();
    let (before, after) = (writes(&stage, mark, OTHER_KEY), writes(&stage, mark, RECORD_KEY));
    let first = after.iter().map(|call| call.started_at).min().expect("the new one wrote");
    let last = before.iter().map(|call| call.started_at).max().expect("the old one wrote");
    assert!(last < first, "the old attempt began to write at {last}, the new one at {first}");
    assert!(before.len() + after.len() <= 151, "at most one batch was sent twice");
    drop(old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_frozen_sends_nothing_when_it_wakes() {
    let stage = stage("frozen", 300).await;
    stage.apply_with(TOMBSTONE, LIMITS).await;
    let line = Line::to(stage.temporal_address()).await;
    let frozen = worker_at(&stage, &line);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);

    change(&stage, 60, 1);
    let action = FaultAction::ApplyThenHold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action).after(2));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let freeze = async {
        stage.world().wait_held(HELD, 1).await;
        frozen.signal("STOP").await;
        // Its polls are forgotten, as they are a minute after a machine stood still.
        line.hang_up();
        stage.worker(&[])
    };
    let (answer, second) = tokio::join!(start, freeze);
    answer.expect(0);
    stage.assert_in_step();
    // The same records change again, and are written by the other worker.
    change(&stage, 300, 2);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();

    let mark = stage.world().ledger().mark;
    stage.world().release(HELD);
    frozen.signal("CONT").await;
    frozen.wait_log("step failed").await;
    // The answer that it had waited for is written down by now, and it has sent nothing else.
    let answered = writes(&stage, mark, OTHER_KEY);
    assert!(answered.iter().all(|call| call.faulted), "{answered:?}");
    stage.assert_in_step();
    frozen.kill().await;

    // What it may have sent is sent again, as it stands now.
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
    drop(second);
}

/// Starts a run as a careless hand does in the Web UI: beside whatever runs, and unknown to the
/// schedule.
async fn trigger_beside(stage: &Stage) {
    let schedule = stage.client().await.get_schedule_handle(stage.id());
    let options = TriggerScheduleOptions::default();
    schedule.trigger(ScheduleOverlapPolicy::AllowAll, options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_beside_one_that_pushes_is_skipped() {
    let stage = stage("beside", 300).await;
    stage.apply_with(TOMBSTONE, LIMITS).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);

    change(&stage, 60, 1);
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action).after(2));
    trigger_beside(&stage).await;
    stage.world().wait_held(HELD, 1).await;
    change(&stage, 300, 2);
    let mark = stage.world().ledger().mark;
    let skipped = stage.ask(["start", stage.id(), "--wait"]).await.expect(9);
    assert!(skipped.stderr.contains("skipped"), "{}", skipped.stderr);
    let ledger = stage.world().ledger_since(mark);
    assert_eq!((ledger.source.call_count, ledger.destination.call_count), (0, 0));

    stage.world().release(HELD);
    in_step_at_last(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_that_read_at_once_do_not_both_push() {
    let stage = stage("both", 300).await;
    stage.apply_with(TOMBSTONE, LIMITS).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);

    change(&stage, 60, 1);
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Source, action).times(2));
    trigger_beside(&stage).await;
    stage.world().wait_held(HELD, 1).await;
    let mark = stage.world().ledger().mark;
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let release = async {
        stage.world().wait_held(HELD, 2).await;
        stage.world().release(HELD);
    };
    let (_, ()) = tokio::join!(start, release);
    in_step_at_last(&stage).await;
    assert_eq!(stage.world().ledger_since(mark).destination.call_count, 6, "one of them pushed");
    change(&stage, 300, 2);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

/// Runs until one is neither skipped nor overtaken by a run that the schedule does not know.
async fn in_step_at_last(stage: &Stage) {
    for _ in 0..50 {
        if stage.ask(["start", stage.id(), "--wait"]).await.code == 0 {
            return stage.assert_in_step();
        }
    }
    panic!("no run of fifty was in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_run_whose_step_is_still_at_work_is_superseded() {
    let stage = stage("terminated", 300).await;
    stage.apply_with(TOMBSTONE, LIMITS).await;
    let worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);

    change(&stage, 60, 1);
    let action = FaultAction::Hold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action).after(2));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let terminate = async {
        stage.world().wait_held(HELD, 1).await;
        let runs = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
        let workflow_id = runs[0]["workflow_id"].as_str().unwrap().to_owned();
        let client = stage.client().await;
        let run = client.get_workflow_handle::<UntypedWorkflow>(workflow_id);
        run.terminate(WorkflowTerminateOptions::default()).await.unwrap();
        worker.wait_log("temporal asks the step to end").await;
    };
    let (answer, ()) = tokio::join!(start, terminate);
    answer.expect(1);

    // The request with the old values is still on its way when they change again.
    change(&stage, 300, 2);
    let mark = stage.world().ledger().mark;
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let release = async {
        stage.world().wait_until(1, |call| call.side == Side::Source && call.number >= mark).await;
        stage.world().release(HELD);
    };
    let (answer, ()) = tokio::join!(start, release);
    answer.expect(0);
    stage.assert_in_step();
    // The one that was on its way, and those of the new run: the old step began no other.
    assert_eq!(stage.world().ledger_since(mark).destination.call_count, 1 + 30);
}
