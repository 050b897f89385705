//! What runs do on ordinary days.

use tidemark_engine::{definitions, port::BatchKind, run::exceptions};
use tidemark_model::{
    entry::Coverage,
    failure::{FailureClass, FailureKind},
    receipt::Outcome,
    step::{CommitRequest, ReadOutcome},
};

use crate::support::{Shown, World};

async fn synced() -> World {
    let world = World::new().await;
    for (key, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
        world.listing.put(key, value);
    }
    world.run().await.receipt();
    world.destination().take_ledger();
    world.hour();
    world
}

#[tokio::test]
async fn the_first_run_sends_everything() {
    let world = World::new().await;
    for key in ["a", "b", "c", "d", "e"] {
        world.listing.put(key, "x");
    }
    world.listing.show("f", Shown::Filtered);
    let receipt = world.run().await.receipt();
    world.assert_in_step();
    assert_eq!(receipt.outcome, Outcome::InStep);
    assert!(receipt.full_read);
    assert_eq!((receipt.rows.next, receipt.rows.sent, receipt.rows.filtered), (6, 5, 1));
    assert_eq!((receipt.push.added, receipt.push.acknowledged), (5, 5));
    assert_eq!((receipt.records.added, receipt.records.next), (5, 5));
    assert_eq!(receipt.destination_cost.request_count, 3);
    assert_eq!(world.log_names().await, ["000000000001.committed", "000000000001.prepared"]);
}

#[tokio::test]
async fn a_run_without_changes_creates_one_entry_and_sends_nothing() {
    let world = synced().await;
    let before = world.listing.state().request_count;
    let receipt = world.run().await.receipt();
    assert_eq!(world.listing.state().request_count, before + 1);
    assert_eq!(world.destination().take_ledger(), []);
    assert_eq!(receipt.outcome, Outcome::InStep);
    assert_eq!(receipt.push, Default::default());
    let log = world.log_names().await;
    assert_eq!(log.len(), 3);
    assert_eq!(log.last().unwrap(), "000000000002.prepared");
    let commit = world.newest_commit().await;
    assert_eq!(commit.number.get(), 2);
    assert_eq!(commit.manifest.complete_as_of, receipt.complete_as_of);
}

#[tokio::test]
async fn one_addition_one_change_and_one_deletion_cost_what_they_are() {
    let world = synced().await;
    world.listing.put("f", "6");
    world.listing.put("a", "one");
    world.listing.archive("b");
    let receipt = world.run().await.receipt();
    world.assert_in_step();
    let push = receipt.push;
    assert_eq!((push.added, push.changed, push.removed, push.repeated), (1, 1, 1, 0));
    assert_eq!((receipt.rows.appeared, receipt.rows.vanished), (1, 1));
    assert!(!receipt.full_read);
    let ledger = world.destination().take_ledger();
    // The removal is answered before the first write is sent.
    assert_eq!(ledger.len(), 2);
    assert_eq!(ledger[0], (BatchKind::Remove, vec!["newsletter:b".to_owned()]));
    assert_eq!(ledger[1].0, BatchKind::Write);
}

#[tokio::test]
async fn a_row_that_only_moved_in_time_is_committed_and_not_sent() {
    let world = synced().await;
    world.listing.put("a", "1");
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.push, Default::default());
    assert_eq!(world.destination().take_ledger(), []);
    world.hour();
    // Once its time is in the snapshot, nothing is new about it.
    let host = world.host();
    let read = world.engine.read(&host, &world.connection).await.unwrap();
    assert!(matches!(read, ReadOutcome::Unchanged(_)), "{read:?}");
}

#[tokio::test]
async fn a_row_that_vanished_without_a_trace_is_found_by_a_full_reading() {
    let world = synced().await;
    world.listing.delete_for_ever("c");
    let receipt = world.run().await.receipt();
    assert!(receipt.full_read);
    assert_eq!(receipt.push.removed, 1);
    world.assert_in_step();
}

#[tokio::test]
async fn a_full_reading_that_is_due_sends_nothing_that_is_known() {
    let world = synced().await;
    for _ in 0..30 * 24 {
        world.hour();
    }
    let receipt = world.run().await.receipt();
    assert!(receipt.full_read);
    assert_eq!(receipt.push, Default::default());
    let commit = world.newest_commit().await;
    assert_eq!(commit.manifest.full_read_as_of, receipt.complete_as_of);
}

#[tokio::test]
async fn an_invalid_row_is_counted_named_and_keeps_its_record() {
    let world = synced().await;
    let sent = world.destination().records();
    world.listing.show("a", Shown::Invalid);
    world.listing.show("z", Shown::Invalid);
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.outcome, Outcome::InStepExcept);
    assert_eq!((receipt.exception_count, receipt.rows.invalid), (2, 2));
    assert_eq!(world.destination().records(), sent);
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    let named: Vec<(&str, &str)> = named.iter().map(|e| (e.key.as_str(), e.id.as_str())).collect();
    assert_eq!(named, [("a", "newsletter:a"), ("z", "")]);

    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStepExcept, 2));

    world.hour();
    world.listing.put("a", "mended");
    world.listing.archive("z");
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStep, 0));
    assert_eq!(world.newest_commit().await.manifest.exceptions, None);
    world.assert_in_step();
}

