//! Every operation of the store fails once, before and after it took effect: the end is the same.

use std::time::Duration;

use tidemark_model::receipt::Outcome;

use crate::support::{FaultAt, World};

/// What a history leaves.
#[derive(Debug, PartialEq, Eq)]
struct End {
    rows: u64,
    records: u64,
    outcome: Outcome,
    log: Vec<String>,
}

/// A first sync, changes of each kind, and an unchanged run.
async fn history(world: &World) -> End {
    for key in ["a", "b", "c", "d", "e"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.assert_in_step();
    world.hour();
    world.listing.put("a", "y");
    world.listing.put("f", "y");
    world.listing.archive("b");
    world.run().await.receipt();
    world.assert_in_step();
    world.hour();
    let receipt = world.run().await.receipt();
    world.assert_in_step();
    let log = world.log_names().await;
    let (rows, records) = (receipt.rows.next, receipt.records.next);
    End { rows, records, outcome: receipt.outcome, log }
}

#[tokio::test]
async fn a_fault_at_any_operation_leaves_the_same_end() {
    let expected = history(&World::new().await).await;
    assert_eq!((expected.rows, expected.log.len()), (5, 5));
    for at in [FaultAt::Before, FaultAt::After] {
        for operation in 0.. {
            let world = World::new().await;
            world.objects.fail(operation, at);
            assert_eq!(history(&world).await, expected, "{at:?} operation {operation}");
            if world.objects.has_fault() {
                // The history is shorter: every operation had its fault.
                assert!(operation > 50, "only {operation} operations were counted");
                break;
            }
        }
    }
}

/// A run that died after it had pushed, and one that makes it good.
async fn superseding_history(world: &World) -> End {
    for key in ["a", "b", "c"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.hour();
    let modified = world.listing.modified("a");
    world.listing.put("a", "y");
    world.run_that_dies(true).await;
    world.listing.put_as_of("a", "x", modified);
    world.clock.advance(Duration::from_secs(60));
    let receipt = world.run().await.receipt();
    world.assert_in_step();
    let log = world.log_names().await;
    let (rows, records) = (receipt.rows.next, receipt.records.next);
    End { rows, records, outcome: receipt.outcome, log }
}

#[tokio::test]
async fn a_fault_at_any_operation_of_a_superseding_run_leaves_the_same_end() {
    let expected = superseding_history(&World::new().await).await;
    for at in [FaultAt::Before, FaultAt::After] {
        for operation in 0.. {
            let world = World::new().await;
            world.objects.fail(operation, at);
            let end = superseding_history(&world).await;
            assert_eq!(end, expected, "{at:?} operation {operation}");
            if world.objects.has_fault() {
                break;
            }
        }
    }
}
