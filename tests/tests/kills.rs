//! kill -9 of the worker in each stage; another one finishes the run.

use tidemark_simulator::{Fault, FaultAction, RandomKind, Side};
use tidemark_tests::LIST;

use crate::{TOMBSTONE, stage};

const HELD: &str = "held";

fn hold() -> FaultAction {
    FaultAction::Hold { id: HELD.into() }
}

/// Kills the worker while the call that `fault` holds is on its way, and lets another one finish.
async fn killed_at(name: &str, fault: Fault) {
    let stage = stage(name, 4_000).await;
    stage.apply(TOMBSTONE).await;
    let first = stage.worker(&[]);
    stage.world().add_fault(fault);
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let kill = async {
        stage.world().wait_held(HELD, 1).await;
        first.kill().await;
        stage.world().clear_faults();
        stage.world().release(HELD);
        stage.worker(&[])
    };
    let (answer, _second) = tokio::join!(start, kill);
    answer.expect(0);
    stage.assert_in_step();

    // Nothing is owed any more.
    let mark = stage.world().ledger().mark;
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let ledger = stage.world().ledger_since(mark);
    assert_eq!((ledger.source.call_count, ledger.destination.call_count), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_reading() {
    killed_at("kill-read", Fault::next(Side::Source, hold()).after(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_pushing() {
    killed_at("kill-push", Fault::next(Side::Destination, hold()).after(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_batch_was_applied_and_not_answered() {
    let action = FaultAction::ApplyThenHold { id: HELD.into() };
    killed_at("kill-applied", Fault::next(Side::Destination, action).after(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_ends_in_order_and_the_next_one_goes_on() {
    let stage = stage("drain", 6_000).await;
    stage.apply(TOMBSTONE).await;
    let first = stage.worker(&[]);
    let mark = stage.world().ledger().mark;
    stage.world().add_fault(Fault::next(Side::Destination, hold()).after(1));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let drain = async {
        stage.world().wait_held(HELD, 1).await;
        let ended = tokio::spawn(first.terminate());
        stage.world().release(HELD);
        let (code, log) = ended.await.unwrap();
        assert_eq!(code, 0, "{log}");
        stage.worker(&[])
    };
    let (answer, _second) = tokio::join!(start, drain);
    answer.expect(0);
    stage.assert_in_step();
    let ledger = stage.world().ledger_since(mark);
    assert_eq!(ledger.destination.call_count, 6, "no batch was sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_pushed_and_undone_does_not_stay() {
    let stage = stage("undone", 2_000).await;
    stage.apply(TOMBSTONE).await;
    let worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);

    // A change reaches the destination, its answer does not reach us, and the run is cancelled.
    stage.world().mutate_random(LIST, RandomKind::Archive, 2, 3).unwrap();
    let action = FaultAction::ApplyThenHold { id: HELD.into() };
    stage.world().add_fault(Fault::next(Side::Destination, action));
    let start = stage.ask(["start", stage.id(), "--wait"]);
    let cancel = async {
        stage.world().wait_held(HELD, 1).await;
        worker.kill().await;
        stage.ask(["cancel", stage.id(), "--yes"]).await.expect(0);
        stage.world().release(HELD);
        stage.world().mutate_random(LIST, RandomKind::Unarchive, 2, 3).unwrap();
        stage.worker(&[])
    };
    let (answer, _second) = tokio::join!(start, cancel);
    answer.expect(1);
    assert_eq!(stage.held().len(), 1_998, "the removal reached the destination");

    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}
