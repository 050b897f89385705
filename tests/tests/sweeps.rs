//! The daily sweep, as its schedule starts it.

use futures::TryStreamExt as _;
use temporalio_client::schedules::{ScheduleOverlapPolicy, TriggerScheduleOptions};
use tidemark_simulator::RandomKind;
use tidemark_tests::{LIST, Role, Stage};
use tidemark_workflows::names::{SWEEP_ID, SWEEP_WORKFLOW};

use crate::{PROGRAM, TOMBSTONE};

/// The stage's schedule of the sweep starts one, which ends. Returns its workflow id.
///
/// # Panics
/// When the server is not the stage's own: all stages of a server share this schedule.
pub(crate) async fn sweep(stage: &mut Stage, worker: &Role) -> String {
    stage.own_temporal();
    let client = stage.client().await;
    let schedule = client.get_schedule_handle(SWEEP_ID);
    schedule.trigger(ScheduleOverlapPolicy::Skip, TriggerScheduleOptions::default()).await.unwrap();
    worker.wait_log("store swept").await;
    /// Each try takes some milliseconds; visibility is late by less than a second.
    const TRIES: usize = 5_000;
    let query = format!("WorkflowType = '{SWEEP_WORKFLOW}' AND ExecutionStatus = 'Completed'");
    for _ in 0..TRIES {
        let found: Vec<_> =
            client.list_workflows(&query, Default::default()).try_collect().await.unwrap();
        if let Some(run) = found.first() {
            return run.id().to_owned();
        }
    }
    panic!("no sweep is listed as completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_of_a_schedule_ends_and_the_next_run_is_in_step() {
    let mut stage = Stage::on_own_temporal(PROGRAM, "swept", 200).await;
    stage.apply(TOMBSTONE).await;
    let worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let id = sweep(&mut stage, &worker).await;
    assert!(id.starts_with(SWEEP_ID), "{id}");

    stage.world().mutate_random(LIST, RandomKind::Change, 5, 1).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}
