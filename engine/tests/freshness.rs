//! The freshness gate, as runs, edits and late senders leave the store.

use std::time::Duration;

use tidemark_engine::{
    freshness::{Freshness, Look, Proven, State, Subject, Unproven},
    port::Clock as _,
    run::decide,
};
use tidemark_model::exception::Verdict;

use crate::support::{World, definition_toml};

const OTHER: &str = "http://two.test/record";

async fn synced() -> World {
    let world = World::new().await;
    for key in ["a", "b", "c"] {
        world.listing.put(key, "x");
    }
    world.run().await.receipt();
    world.hour();
    world
}

async fn look(world: &World) -> Look {
    Look::at(world.engine.store(), &world.connection).await.unwrap().unwrap()
}

/// What a look that begins anew says, and one that goes on from `earlier`.
async fn proven(world: &World, earlier: &Look) -> Result<Proven, Unproven> {
    let anew = look(world).await.proven();
    let again = earlier.again(world.engine.store()).await.unwrap().unwrap().proven();
    assert_eq!(anew, again, "a cheaper look sees the same");
    anew
}

#[tokio::test]
async fn a_commit_is_seen_and_ages() {
    let world = World::new().await;
    world.listing.put("a", "x");
    let first = look(&world).await;
    assert_eq!(first.proven(), Err(Unproven::NeverInStep));
    world.run().await.receipt();
    let one = proven(&world, &first).await.unwrap();
    let second = look(&world).await;

    // One that changes nothing is a commit as well.
    world.hour();
    let receipt = world.run().await.receipt();
    let two = proven(&world, &second).await.unwrap();
    assert_eq!((one.run.get(), two.run.get()), (1, 2));
    assert_eq!(two.complete_as_of, receipt.complete_as_of);

    let hour = Duration::from_hours(1);
    let judge = async || Freshness::of(&look(&world).await, hour, world.clock.now()).state;
    assert_eq!(judge().await, State::Fresh);
    world.hour();
    assert_eq!(judge().await, State::NotFresh);
}

#[tokio::test]
async fn a_run_that_dies_moves_nothing() {
    let world = synced().await;
    let before = look(&world).await;
    world.listing.put("a", "y");
    world.run_that_dies(true).await;
    assert_eq!(proven(&world, &before).await, before.proven());
    let after = look(&world).await;
    world.run().await.receipt();
    assert_eq!(proven(&world, &after).await.unwrap().run.get(), 3);
}

#[tokio::test]
async fn an_edit_is_not_in_force_before_a_run_commits_under_it() {
    let mapped = definition_toml(World::ADDRESS, "").replace("email_address", "merge_fields.EMAIL");
    for toml in [definition_toml(OTHER, ""), mapped] {
        let world = synced().await;
        let before = look(&world).await;
        world.apply(&toml, false).await;
        assert_eq!(proven(&world, &before).await, Err(Unproven::Edited { version: 2 }));
        let edited = look(&world).await;
        world.run().await.receipt();
        assert_eq!(proven(&world, &edited).await.unwrap().run.get(), 2);
    }
}

#[tokio::test]
async fn an_edit_that_sends_nothing_again_costs_no_freshness() {
    let world = synced().await;
    let before = look(&world).await;
    world.apply(&definition_toml(World::ADDRESS, "retry_rejected = 5"), false).await;
    assert_eq!(proven(&world, &before).await, before.proven());
    world.apply(&definition_toml(OTHER, ""), true).await;
    assert_eq!(proven(&world, &before).await, before.proven());
}

#[tokio::test]
async fn an_edit_that_was_taken_back_is_in_force_only_if_no_run_began_under_it() {
    let world = synced().await;
    let toml = definition_toml(World::ADDRESS, "");
    let edited = toml.replace("[connection.record]", "[connection.record]\nid_prefix = \"n:\"");
    let before = look(&world).await;
    world.apply(&edited, false).await;
    world.apply(&toml, false).await;
    assert_eq!(proven(&world, &before).await, before.proven());

    world.apply(&edited, false).await;
    world.run_that_dies(true).await;
    world.apply(&toml, false).await;
    assert_eq!(proven(&world, &before).await, Err(Unproven::Edited { version: 5 }));
    world.run().await.receipt();
    assert!(proven(&world, &before).await.is_ok());
}

#[tokio::test]
async fn removed_records_are_not_fresh() {
    let world = synced().await;
    let before = look(&world).await;
    let now = world.clock.now();
    let verdict = Verdict::RemoveRecords { definition_version: 1 };
    decide(&world.folder(), "olga", now, None, verdict).await.unwrap();
    // What began may have removed any record.
    world.run_that_dies(true).await;
    assert_eq!(proven(&world, &before).await, Err(Unproven::RecordsRemoved));
    world.run().await.receipt();
    assert_eq!(proven(&world, &before).await, Err(Unproven::RecordsRemoved));
}

#[tokio::test]
async fn a_purge_and_a_removal_end_it() {
    let world = synced().await;
    let before = look(&world).await;
    world.engine.purge(&world.connection).await.unwrap();
    assert_eq!(proven(&world, &before).await, Err(Unproven::NeverInStep));
    world.store_version(None, false).await;
    let store = world.engine.store();
    assert!(before.again(store).await.unwrap().is_none());
    assert!(Look::at(store, &world.connection).await.unwrap().is_none());
}

#[tokio::test]
async fn an_account_is_all_its_connections_but_the_removed_ones() {
    let world = synced().await;
    let store = world.engine.store();
    let account: Subject = "acme".parse().unwrap();
    let names = |looks: &[Look]| -> Vec<String> {
        looks.iter().map(|look| look.connection().to_string()).collect()
    };
    let first = account.look(store, &[]).await.unwrap();
    assert_eq!(names(&first), ["acme/newsletter"]);

    // Names that sort otherwise with a slash behind them.
    for id in ["acme/new", "acme/newsletter-x"] {
        let stored = tidemark_engine::definitions::newest(&world.folder()).await.unwrap().unwrap();
        let stored = tidemark_engine::definitions::StoredDefinition { version: 1, ..stored };
        let folder = store.connection(&id.parse().unwrap());
        tidemark_engine::definitions::put(&folder, stored).await.unwrap();
    }
    let second = account.look(store, &first).await.unwrap();
    assert_eq!(names(&second), ["acme/new", "acme/newsletter", "acme/newsletter-x"]);
    world.store_version(None, false).await;
    let third = account.look(store, &second).await.unwrap();
    assert_eq!(names(&third), ["acme/new", "acme/newsletter-x"]);
    let nobody: Subject = "nobody".parse().unwrap();
    assert_eq!(nobody.look(store, &[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_store_that_went_back_in_time_is_noticed() {
    let world = synced().await;
    world.hour();
    world.run().await.receipt();
    let before = look(&world).await;
    world.delete("log/000000000/000000000002.prepared").await;
    assert_eq!(proven(&world, &before).await.unwrap().run.get(), 1);
}

#[tokio::test]
async fn a_damaged_log_is_an_error() {
    let world = synced().await;
    let before = look(&world).await;
    world.listing.put("a", "y");
    world.run().await.receipt();
    world.delete("log/000000000/000000000001.prepared").await;
    let store = world.engine.store();
    before.again(store).await.unwrap_err();
    Look::at(store, &world.connection).await.unwrap_err();
}
