//! Removals that look like a mistake wait for an operator, and all else flows.

use std::time::Duration;

use tidemark_model::{
    exception::{HoldRule, Verdict},
    receipt::{Outcome, Receipt},
};

use crate::support::{Shown, World, definition_toml};

/// A connection in step with so many records.
async fn in_step(count: u32, extra: &str) -> World {
    let world = World::with_policy(extra).await;
    for number in 0..count {
        world.listing.put(&format!("k{number:03}"), "x");
    }
    world.run().await.receipt();
    world.hour();
    world.destination().take_ledger();
    world
}

fn archive(world: &World, numbers: std::ops::Range<u32>) {
    for number in numbers {
        world.listing.archive(&format!("k{number:03}"));
    }
}

/// An archived row is shown again, a second after it went.
fn come_back(world: &World, key: &str) {
    world.clock.advance(Duration::from_secs(1));
    world.listing.unarchive(key, "back", world.clock.seconds());
}

async fn next(world: &World) -> Receipt {
    world.hour();
    world.run().await.receipt()
}

#[tokio::test]
async fn a_mass_deletion_is_held_while_additions_and_changes_flow() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.listing.put("new", "1");
    world.listing.put("k015", "2");
    let receipt = world.run().await.receipt();
    assert_eq!(receipt.outcome, Outcome::Held);
    assert_eq!((receipt.push.removed, receipt.push.held, receipt.held_count), (11, 11, 11));
    assert_eq!(receipt.push.removals(), 0);
    assert_eq!((receipt.push.added, receipt.push.changed, receipt.exception_count), (1, 1, 11));
    assert_eq!(world.destination().records().len(), 21);
    let hold = world.newest_commit().await.manifest.hold.unwrap();
    assert_eq!(hold.rule, HoldRule::MoreThanHalf { removals: 11, records: 20 });
    let rule = "11 of 20 records within 24 hours are more than half";
    assert_eq!(hold.rule.to_string(), rule);
    assert_eq!(receipt.hold_rule.as_deref(), Some(rule));

    // An unchanged run keeps it and sends nothing.
    world.destination().take_ledger();
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::Held, 11));
    assert_eq!(receipt.hold_rule.as_deref(), Some(rule));
    assert_eq!(world.destination().take_ledger(), []);

    world.decide(Verdict::Approve(world.held(None).await)).await;
    let receipt = next(&world).await;
    assert_eq!(
        (receipt.outcome, receipt.push.repeated, receipt.push.held),
        (Outcome::InStep, 11, 0)
    );
    assert_eq!((receipt.push.removals(), receipt.push.rewrites()), (11, 0));
    assert_eq!(receipt.hold_rule, None);
    world.assert_in_step();
}

#[tokio::test]
async fn a_source_that_suddenly_has_nothing_removes_nothing() {
    let world = in_step(3, "").await;
    archive(&world, 0..3);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::Held, 3));
    assert_eq!(world.destination().records().len(), 3);
    let hold = world.newest_commit().await.manifest.hold.unwrap();
    assert_eq!(hold.rule, HoldRule::NothingLeft { records: 3 });
}

#[tokio::test]
async fn rows_that_come_back_leave_the_hold() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    for number in 0..11 {
        come_back(&world, &format!("k{number:03}"));
    }
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::InStep, 0));
    assert_eq!(world.newest_commit().await.manifest.hold, None);
    world.assert_in_step();
}

#[tokio::test]
async fn an_approval_of_what_has_moved_on_is_not_carried_out() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    let seen = world.held(None).await;
    come_back(&world, "k000");
    next(&world).await;
    world.decide(Verdict::Approve(seen)).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::Held, 10));
    let manifest = world.newest_commit().await.manifest;
    assert_eq!((manifest.decided, manifest.stale_decisions), (1, vec![1]));
    assert_eq!(world.destination().records().len(), 20);
}

