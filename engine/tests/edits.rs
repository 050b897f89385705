//! What an edited definition, or a purge, makes the next run do.

use tidemark_model::failure::FailureKind;

use crate::support::{World, definition_toml};

const OTHER: &str = "http://two.test/record";

async fn synced() -> World {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.destination().take_ledger();
    world.hour();
    world
}

#[tokio::test]
async fn a_new_address_gets_every_record_and_the_old_one_keeps_its_own() {
    let world = synced().await;
    world.apply(&definition_toml(OTHER, ""), false).await;
    let receipt = world.run().await.receipt();
    assert!(!receipt.full_read);
    assert_eq!((receipt.push.repeated, receipt.push.removed), (3, 0));
    assert_eq!(world.destinations.at(OTHER).records(), world.listing.records());
    assert_eq!(world.destination().records(), world.listing.records());
    assert_eq!(world.destination().take_ledger(), []);
    world.hour();
    assert_eq!(world.run().await.receipt().push, Default::default());
}

#[tokio::test]
async fn a_new_address_of_the_old_system_gets_nothing_again() {
    let world = synced().await;
    world.apply(&definition_toml(OTHER, ""), true).await;
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.push, Default::default());
    assert_eq!(world.destinations.at(OTHER).take_ledger(), []);
    world.hour();
    world.listing.put("a", "y");
    world.run().await.receipt();
    assert_eq!(world.destinations.at(OTHER).take_ledger().len(), 1);
}

#[tokio::test]
async fn what_a_dead_run_sent_to_another_address_of_the_same_system_is_sent_again() {
    let world = synced().await;
    let modified = world.listing.modified("a");
    world.listing.put("a", "changed");
    world.apply(&definition_toml(OTHER, ""), true).await;
    world.run_that_dies(true).await;
    // Back to the old address, without a word that it is the same system, and the row is as it was.
    world.apply(&definition_toml(World::ADDRESS, ""), false).await;
    world.listing.put_as_of("a", "x", modified);
    world.hour();
    assert_eq!(world.run().await.receipt().push.repeated, 1);
    assert_eq!(world.destination().take_ledger().len(), 1);
}

#[tokio::test]
async fn a_changed_mapping_makes_a_full_reading() {
    let world = synced().await;
    let toml = definition_toml(World::ADDRESS, "");
    world.apply(&toml.replace("email_address", "merge_fields.EMAIL"), false).await;
    let receipt = world.run().await.receipt();
    assert!(receipt.full_read);
    assert_eq!(receipt.push, Default::default());
}

#[tokio::test]
async fn another_id_rule_maps_every_row_anew_and_sends_every_record() {
    let world = synced().await;
    let toml = definition_toml(World::ADDRESS, "");
    let toml = toml.replace("[connection.record]", "[connection.record]\nid_prefix = \"n:\"");
    world.apply(&toml, false).await;
    let receipt = world.run().await.receipt();
    assert!(receipt.full_read);
    assert_eq!(receipt.push.acknowledged, 3);
}

#[tokio::test]
async fn a_limit_costs_nothing() {
    let world = synced().await;
    world.apply(&definition_toml(World::ADDRESS, "retry_rejected = 5"), false).await;
    let receipt = world.run().await.receipt();
    assert!(!receipt.full_read);
    assert_eq!((receipt.push, receipt.definition_version), (Default::default(), 2));
}

#[tokio::test]
async fn after_a_purge_the_log_goes_on_with_a_first_sync() {
    let world = synced().await;
    assert!(world.engine.purge(&world.connection).await.unwrap() > 0);
    for folder in ["snapshots/", "changes/", "pages/", "acks/", "exceptions/"] {
        assert_eq!(world.paths_with(folder).await, [""; 0], "{folder}");
    }
    // Purging again, or what is empty, is no error.
    assert_eq!(world.engine.purge(&world.connection).await.unwrap(), 0);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.number.get(), receipt.full_read), (2, true));
    assert_eq!((receipt.rows.previous, receipt.push.added), (0, 3));
    world.assert_in_step();
    world.hour();
    world.listing.archive("a");
    assert_eq!(world.run().await.receipt().number.get(), 3);
    world.assert_in_step();
}

#[tokio::test]
async fn a_purge_covers_a_run_that_died() {
    let world = synced().await;
    world.listing.put("a", "y");
    world.run_that_dies(true).await;
    world.engine.purge(&world.connection).await.unwrap();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.number.get(), receipt.push.added), (3, 3));
    world.assert_in_step();
}

#[tokio::test]
async fn a_removed_connection_goes_on_from_its_log_when_it_is_applied_again() {
    let world = synced().await;
    world.store_version(None, false).await;
    assert_eq!(world.run().await.failure().kind, FailureKind::Gone);
    world.apply(&definition_toml(World::ADDRESS, ""), false).await;
    world.listing.archive("b");
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.number.get(), receipt.push.removed), (2, 1));
    world.assert_in_step();
}