#[tokio::test]
async fn invalid_rows_fail_the_run_where_the_policy_says_so() {
    let world = World::with_policy("invalid_records = \"fail\"").await;
    world.listing.put("a", "1");
    world.listing.show("b", Shown::Invalid);
    let failure = world.run().await.failure();
    assert_eq!((failure.kind, failure.class()), (FailureKind::Invalid, FailureClass::User));
    assert!(failure.message.contains("1 of 2 rows"), "{}", failure.message);
    assert_eq!(world.log_names().await, [""; 0]);
    assert_eq!(world.destination().take_ledger(), []);
}

#[tokio::test]
async fn an_unproven_reading_changes_nothing() {
    let world = synced().await;
    world.listing.put("a", "one");
    world.listing.state().lies = true;
    let log = world.log_names().await;
    let failure = world.run().await.failure();
    assert_eq!((failure.kind, failure.class()), (FailureKind::Unproven, FailureClass::Source));
    assert_eq!(world.log_names().await, log);
    assert_eq!(world.destination().take_ledger(), []);
}

#[tokio::test]
async fn a_connection_without_a_definition_needs_its_owner() {
    let world = World::unapplied();
    let failure = world.run().await.failure();
    assert_eq!((failure.kind, failure.class()), (FailureKind::Gone, FailureClass::User));
    assert!(failure.hint.unwrap().contains("tidemark apply"));

    let world = synced().await;
    world.store_version(None, false).await;
    let failure = world.run().await.failure();
    assert!(failure.message.contains("was removed"), "{}", failure.message);
}

#[tokio::test]
async fn every_step_carried_out_twice_gives_the_same_answer() {
    let world = synced().await;
    world.listing.put("a", "one");
    world.listing.archive("b");
    let (host, id) = (world.host(), &world.connection);
    let read = world.engine.read(&host, id).await.unwrap();
    let requests = world.listing.state().request_count;
    assert_eq!(world.engine.read(&host, id).await.unwrap(), read);
    assert_eq!(world.listing.state().request_count, requests);
    let ReadOutcome::Read(summary) = read else { panic!("{read:?}") };
    assert_eq!(summary.coverage, Coverage::Changes);

    let computed = world.engine.compute(&host, id, &summary).await.unwrap();
    assert_eq!(world.engine.compute(&host, id, &summary).await.unwrap(), computed);

    let pushed = world.engine.push(&host, id, computed.number).await.unwrap();
    let ledger = world.destination().take_ledger();
    assert_eq!(ledger.len(), 2);
    assert_eq!(world.engine.push(&host, id, computed.number).await.unwrap(), pushed);
    assert_eq!(world.destination().take_ledger(), []);

    let request = CommitRequest::Pushed { number: computed.number };
    let receipt = world.engine.commit(&host, id, &request).await.unwrap();
    let log = world.log_names().await;
    assert_eq!(world.engine.commit(&host, id, &request).await.unwrap(), receipt);
    // Even the earlier steps answer as before when a late attempt asks.
    assert_eq!(world.engine.compute(&host, id, &summary).await.unwrap(), computed);
    assert_eq!(world.engine.push(&host, id, computed.number).await.unwrap(), pushed);
    assert_eq!(world.log_names().await, log);
    world.assert_in_step();
}

#[tokio::test]
async fn an_unchanged_run_carried_out_twice_gives_the_same_answer() {
    let world = synced().await;
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Unchanged(summary) = world.engine.read(&host, id).await.unwrap() else {
        panic!("nothing changed")
    };
    let request = CommitRequest::Unchanged(summary);
    let receipt = world.engine.commit(&host, id, &request).await.unwrap();
    assert_eq!(world.engine.commit(&host, id, &request).await.unwrap(), receipt);
    assert_eq!(world.log_names().await.len(), 3);
}

#[tokio::test]
async fn a_definition_applied_in_the_middle_of_a_run_counts_for_the_next_one() {
    let world = synced().await;
    world.listing.put("a", "one");
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(summary) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    world.store_version(None, false).await;
    let computed = world.engine.compute(&host, id, &summary).await.unwrap();
    world.engine.push(&host, id, computed.number).await.unwrap();
    let request = CommitRequest::Pushed { number: computed.number };
    let receipt = world.engine.commit(&host, id, &request).await.unwrap();
    assert_eq!(receipt.definition_version, 1);
    let newest = definitions::newest(&world.folder()).await.unwrap().unwrap();
    assert_eq!((newest.version, newest.definition), (2, None));
}