#[tokio::test]
async fn single_removals_are_approved_and_others_waived() {
    let world = in_step(20, "").await;
    archive(&world, 0..12);
    world.run().await.receipt();
    let ids = ["newsletter:k000", "newsletter:k001"];
    world.decide(Verdict::Approve(world.held(Some(&ids)).await)).await;
    let others: Vec<String> = (2..12).map(|number| format!("newsletter:k{number:03}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let removals = world.held(Some(&others[1..])).await;
    world.decide(Verdict::Waive { removals, why: "kept for the audit".to_owned() }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, receipt.waived_count), (1, 9));
    assert_eq!(world.destination().records().len(), 18);

    // What was waived is not owed, and ends when the row is back.
    come_back(&world, "k005");
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, receipt.waived_count), (1, 8));
}

#[tokio::test]
async fn an_approval_does_not_open_the_door_for_other_removals() {
    let world = in_step(40, "").await;
    archive(&world, 0..21);
    world.run().await.receipt();
    world.decide(Verdict::Approve(world.held(None).await)).await;
    archive(&world, 21..33);
    let receipt = next(&world).await;
    assert_eq!((receipt.push.held, receipt.push.repeated, receipt.held_count), (12, 21, 12));
    assert_eq!(world.destination().records().len(), 19);
    world.decide(Verdict::Approve(world.held(None).await)).await;
    assert_eq!(next(&world).await.outcome, Outcome::InStep);
    world.assert_in_step();
}

#[tokio::test]
async fn the_limit_looks_back_a_day_and_no_further() {
    let world = in_step(40, "hold_deletions = { over = 4, and_over_fraction = 0 }").await;
    archive(&world, 0..4);
    assert_eq!(world.run().await.receipt().outcome, Outcome::InStep);
    archive(&world, 4..5);
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::Held, 1));
    world.clock.advance(Duration::from_hours(26));
    archive(&world, 5..9);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.held_count, receipt.push.removed, receipt.push.held), (1, 4, 0));
}

#[tokio::test]
async fn a_run_that_dies_while_it_holds_changes_nothing() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.listing.put("new", "1");
    world.run_that_dies(true).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, world.destination().records().len()), (11, 21));
}

/// Of a dead run's change set: `k000` came back, was sent, and went again.
async fn sent_and_gone_again(world: &World) {
    come_back(world, "k000");
    world.run_that_dies(true).await;
    world.clock.advance(Duration::from_secs(1));
    world.listing.archive("k000");
    world.hour();
}

#[tokio::test]
async fn a_removal_that_is_held_is_not_sent_for_a_dead_run_either() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    sent_and_gone_again(&world).await;
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.held, receipt.held_count, receipt.exception_count), (1, 11, 11));
    assert!(world.destination().records().contains_key("newsletter:k000"));
    world.decide(Verdict::Approve(world.held(None).await)).await;
    assert_eq!(next(&world).await.outcome, Outcome::InStep);
    world.assert_in_step();
}

#[tokio::test]
async fn a_removal_is_held_once_and_counted_once() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    sent_and_gone_again(&world).await;
    // The rule fires again: nothing would be left.
    archive(&world, 11..20);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.held, receipt.held_count, receipt.exception_count), (10, 20, 20));
    world.decide(Verdict::Approve(world.held(None).await)).await;
    assert_eq!(next(&world).await.outcome, Outcome::InStep);
    world.assert_in_step();
}

#[tokio::test]
async fn a_refused_removal_is_tried_again_while_others_are_held() {
    let world = in_step(20, "retry_rejected = 1").await;
    world.destination().state().refuses.insert("newsletter:k000".to_owned());
    archive(&world, 0..1);
    assert_eq!(world.run().await.receipt().rejected_count, 1);
    archive(&world, 1..12);
    let receipt = next(&world).await;
    assert_eq!((receipt.rejected_count, receipt.held_count), (1, 11));
    assert_eq!((receipt.push.rejected, receipt.exception_count), (1, 12));
}

#[tokio::test]
async fn an_approval_is_not_carried_out_at_a_new_address() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    world.decide(Verdict::Approve(world.held(None).await)).await;
    world.apply(&definition_toml("http://two.test/record", ""), false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::InStep, 0));
    assert_eq!((receipt.push.repeated, receipt.push.removed), (9, 0));
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1]);
}

