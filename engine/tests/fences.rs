//! Two runs of one connection, and senders that are too late.

use std::time::Duration;

use tidemark_engine::{
    freshness::{Look, Unproven},
    port::{BatchKind, Host},
};
use tidemark_model::{
    exception::Verdict,
    failure::FailureKind,
    step::{CommitRequest, Computed, ReadOutcome},
};

use crate::support::{Fault, RunEnd, TestHost, World};

pub(crate) async fn synced() -> World {
    let world = World::new().await;
    for key in ["a", "b", "c", "d", "e", "f"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.destination().take_ledger();
    world.hour();
    world
}

pub(crate) async fn prepared(world: &World, host: &TestHost) -> Computed {
    let ReadOutcome::Read(summary) = world.engine.read(host, &world.connection).await.unwrap()
    else {
        panic!("something was new")
    };
    world.engine.compute(host, &world.connection, &summary).await.unwrap()
}

#[tokio::test]
async fn a_run_that_finds_another_at_work_is_skipped() {
    let world = synced().await;
    world.listing.put("a", "y");
    let first = world.host();
    let computed = prepared(&world, &first).await;
    let requests = world.listing.state().request_count;
    assert!(matches!(world.run().await, RunEnd::Skipped));
    assert_eq!(world.listing.state().request_count, requests);
    world.engine.push(&first, &world.connection, computed.number).await.unwrap();
    let request = CommitRequest::Pushed { number: computed.number };
    world.engine.commit(&first, &world.connection, &request).await.unwrap();
    world.assert_in_step();
}

#[tokio::test]
async fn of_two_runs_that_read_at_once_one_takes_the_number() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (first, second) = (world.host(), world.host());
    let id = &world.connection;
    let ReadOutcome::Read(read) = world.engine.read(&second, id).await.unwrap() else {
        panic!("a row changed")
    };
    prepared(&world, &first).await;
    let failure = world.engine.compute(&second, id, &read).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    // Another attempt of its first step learns the same, without a request.
    let again = world.engine.compute(&second, id, &read).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::Conflict);
}

#[tokio::test]
async fn of_two_unchanged_runs_at_once_one_commits() {
    let world = synced().await;
    let (first, second) = (world.host(), world.host());
    let id = &world.connection;
    let mut requests = Vec::new();
    for host in [&first, &second] {
        let ReadOutcome::Unchanged(read) = world.engine.read(host, id).await.unwrap() else {
            panic!("nothing changed")
        };
        requests.push(CommitRequest::Unchanged(read));
    }
    world.engine.commit(&first, id, &requests[0]).await.unwrap();
    let failure = world.engine.commit(&second, id, &requests[1]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert_eq!(world.log_names().await.len(), 3);
}

#[tokio::test]
async fn a_superseding_run_waits_for_the_longest_request_of_the_dead_one() {
    let world = synced().await;
    let mut destination = world.destination();
    destination.capabilities.settle = Duration::from_secs(7);
    destination.capabilities.request_timeout = Duration::from_secs(100);
    world.destinations.set(World::ADDRESS, destination.clone());
    world.listing.put("a", "y");
    world.run_that_dies(false).await;
    // The new run's own limits are shorter than those that the dead one sent under.
    destination.capabilities.settle = Duration::ZERO;
    destination.capabilities.request_timeout = Duration::from_secs(10);
    world.destinations.set(World::ADDRESS, destination);

    let host = world.host();
    let computed = prepared(&world, &host).await;
    let now = host.clock().now();
    let send_from = computed.send_from.unwrap();
    // The dead one may have given a request up after 5 + 100 s that left it just before.
    assert_eq!(send_from.duration_since(now).as_secs(), 5 + 100 + 100 + 7);
    let id = &world.connection;
    let failure = world.engine.push(&host, id, computed.number).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Waiting);
    assert_eq!(world.destination().take_ledger(), []);
    world.clock.advance(Duration::from_secs(208));
    // A short rest is waited for.
    world.engine.push(&host, id, computed.number).await.unwrap();
    assert!(host.clock().now() >= send_from);
    assert_eq!(world.destination().take_ledger().len(), 1);
}

