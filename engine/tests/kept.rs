//! Records whose rows are gone and that stay: they are known by name, until all are given up.

use tidemark_engine::diff::ChangeSet;
use tidemark_model::{exception::Verdict, receipt::Receipt};

use crate::support::{World, definition_toml};

/// The destination does not remove it.
const REFUSED: &str = "newsletter:k07";

fn keep() -> String {
    definition_toml(World::ADDRESS, "retry_rejected = 1000")
        .replace("deletions = \"propagate\"", "deletions = \"keep\"")
}

async fn keeping(count: u32) -> World {
    let world = World::unapplied();
    world.apply(&keep(), false).await;
    for number in 0..count {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    next(&world).await;
    world
}

async fn next(world: &World) -> Receipt {
    world.hour();
    world.run().await.receipt()
}

/// The ids that the newest commit knows to stay, in order.
async fn kept(world: &World) -> Vec<String> {
    let Some(file) = world.newest_commit().await.manifest.kept else { return Vec::new() };
    let set = ChangeSet::open(&world.folder(), &file).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..set.batches().len() {
        ids.extend(set.load(number).await.unwrap().writes.into_iter().map(|write| write.id));
    }
    assert_eq!(file.row_count, ids.len() as u64);
    ids.sort_unstable();
    ids
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("newsletter:k{number:02}")).collect()
}

#[tokio::test]
async fn what_stays_is_known_until_its_row_is_back() {
    let world = keeping(5).await;
    assert_eq!(kept(&world).await, ids([]));
    for key in ["k00", "k01"] {
        world.listing.archive(key);
    }
    let receipt = next(&world).await;
    assert_eq!((receipt.records.kept, receipt.push.sent(), receipt.waived_count), (2, 0, 0));
    assert_eq!(kept(&world).await, ids([0, 1]));
    world.listing.archive("k02");
    world.listing.put("k03", "y");
    next(&world).await;
    assert_eq!(kept(&world).await, ids([0, 1, 2]));
    // An unchanged run says the same.
    next(&world).await;
    assert_eq!(kept(&world).await, ids([0, 1, 2]));
    world.listing.put("k01", "back");
    next(&world).await;
    assert_eq!(kept(&world).await, ids([0, 2]));
    assert_eq!(world.destination().records().len(), 5);
}

#[tokio::test]
async fn giving_all_records_up_removes_what_stayed_as_well() {
    let world = keeping(5).await;
    world.listing.archive("k00");
    next(&world).await;
    world.decide(Verdict::RemoveRecords { definition_version: 1 }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.removals(), receipt.records.next), (5, 0));
    assert!(world.destination().records().is_empty());
    assert_eq!(kept(&world).await, ids([]));
}

#[tokio::test]
async fn what_only_a_dead_run_sent_stays_and_is_known_once() {
    let world = keeping(5).await;
    world.listing.archive("k00");
    next(&world).await;
    world.listing.put("k00", "back");
    world.listing.put("k05", "new");
    world.run_that_dies(true).await;
    world.hour();
    for key in ["k00", "k05"] {
        world.listing.archive(key);
    }
    next(&world).await;
    assert_eq!(kept(&world).await, ids([0, 5]));
    assert_eq!(world.destination().records().len(), 6);
}

#[tokio::test]
async fn what_was_held_or_refused_stays_once_gone_records_are_kept() {
    let world = World::with_policy("retry_rejected = 1000").await;
    for number in 0..20 {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    next(&world).await;
    world.destination().state().refuses.insert(REFUSED.to_owned());
    world.listing.archive("k07");
    assert_eq!(next(&world).await.rejected_count, 1);
    for number in 8..20 {
        world.listing.archive(&format!("k{number:02}"));
    }
    assert_eq!(next(&world).await.held_count, 12);
    world.apply(&keep(), false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, receipt.exception_count), (0, 0));
    assert_eq!(kept(&world).await, ids(7..20));
}

#[tokio::test]
async fn what_stays_lies_in_few_files_however_many_runs_add_to_it() {
    let world = keeping(40).await;
    let mut most = 0;
    for number in 0..40 {
        world.listing.archive(&format!("k{number:02}"));
        next(&world).await;
        let file = world.newest_commit().await.manifest.kept.unwrap();
        most = most.max(ChangeSet::open(&world.folder(), &file).await.unwrap().files().len());
    }
    assert_eq!(kept(&world).await, ids(0..40));
    assert!((2..=16).contains(&most), "{most} files");
}

#[tokio::test]
async fn a_sweep_leaves_what_stays() {
    let world = keeping(5).await;
    world.listing.archive("k00");
    next(&world).await;
    for _ in 0..100 {
        world.hour();
        next(&world).await;
    }
    assert!(world.sweep().await.unwrap().changes.objects > 0, "nothing was old enough");
    assert_eq!(kept(&world).await, ids([0]));
}
