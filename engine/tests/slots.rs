//! A sender that waits for a place among the requests of its credential.

use tidemark_engine::port::{Slot, Stop};
use tidemark_model::failure::FailureKind;

use crate::{
    fences::{prepared, synced},
    support::World,
};

/// The only place of the destination: whoever sends has to wait for it.
async fn only_slot(world: &World) -> Slot {
    let mut destination = world.destination();
    destination.slot_limit = 1;
    destination.state().asked_for_a_slot = 0;
    world.destinations.set(World::ADDRESS, destination.clone());
    destination.slots.take(1).await
}

/// Until a sender waits for its place.
async fn asked_for(world: &World) {
    while world.destination().state().asked_for_a_slot == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sender_that_waits_for_its_place_hears_the_stop() {
    let world = synced().await;
    world.listing.put("a", "y");
    let host = world.host();
    let computed = prepared(&world, &host).await;
    let slot = only_slot(&world).await;
    let stop = async {
        asked_for(&world).await;
        host.stop_with(Some(Stop::Draining));
    };
    let push = world.engine.push(&host, &world.connection, computed.number);
    let (pushed, ()) = tokio::join!(push, stop);
    assert_eq!(pushed.unwrap_err().kind, FailureKind::Draining);
    assert_eq!(world.destination().take_ledger(), []);
    drop(slot);
}

#[tokio::test]
async fn a_long_wait_for_a_place_makes_no_look_too_old() {
    let world = synced().await;
    world.listing.put("a", "y");
    let host = world.host();
    let computed = prepared(&world, &host).await;
    let slot = only_slot(&world).await;
    let free = async {
        asked_for(&world).await;
        world.hour();
        drop(slot);
    };
    let push = world.engine.push(&host, &world.connection, computed.number);
    let (pushed, ()) = tokio::join!(push, free);
    pushed.unwrap();
    assert_eq!(world.destination().take_ledger().len(), 1);
    assert_eq!(world.paths_with("late/").await, [""; 0]);
}

#[tokio::test]
async fn a_sender_that_is_superseded_while_it_waits_for_its_place_sends_nothing() {
    let world = synced().await;
    world.listing.put("a", "y");
    let (old, new) = (world.host(), world.host());
    let computed = prepared(&world, &old).await;
    let slot = only_slot(&world).await;
    let supersede = async {
        asked_for(&world).await;
        old.close();
        world.listing.put("a", "z");
        prepared(&world, &new).await;
        drop(slot);
    };
    let push = world.engine.push(&old, &world.connection, computed.number);
    let (pushed, ()) = tokio::join!(push, supersede);
    assert_eq!(pushed.unwrap_err().kind, FailureKind::Conflict);
    assert_eq!(world.destination().take_ledger(), []);
}