#[tokio::test]
async fn what_a_dead_run_sent_to_the_old_address_is_neither_removed_nor_held_at_the_new_one() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    world.decide(Verdict::Approve(world.held(None).await)).await;
    world.hour();
    world.run_that_dies(true).await;
    world.apply(&definition_toml("http://two.test/record", ""), false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::InStep, 0));
    assert_eq!((receipt.push.repeated, receipt.push.removed), (9, 0));
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1]);
    assert_eq!(world.destinations.at("http://two.test/record").records(), world.listing.records());
}

#[tokio::test]
async fn nothing_is_held_any_more_once_gone_records_are_kept() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    let ids = ["newsletter:k000"];
    world.decide(Verdict::Approve(world.held(Some(&ids)).await)).await;
    let removals = world.held(None).await;
    world.decide(Verdict::Waive { removals, why: "kept for the audit".to_owned() }).await;
    let toml = definition_toml(World::ADDRESS, "")
        .replace("deletions = \"propagate\"", "deletions = \"keep\"");
    world.apply(&toml, false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::InStep, 0));
    assert_eq!((receipt.waived_count, world.destination().records().len()), (0, 20));
    let manifest = world.newest_commit().await.manifest;
    assert_eq!((manifest.decided, manifest.stale_decisions), (2, vec![1, 2]));
}

#[tokio::test]
async fn an_approval_stands_where_all_records_are_given_up_although_gone_ones_are_kept() {
    let world = in_step(20, "").await;
    archive(&world, 0..11);
    world.run().await.receipt();
    world.decide(Verdict::Approve(world.held(None).await)).await;
    let toml = definition_toml(World::ADDRESS, "")
        .replace("deletions = \"propagate\"", "deletions = \"keep\"");
    world.apply(&toml, false).await;
    world.decide(Verdict::RemoveRecords { definition_version: 2 }).await;
    next(&world).await;
    assert!(world.destination().records().is_empty());
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [0; 0]);
}

#[tokio::test]
async fn nothing_is_removed_while_a_row_comes_without_its_key() {
    let world = in_step(20, "").await;
    // One row goes, and one only comes under another name: nobody can tell which is which.
    archive(&world, 0..1);
    world.listing.delete_for_ever("k005");
    world.listing.show("stand-in", Shown::Invalid);
    world.listing.put("k010", "2");
    world.listing.state().stand_in_count = 1;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.held_count), (Outcome::Held, 2));
    assert_eq!((receipt.push.changed, receipt.push.removals()), (1, 0));
    let hold = world.newest_commit().await.manifest.hold.unwrap();
    assert_eq!(hold.rule, HoldRule::KeysLost { rows: 1 });
    assert_eq!(
        hold.rule.to_string(),
        "a row came without its key, and may be one of those that seem to be gone"
    );

    // Later ones are of no concern to it, and the row is what it was once its key is back.
    world.listing.state().stand_in_count = 0;
    archive(&world, 1..2);
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, receipt.push.removals()), (2, 1));
    world.listing.delete_for_ever("stand-in");
    world.listing.put("k005", "x");
    assert_eq!(next(&world).await.held_count, 1);
    world.decide(Verdict::Approve(world.held(None).await)).await;
    assert_eq!(next(&world).await.outcome, Outcome::InStep);
    world.assert_in_step();
}

/// A record that was refused is due again in the run in which its row seems to be gone: it was never
/// removed before.
#[tokio::test]
async fn what_is_due_again_is_held_like_all_else_if_its_row_is_gone_only_now() {
    let world = in_step(20, "retry_rejected = 1").await;
    world.destination().state().refuses.insert("newsletter:k005".to_owned());
    world.listing.put("k005", "2");
    assert_eq!(next(&world).await.rejected_count, 1);
    world.destination().state().refuses.clear();
    world.listing.delete_for_ever("k005");
    world.listing.show("stand-in", Shown::Invalid);
    world.listing.state().stand_in_count = 1;
    let receipt = next(&world).await;
    assert_eq!((receipt.held_count, receipt.push.removals()), (1, 0));
    assert!(world.destination().records().contains_key("newsletter:k005"));
}
