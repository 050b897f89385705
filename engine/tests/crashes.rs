//! Runs that die, stop, or lose their connection in the middle.

use std::time::Duration;

use tidemark_engine::{
    port::{Clock, Host, Stop},
    run::ended_run,
};
use tidemark_model::{
    entry::Coverage,
    failure::{FailureKind, Side},
    progress::Stage,
    receipt::Outcome,
    step::{EndedRun, ReadOutcome},
};

use crate::support::{Fault, World, definition_toml};

/// Enough rows that a few owed ones are asked for one by one.
async fn synced() -> World {
    let world = World::new().await;
    for number in 0..3_000 {
        world.listing.put(&format!("k{number:04}"), "x");
    }
    let mut destination = world.destination();
    destination.capabilities.batch_records = 1_000;
    world.destinations.set(World::ADDRESS, destination);
    world.run().await.receipt();
    world.destination().take_ledger();
    world.hour();
    world
}

#[tokio::test]
async fn a_change_that_a_dead_run_pushed_and_the_source_took_back_is_taken_back() {
    let world = synced().await;
    let modified = world.listing.modified("k0001");
    world.listing.put("k0001", "changed");
    world.run_that_dies(true).await;
    assert_eq!(world.destination().records(), world.listing.records());
    // As it was, with its old change time: no page of changes shows it.
    world.listing.put_as_of("k0001", "x", modified);
    world.hour();
    let receipt = world.run().await.receipt();
    world.assert_in_step();
    assert!(!receipt.full_read);
    assert_eq!((receipt.number.get(), receipt.push.repeated), (3, 1));
    let asked = world.listing.state().asked.last().cloned().unwrap();
    assert_eq!(asked.must_see, ["k0001"]);
}

#[tokio::test]
async fn an_addition_that_a_dead_run_pushed_and_the_source_took_back_is_removed() {
    let world = synced().await;
    world.listing.put("new", "x");
    world.run_that_dies(true).await;
    assert!(world.destination().records().contains_key("newsletter:new"));
    world.listing.delete_for_ever("new");
    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.push.repeated, 1);
    world.assert_in_step();
}

#[tokio::test]
async fn a_removal_that_a_dead_run_pushed_and_the_source_took_back_is_written_again() {
    let world = synced().await;
    let modified = world.listing.modified("k0002");
    world.listing.archive("k0002");
    world.run_that_dies(true).await;
    assert!(!world.destination().records().contains_key("newsletter:k0002"));
    world.listing.unarchive("k0002", "x", modified);
    world.hour();
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn several_dead_runs_are_all_made_good() {
    let world = synced().await;
    for value in ["one", "two", "three"] {
        world.listing.put("k0003", value);
        world.run_that_dies(true).await;
        world.hour();
    }
    let modified = world.listing.modified("k0004");
    world.listing.put_as_of("k0003", "x", modified);
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.number.get(), 5);
    world.assert_in_step();
    world.hour();
    assert_eq!(world.run().await.receipt().push, Default::default());
}

#[tokio::test]
async fn more_than_a_thousandth_of_the_rows_owed_makes_a_full_reading() {
    let world = synced().await;
    for key in ["k0000", "k0001", "k0002", "k0003"] {
        world.listing.put(key, "changed");
    }
    world.run_that_dies(false).await;
    world.hour();
    assert!(world.run().await.receipt().full_read);
    world.assert_in_step();
}

#[tokio::test]
async fn a_dead_first_run_is_begun_anew_in_full() {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.listing.put(key, "x");
    }
    world.run_that_dies(true).await;
    world.listing.delete_for_ever("b");
    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.number.get(), receipt.full_read), (2, true));
    world.assert_in_step();
}

#[tokio::test]
async fn a_run_after_a_dead_full_reading_reads_in_full() {
    let world = synced().await;
    world.listing.delete_for_ever("k0009");
    world.run_that_dies(false).await;
    world.hour();
    let receipt = world.run().await.receipt();
    assert!(receipt.full_read);
    assert_eq!(world.listing.state().asked.last().unwrap().coverage, Coverage::Full);
    world.assert_in_step();
}

#[tokio::test]
async fn a_run_after_one_that_died_under_another_definition_reads_in_full() {
    let world = synced().await;
    let other = "http://two.test/record";
    world.destinations.set(other, world.destination());
    world.apply(&definition_toml(other, ""), true).await;
    world.listing.put("k0001", "y");
    world.run_that_dies(true).await;
    world.apply(&definition_toml(World::ADDRESS, ""), true).await;
    world.hour();
    assert!(world.run().await.receipt().full_read);
    world.assert_in_step();
}

#[tokio::test]
async fn a_push_goes_on_behind_its_acknowledged_batches() {
    let world = World::new().await;
    for key in ["a", "b", "c", "d", "e", "f"] {
        world.listing.put(key, "x");
    }
    world.destination().state().script.extend([Fault::None, Fault::Lost]);
    let receipt = world.run().await.receipt();
    let ids: Vec<Vec<String>> =
        world.destination().take_ledger().into_iter().map(|(_, ids)| ids).collect();
    // The second is sent again, the first and the third once.
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[1], ids[2]);
    assert_eq!(receipt.push.acknowledged, 6);
    world.assert_in_step();
}