#[tokio::test]
async fn a_superseding_run_that_sends_nothing_leaves_the_wait_to_the_next_one() {
    let world = synced().await;
    world.listing.put("a", "y");
    world.run_that_dies(true).await;
    for key in ["a", "b", "c", "d", "e", "f"] {
        world.listing.archive(key);
    }
    let host = world.host();
    let held = prepared(&world, &host).await;
    let id = &world.connection;
    world.engine.push(&host, id, held.number).await.unwrap();
    let request = CommitRequest::Pushed { number: held.number };
    let receipt = world.engine.commit(&host, id, &request).await.unwrap();
    host.close();
    assert_eq!((receipt.held_count, receipt.push.acknowledged), (6, 0));

    world.decide(Verdict::Approve(world.held(None).await)).await;
    world.destination().take_ledger();
    let host = world.host();
    let computed = prepared(&world, &host).await;
    assert!(held.send_from.is_some());
    assert_eq!(computed.send_from, held.send_from);
    let failure = world.engine.push(&host, id, computed.number).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Waiting);
    assert_eq!(world.destination().take_ledger(), []);
}

#[tokio::test]
async fn an_attempt_that_finds_the_entry_counts_the_wait_from_then() {
    let world = synced().await;
    world.listing.put("a", "y");
    world.run_that_dies(false).await;
    let host = world.host();
    let id = &world.connection;
    let ReadOutcome::Read(read) = world.engine.read(&host, id).await.unwrap() else {
        panic!("a row changed")
    };
    let first = world.engine.compute(&host, id, &read).await.unwrap();
    // The entry's creation may have taken that long: an old sender may have looked just before.
    world.clock.advance(Duration::from_secs(30));
    let second = world.engine.compute(&host, id, &read).await.unwrap();
    let later = second.send_from.unwrap().duration_since(first.send_from.unwrap());
    assert_eq!(later.as_secs(), 30);
}

#[tokio::test]
async fn the_fence_stops_an_old_sender() {
    let world = synced().await;
    for key in ["a", "b", "c", "d"] {
        world.listing.put(key, "y");
    }
    let old = world.host();
    let computed = prepared(&world, &old).await;
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let supersede = async {
        held.arrived.await.unwrap();
        old.close();
        let new = world.host();
        let computed = prepared(&world, &new).await;
        held.release.send(()).unwrap();
        (new, computed)
    };
    let push = world.engine.push(&old, &world.connection, computed.number);
    let (pushed, (new, computed)) = tokio::join!(push, supersede);
    let failure = pushed.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("a later run has begun"), "{}", failure.message);
    // The batch that was on its way, and no other.
    assert_eq!(world.destination().take_ledger().len(), 1);
    assert_eq!(world.paths_with("late/").await, [""; 0]);

    // It can neither send nor commit any more.
    let id = &world.connection;
    let request = CommitRequest::Pushed { number: computed.number };
    world.engine.commit(&old, id, &request).await.unwrap_err();
    let number = computed.number;
    world.attempts(async || world.engine.push(&new, id, number).await).await.unwrap();
    world.engine.commit(&new, id, &request).await.unwrap();
    world.assert_in_step();
}

#[tokio::test]
async fn a_sender_that_was_frozen_says_so_and_the_next_run_makes_it_good() {
    let world = synced().await;
    world.listing.put("a", "frozen");
    let old = world.host();
    let computed = prepared(&world, &old).await;
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let overtake = async {
        held.arrived.await.unwrap();
        old.close();
        world.hour();
        world.listing.put("a", "newest");
        world.run().await.receipt();
        world.assert_in_step();
        held.release.send(()).unwrap();
    };
    let push = world.engine.push(&old, &world.connection, computed.number);
    let (_, ()) = tokio::join!(push, overtake);
    assert_eq!(
        world.destination().records()["newsletter:a"],
        crate::support::record("a", "frozen")
    );
    let late = world.paths_with("late/").await;
    assert_eq!(late.len(), 1);
    // Until then nobody is told that the destination is fresh.
    let look = Look::at(world.engine.store(), &world.connection).await.unwrap().unwrap();
    assert_eq!(look.proven(), Err(Unproven::LateBatch));

    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.push.repeated, 1);
    world.assert_in_step();
    let look = look.again(world.engine.store()).await.unwrap().unwrap();
    assert!(look.proven().is_ok());
    let handled = world.newest_commit().await.manifest.late_handled;
    assert_eq!(late, [format!("late/{}", handled[0])]);
    // It is made good once.
    world.hour();
    assert_eq!(world.run().await.receipt().push, Default::default());
}

