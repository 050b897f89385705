//! The destination is held against the snapshot, and repaired.

use std::collections::BTreeMap;

use tidemark_engine::run::{DifferenceKind, Verified};
use tidemark_model::{
    exception::{RecordName, Verdict},
    failure::FailureKind,
    receipt::Outcome,
    step::ReadOutcome,
};

use crate::support::{World, definition_toml, record};

async fn in_step() -> World {
    let world = World::new().await;
    for number in 0..9 {
        world.listing.put(&format!("k{number}"), "x");
    }
    world.run().await.receipt();
    world
}

async fn verify(world: &World) -> Verified {
    let host = world.host();
    let verified = world.engine.verify(&host, &world.connection, 100).await.unwrap();
    host.close();
    verified
}

fn named(verified: &Verified) -> Vec<(DifferenceKind, &str)> {
    verified.differences.iter().map(|one| (one.kind, one.record.key.as_str())).collect()
}

#[tokio::test]
async fn what_is_in_step_is_found_equal() {
    let verified = verify(&in_step().await).await;
    assert_eq!((verified.equal_count, verified.difference_count()), (9, 0));
}

#[tokio::test]
async fn each_difference_is_named_and_repaired() {
    let world = in_step().await;
    {
        let destination = world.destination();
        let records: &mut BTreeMap<String, String> = &mut destination.state().records;
        records.remove("newsletter:k0");
        records.insert("newsletter:k4".to_owned(), record("k4", "overwritten"));
        records.insert("newsletter:k9".to_owned(), record("k9", "foreign"));
    }
    let verified = verify(&world).await;
    assert_eq!(
        named(&verified),
        [
            (DifferenceKind::Missing, "k0"),
            (DifferenceKind::Different, "k4"),
            (DifferenceKind::Surplus, "k9"),
        ]
    );
    assert_eq!((verified.equal_count, verified.difference_count()), (7, 3));
    assert_eq!(verified.differences[1].fields, ["email"]);

    let records: Vec<RecordName> =
        verified.differences.into_iter().map(|difference| difference.record).collect();
    world.decide(Verdict::Repair { records }).await;
    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.push.repeated), (Outcome::InStep, 3));
    world.assert_in_step();
    assert_eq!(verify(&world).await.difference_count(), 0);
}

#[tokio::test]
async fn what_an_exception_explains_is_no_difference() {
    let world = in_step().await;
    world.destination().state().refuses.insert("newsletter:k3".to_owned());
    world.listing.put("k3", "changed");
    for number in 4..9 {
        world.listing.archive(&format!("k{number}"));
    }
    world.listing.archive("k0");
    world.listing.archive("k1");
    world.listing.archive("k2");
    world.listing.archive("k3");
    world.hour();
    assert_eq!(world.run().await.receipt().held_count, 9);
    let verified = verify(&world).await;
    assert_eq!((verified.excused_count, verified.difference_count()), (9, 0));
}

#[tokio::test]
async fn a_destination_that_cannot_be_read_back_is_told_apart() {
    let world = in_step().await;
    let mut destination = world.destination();
    destination.capabilities.reads_back = false;
    world.destinations.set(World::ADDRESS, destination);
    let host = world.host();
    let failure = world.engine.verify(&host, &world.connection, 100).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
    assert!(failure.hint.unwrap().contains("--resend"));
}

#[tokio::test]
async fn records_that_are_kept_are_no_difference() {
    let world = World::unapplied();
    let toml = definition_toml(World::ADDRESS, "");
    world.apply(&toml.replace("\"propagate\"", "\"keep\""), false).await;
    for number in 0..9 {
        world.listing.put(&format!("k{number}"), "x");
    }
    world.run().await.receipt();
    world.listing.archive("k3");
    world.hour();
    world.run().await.receipt();
    let verified = verify(&world).await;
    assert_eq!((verified.equal_count, verified.excused_count), (8, 1));
    assert_eq!(verified.difference_count(), 0);
}

#[tokio::test]
async fn a_run_at_work_ends_the_comparison() {
    let world = in_step().await;
    world.listing.put("k1", "changed");
    world.hour();
    let run = world.host();
    let read = world.engine.read(&run, &world.connection).await.unwrap();
    let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
    world.engine.compute(&run, &world.connection, &read).await.unwrap();
    let host = world.host();
    let failure = world.engine.verify(&host, &world.connection, 100).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict, "{failure}");
    // Of a run that died nobody sends any more.
    run.close();
    assert!(world.engine.verify(&host, &world.connection, 100).await.is_ok());
}
