//! A store that lost or changed something: nothing is done on account of it.

use bytes::Bytes;
use tidemark_model::{
    entry::RunNumber,
    exception::Verdict,
    failure::FailureKind,
    step::{CommitRequest, Known, ReadOutcome},
};

use crate::support::{World, definition_toml};

async fn synced() -> World {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.hour();
    world.run().await.receipt();
    world.hour();
    world.destination().take_ledger();
    world
}

async fn refused(world: &World) -> String {
    let log = world.log_names().await;
    let failure = world.run().await.failure();
    assert_eq!(failure.kind, FailureKind::Corrupt);
    assert_eq!(world.log_names().await, log);
    assert_eq!(world.destination().take_ledger(), []);
    failure.message
}

#[tokio::test]
async fn an_entry_of_a_newer_format_is_refused_by_name() {
    let world = synced().await;
    let path = "log/000000000/000000000002.prepared";
    world
        .tamper(path, |content| {
            let text = String::from_utf8(content).unwrap();
            text.replacen("\"format\":1", "\"format\":7", 1).into_bytes()
        })
        .await;
    let message = refused(&world).await;
    assert!(message.contains(path) && message.contains("format 7"), "{message}");
}

#[tokio::test]
async fn a_gap_in_the_log_is_refused() {
    let world = synced().await;
    world.delete("log/000000000/000000000001.prepared").await;
    let message = refused(&world).await;
    assert!(message.contains("entry 1 of the log is missing"), "{message}");
}

#[tokio::test]
async fn an_entry_above_a_lost_commit_is_refused() {
    let world = World::new().await;
    world.listing.put("a", "x");
    world.run().await.receipt();
    world.listing.put("a", "y");
    world.hour();
    world.run_that_dies(false).await;
    world.delete("log/000000000/000000000001.committed").await;
    world.destination().take_ledger();
    let message = refused(&world).await;
    assert!(message.contains("run 1, whose commit is not in the log"), "{message}");
}

#[tokio::test]
async fn a_log_that_went_back_in_time_during_a_run_is_refused() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    world.delete("log/000000000/000000000002.prepared").await;
    let failure = world.engine.compute(&host, id, &read).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt);
}

#[tokio::test]
async fn a_damaged_page_is_refused() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    let pages = world.paths_with("pages/run-3/").await;
    world
        .tamper(&pages[0], |mut content| {
            let middle = 60;
            content[middle] ^= 1;
            content
        })
        .await;
    let failure = world.engine.compute(&host, id, &read).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt);
    assert!(failure.message.contains(&pages[0]), "{}", failure.message);
}

#[tokio::test]
async fn a_missing_page_is_never_an_empty_one() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    for page in world.paths_with("pages/run-3/").await {
        world.delete(&page).await;
    }
    let failure = world.engine.compute(&host, id, &read).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt);
    assert!(failure.message.contains("is missing"), "{}", failure.message);
}

#[tokio::test]
async fn a_missing_snapshot_is_never_an_empty_one() {
    let world = synced().await;
    for file in world.paths_with("snapshots/").await {
        world.delete(&file).await;
    }
    world.listing.put("a", "y");
    let message = refused(&world).await;
    assert!(message.contains("is missing"), "{message}");
}

#[tokio::test]
async fn a_log_below_a_commit_that_is_known_elsewhere_is_refused_until_it_is_accepted() {
    let world = synced().await;
    let (id, engine) = (&world.connection, &world.engine);
    let known = |committed, entered| Known {
        committed: Some(RunNumber::new(committed)),
        entered: Some(RunNumber::new(entered)),
    };
    engine.confirm_log(id, Known::default()).await.unwrap();
    engine.confirm_log(id, known(2, 2)).await.unwrap();
    for (lost, told) in [
        (known(3, 3), "ends with commit 2, and commit 3 was made"),
        (known(2, 3), "ends with run 2, and run 3 took its number"),
    ] {
        let failure = engine.confirm_log(id, lost).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Corrupt);
        assert!(failure.message.contains(told), "{}", failure.message);
        assert!(failure.hint.unwrap_or_default().contains("--resend"));
    }
    // A run that died holds its number, and is made good by the next one.
    world.listing.put("a", "z");
    world.run_that_dies(true).await;
    engine.confirm_log(id, known(2, 3)).await.unwrap();

    world.decide(Verdict::SendAgain).await;
    engine.confirm_log(id, known(9, 9)).await.unwrap();
}