/// A run was superseded with its batch under way, which takes effect while `meanwhile` is at work.
async fn overtaken_while(world: &World, meanwhile: impl AsyncFnOnce()) {
    world.listing.put("a", "frozen");
    let old = world.host();
    let computed = prepared(world, &old).await;
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let overtake = async {
        held.arrived.await.unwrap();
        old.close();
        world.hour();
        world.listing.put("a", "newest");
        world.run().await.receipt();
        world.hour();
        meanwhile().await;
        held.release.send(()).unwrap();
    };
    let push = world.engine.push(&old, &world.connection, computed.number);
    let (_, ()) = tokio::join!(Box::pin(push), Box::pin(overtake));
    assert_eq!(world.paths_with("late/").await.len(), 1);
}

#[tokio::test]
async fn a_run_is_not_green_if_a_frozen_sender_woke_beside_it() {
    let world = synced().await;
    let id = &world.connection;
    world.listing.put("b", "y");
    let third = world.host();
    let mut number = None;
    overtaken_while(&world, async || {
        world.listing.put("b", "z");
        let computed = prepared(&world, &third).await;
        world.engine.push(&third, id, computed.number).await.unwrap();
        number = Some(computed.number);
    })
    .await;
    let request = CommitRequest::Pushed { number: number.unwrap() };
    let failure = world.engine.commit(&third, id, &request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    third.close();
    world.hour();
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn an_unchanged_run_is_not_green_if_a_frozen_sender_woke_beside_it() {
    let world = synced().await;
    let id = &world.connection;
    let third = world.host();
    let mut request = None;
    overtaken_while(&world, async || {
        let ReadOutcome::Unchanged(read) = world.engine.read(&third, id).await.unwrap() else {
            panic!("nothing changed")
        };
        request = Some(CommitRequest::Unchanged(read));
    })
    .await;
    let failure = world.engine.commit(&third, id, &request.unwrap()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    third.close();
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn what_a_frozen_sender_left_at_work_is_waited_for() {
    let world = synced().await;
    overtaken_while(&world, async || {}).await;
    let host = world.host();
    let computed = prepared(&world, &host).await;
    let wait = computed.send_from.unwrap().duration_since(host.clock().now());
    let longest = world.destination().capabilities.request_timeout.as_secs();
    assert_eq!(wait.as_secs().unsigned_abs(), 5 + 2 * longest);
}

#[tokio::test]
async fn no_write_is_sent_before_every_removal_is_answered() {
    let world = synced().await;
    let mut destination = world.destination();
    destination.capabilities.simultaneous_batches = 8;
    world.destinations.set(World::ADDRESS, destination);
    for key in ["a", "b", "c"] {
        world.listing.archive(key);
    }
    for key in ["d", "e", "f"] {
        world.listing.put(key, "y");
    }
    let (fault, held) = Fault::hold();
    world.destination().state().script.push_back(fault);
    let kinds = |world: &World| {
        let ledger = world.destination().take_ledger();
        ledger.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let look = async {
        held.arrived.await.unwrap();
        // The other removals go their way beside the held one.
        while world.paths_with("acks/000000000002/run-2/0").await.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(kinds(&world), [BatchKind::Remove; 3]);
        held.release.send(()).unwrap();
    };
    let (end, ()) = tokio::join!(world.run(), look);
    end.receipt();
    assert_eq!(kinds(&world), [BatchKind::Write; 2]);
    world.assert_in_step();
}