#[tokio::test]
async fn after_a_lost_answer_no_later_run_sends_while_the_request_may_be_at_work() {
    let world = World::new().await;
    world.listing.put("a", "x");
    world.destination().state().script.push_back(Fault::FailAfterWrite);
    world.run().await.receipt();
    let commit = world.newest_commit().await;
    let quiet_after = commit.manifest.quiet_after.unwrap();
    let wait = quiet_after.duration_since(commit.committed_at);
    assert_eq!(Duration::try_from(wait).unwrap(), Duration::from_secs(5 + 60 + 60));

    // An unchanged commit carries it on.
    world.clock.advance(Duration::from_secs(10));
    world.run().await.receipt();
    assert_eq!(world.newest_commit().await.manifest.quiet_after, Some(quiet_after));

    world.listing.put("a", "y");
    let host = world.host();
    let id = &world.connection;
    let ReadOutcome::Read(summary) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    let computed = world.engine.compute(&host, id, &summary).await.unwrap();
    assert_eq!(computed.send_from, Some(quiet_after));
    let failure = world.engine.push(&host, id, computed.number).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Waiting);
    world.clock.advance(failure.retry_after.unwrap());
    world.engine.push(&host, id, computed.number).await.unwrap();
    world.assert_in_step();
}

#[tokio::test]
async fn a_reading_goes_on_behind_its_durable_pages() {
    let world = World::new().await;
    for key in ["a", "b", "c", "d", "e", "f", "g"] {
        world.listing.put(key, "x");
    }
    world.listing.state().fails_at = Some(3);
    world.run().await.receipt();
    // Three pages, and the request that was lost.
    assert_eq!(world.listing.state().request_count, 4);
    world.assert_in_step();
}

#[tokio::test]
async fn a_stop_ends_a_step_between_two_requests_and_the_next_attempt_goes_on() {
    let world = World::new().await;
    for key in ["a", "b", "c", "d"] {
        world.listing.put(key, "x");
    }
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(summary) = world.engine.read(&host, id).await.unwrap() else {
        panic!("rows are new")
    };
    let computed = world.engine.compute(&host, id, &summary).await.unwrap();
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let stop = async {
        held.arrived.await.unwrap();
        host.stop_with(Some(Stop::Draining));
        held.release.send(()).unwrap();
    };
    let push = world.engine.push(&host, id, computed.number);
    let (pushed, ()) = tokio::join!(push, stop);
    assert_eq!(pushed.unwrap_err().kind, FailureKind::Draining);
    // What was on its way was seen to its end.
    assert_eq!(world.destination().take_ledger().len(), 1);
    assert_eq!(world.paths_with("acks/000000000001/run-1/00000000.json").await.len(), 1);
    host.stop_with(None);
    world.engine.push(&host, id, computed.number).await.unwrap();
    assert_eq!(world.destination().take_ledger().len(), 1);
}

#[tokio::test]
async fn progress_counts_all_attempts_and_ends_at_its_total() {
    let world = World::new().await;
    for key in ["a", "b", "c", "d"] {
        world.listing.put(key, "x");
    }
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(summary) = world.engine.read(&host, id).await.unwrap() else {
        panic!("rows are new")
    };
    let computed = world.engine.compute(&host, id, &summary).await.unwrap();
    world.destination().state().script.extend([Fault::None, Fault::Lost]);
    world.engine.push(&host, id, computed.number).await.unwrap_err();
    world.engine.push(&host, id, computed.number).await.unwrap();
    let progress = host.progress.lock().unwrap().clone();
    let of = |stage| progress.iter().rfind(|progress| progress.stage == stage).unwrap();
    assert_eq!(of(Stage::Read).row_count, 4);
    assert_eq!((of(Stage::Push).row_count, of(Stage::Push).row_total), (4, Some(4)));
}

#[tokio::test]
async fn how_a_run_ended_is_kept_once() {
    let world = synced().await;
    world.listing.state().lies = true;
    let host = world.host();
    let failure = world.engine.read(&host, &world.connection).await.unwrap_err();
    let mut ended = EndedRun {
        owner: host.owner().clone(),
        number: None,
        outcome: Outcome::FailedSource,
        stage: Stage::Read,
        ended_at: world.clock.now(),
        failure: Some(failure),
        attempt_count: 1,
    };
    world.engine.end(&world.connection, &ended).await.unwrap();
    ended.outcome = Outcome::FailedPlatform;
    world.engine.end(&world.connection, &ended).await.unwrap();
    let kept = ended_run(&world.folder(), &ended.owner.run_id).await.unwrap().unwrap();
    assert_eq!(kept.outcome, Outcome::FailedSource);
    assert_eq!(kept.failure.unwrap().side, Side::Source);
    assert!(ended_run(&world.folder(), "another").await.unwrap().is_none());
}