/// The entry of a run that died is lost, what it sent and had acknowledged is not: its number is free
/// again, and the source went back to what the newest commit holds.
#[tokio::test]
async fn what_a_lost_run_sent_is_neither_forgotten_nor_taken_for_what_the_next_one_sends() {
    for undone in [true, false] {
        let world = synced().await;
        world.listing.put("a", "y");
        world.run_that_dies(true).await;
        world.delete("log/000000000/000000000003.prepared").await;
        world.listing.put("a", if undone { "x" } else { "z" });
        world.hour();
        world.destination().take_ledger();
        let message = refused(&world).await;
        assert!(message.contains("began to send as run 3"), "{message}");

        world.decide(Verdict::SendAgain).await;
        world.hour();
        world.run().await.receipt();
        assert_eq!(world.destination().records(), world.listing.records());
        // What was accepted is not asked for again.
        world.listing.put("b", "y");
        world.hour();
        world.run().await.receipt();
        assert_eq!(world.destination().records(), world.listing.records());
    }
}

/// As when a store is put back to an old state while a worker is sending.
#[tokio::test]
async fn a_run_beside_which_a_lost_one_sends_is_not_committed() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (host, id) = (world.host(), &world.connection);
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    let number = world.engine.compute(&host, id, &read).await.unwrap().number;
    world.engine.push(&host, id, number).await.unwrap();
    let stranger = format!("acks/{:012}/lost/00000000.json", number.get());
    world.folder().create(&stranger, Bytes::new()).await.unwrap();
    let request = CommitRequest::Pushed { number };
    let failure = world.engine.commit(&host, id, &request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Corrupt);
    assert!(failure.message.contains("workflow run lost began to send"), "{}", failure.message);
    host.close();

    world.hour();
    let message = world.run().await.failure().message;
    assert!(message.contains("workflow run lost began to send"), "{message}");
    world.decide(Verdict::SendAgain).await;
    world.hour();
    world.run().await.receipt();
    assert_eq!(world.destination().records(), world.listing.records());
}

#[tokio::test]
async fn a_definition_that_a_commit_was_made_under_is_missed() {
    let world = World::new().await;
    world.listing.put("a", "x");
    world.run().await.receipt();
    world.apply(&definition_toml(World::ADDRESS, "retry_rejected = 7"), false).await;
    world.hour();
    world.run().await.receipt();
    world.hour();
    world.destination().take_ledger();
    world.delete("definitions/0000000002.json").await;
    let message = refused(&world).await;
    assert!(message.contains("definitions/0000000002.json is missing"), "{message}");
}

#[tokio::test]
async fn decisions_that_a_commit_counts_are_missed() {
    let world = synced().await;
    world.decide(Verdict::ReadInFull).await;
    world.run().await.receipt();
    world.hour();
    world.destination().take_ledger();
    world.delete("decisions/0000000001.json").await;
    let message = refused(&world).await;
    assert!(message.contains("decisions/0000000001.json is missing"), "{message}");
}

#[tokio::test]
async fn a_decision_after_lost_ones_is_carried_out() {
    let world = synced().await;
    world.decide(Verdict::ReadInFull).await;
    world.run().await.receipt();
    world.delete("decisions/0000000001.json").await;
    world.decide(Verdict::ReadInFull).await;
    world.hour();
    assert!(world.run().await.receipt().full_read);
    assert_eq!(world.newest_commit().await.manifest.decided, 2);
}

#[tokio::test]
async fn another_definition_under_the_number_of_a_lost_one_is_seen_as_another() {
    let world = synced().await;
    world.apply(&definition_toml("http://two.test/record", ""), false).await;
    world.run().await.receipt();
    world.hour();
    world.delete("definitions/0000000002.json").await;
    world.apply(&definition_toml("http://three.test/record", ""), false).await;
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.definition_version, receipt.full_read), (2, true));
    assert_eq!(
        world.destinations.at("http://three.test/record").records(),
        world.listing.records()
    );
}
