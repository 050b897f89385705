//! Records that the destination does not take.

use tidemark_engine::run::exceptions;
use tidemark_model::{
    exception::{Exception, ExceptionKind, Verdict},
    failure::{FailureClass, FailureKind},
    receipt::Outcome,
    step::ReadOutcome,
};

use crate::support::{Fault, Shown, World, definition_toml};

async fn world(extra: &str) -> World {
    let world = World::with_policy(extra).await;
    let mut destination = world.destination();
    destination.capabilities.batch_records = 8;
    world.destinations.set(World::ADDRESS, destination);
    for number in 0..20 {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    world
}

#[tokio::test]
async fn a_refused_record_is_an_exception_until_it_is_taken() {
    let world = world("retry_rejected = 3").await;
    world.destination().state().refuses.insert("newsletter:k03".to_owned());
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStepExcept, 1));
    assert_eq!((receipt.push.acknowledged, receipt.push.rejected), (19, 1));
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    assert_eq!((named[0].key.as_str(), named[0].kind), ("k03", ExceptionKind::Rejected));
    assert_eq!((named[0].reason.as_str(), named[0].attempt_count), ("not wanted", 1));

    // Not every run tries it again.
    world.hour();
    world.destination().take_ledger();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStepExcept, 1));
    assert_eq!(world.destination().take_ledger(), []);

    // The third does.
    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (1, 1));
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    assert_eq!((named[0].attempt_count, named[0].since.get()), (2, 1));

    // So does a change of the row.
    world.hour();
    world.destination().state().refuses.clear();
    world.listing.put("k03", "better");
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStep, 0));
    assert_eq!(world.newest_commit().await.manifest.exceptions, None);
    world.assert_in_step();
}

#[tokio::test]
async fn the_removal_of_a_refused_record_ends_its_exception() {
    let world = world("").await;
    world.destination().state().refuses.insert("newsletter:k03".to_owned());
    world.run().await.receipt();
    world.hour();
    world.destination().state().refuses.clear();
    world.listing.archive("k03");
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.push.removed), (Outcome::InStep, 1));
    world.assert_in_step();
}

#[tokio::test]
async fn a_batch_refused_as_a_whole_is_halved_until_the_refused_record_is_alone() {
    let world = world("").await;
    world.destination().state().refuses_whole.insert("newsletter:k05".to_owned());
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.acknowledged, receipt.push.rejected), (19, 1));
    let ledger = world.destination().take_ledger();
    // 8, 4 + 4, 2 + 2, 1 + 1 for the first batch, and two that are taken at once.
    assert_eq!(ledger.len(), 7 + 2);
    assert_eq!(receipt.destination_cost.request_count, 9);
    let mut expected = world.listing.records();
    expected.remove("newsletter:k05");
    assert_eq!(world.destination().records(), expected);
}

/// One batch of 1,000 records, of which three are refused and make the destination refuse every
/// request that holds one of them.
async fn a_large_batch() -> World {
    let world = World::new().await;
    let mut destination = world.destination();
    destination.capabilities.batch_records = 1_000;
    destination.capabilities.batch_bytes = 1_000_000;
    world.destinations.set(World::ADDRESS, destination);
    for number in 0..1_000 {
        world.listing.put(&format!("k{number:03}"), "x");
    }
    for key in ["k100", "k500", "k900"] {
        world.destination().state().refuses_whole.insert(format!("newsletter:{key}"));
    }
    world
}

#[tokio::test]
async fn a_batch_that_is_being_split_goes_on_after_a_failure_where_it_was() {
    let world = a_large_batch().await;
    for _ in 0..10 {
        let script = (0..9).map(|_| Fault::None).chain([Fault::Lost]);
        world.destination().state().script.extend(script);
    }
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.acknowledged, receipt.push.rejected), (997, 3));
    // 53 requests find the three, and every tenth has to be sent again.
    assert_eq!(receipt.destination_cost.request_count, 53);
    assert_eq!(world.destination().take_ledger().len(), 58);
    assert_eq!(world.paths_with("acks/000000000001/run-1/00000000-").await.len(), 5);
    let mut expected = world.listing.records();
    for key in ["k100", "k500", "k900"] {
        expected.remove(&format!("newsletter:{key}"));
    }
    assert_eq!(world.destination().records(), expected);
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    let keys: Vec<&str> = named.iter().map(|exception| exception.key.as_str()).collect();
    assert_eq!(keys, ["k100", "k500", "k900"]);
}

#[tokio::test]
async fn all_of_a_batch_that_was_split_is_sent_again_when_its_run_died() {
    let world = a_large_batch().await;
    let (host, id) = (world.host(), &world.connection);
    let read = world.engine.read(&host, id).await.unwrap();
    let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
    let number = world.engine.compute(&host, id, &read).await.unwrap().number;
    let script = (0..20).map(|_| Fault::None).chain([Fault::Lost]);
    world.destination().state().script.extend(script);
    let failure = world.engine.push(&host, id, number).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    host.close();
    assert_eq!(world.paths_with("acks/000000000001/run-1/00000000-000001.split").await.len(), 1);

    // What has reached the destination changes at the source before anything is committed.
    world.hour();
    world.destination().state().refuses_whole.clear();
    world.listing.put("k000", "y");
    world.listing.archive("k001");
    assert_eq!(world.run().await.receipt().outcome, Outcome::InStep);
    world.assert_in_step();
}

#[tokio::test]
async fn a_refusal_of_an_id_that_was_not_sent_is_never_taken_for_an_acknowledgement() {
    let world = world("").await;
    world.destination().state().refuses.insert("newsletter:k05".to_owned());
    world.destination().state().misnames = true;
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.acknowledged, receipt.push.rejected), (19, 1));
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    assert_eq!(named[0].id, "newsletter:k05");
}

#[tokio::test]
async fn too_many_refusals_fail_the_run() {
    let world = world("").await;
    for number in 0..6 {
        world.destination().state().refuses.insert(format!("newsletter:k{number:02}"));
    }
    let failure = world.run().await.failure();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert_eq!(failure.class(), FailureClass::Destination);
    assert!(failure.message.contains("not wanted"), "{}", failure.message);
    assert_eq!(world.log_names().await, ["000000000001.prepared"]);
    // Mended there, the next run makes it good.
    world.destination().state().refuses.clear();
    world.hour();
    world.run().await.receipt();
    world.assert_in_step();
}

/// Six standing rejections, after two runs with no more than a handful each.
async fn with_standing_rejections() -> World {
    let world = world("retry_rejected = 3").await;
    for number in 0..5 {
        world.destination().state().refuses.insert(format!("newsletter:k{number:02}"));
    }
    assert_eq!(world.run().await.receipt().rejected_count, 5);
    world.hour();
    world.destination().state().refuses.insert("newsletter:k20".to_owned());
    world.listing.put("k20", "x");
    assert_eq!(world.run().await.receipt().rejected_count, 6);
    world.hour();
    world
}

#[tokio::test]
async fn what_was_refused_before_may_be_refused_again_however_much_it_is() {
    let world = with_standing_rejections().await;
    // The third run sends all of them again, and nothing else.
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (6, 6));
    assert_eq!((receipt.outcome, receipt.rejected_count), (Outcome::InStepExcept, 6));

    // So does one that is asked to.
    world.hour();
    let file = world.newest_commit().await.manifest.exceptions.unwrap();
    let named = exceptions(&world.folder(), &file).await.unwrap();
    let keys = named.iter().map(Exception::name).collect();
    world.decide(Verdict::Retry { keys }).await;
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (6, 6));
    assert_eq!((receipt.outcome, receipt.rejected_count), (Outcome::InStepExcept, 6));

    // And one that makes good for a run that died.
    world.hour();
    world.listing.put("k07", "better");
    world.decide(Verdict::SendAgain).await;
    world.run_that_dies(true).await;
    world.hour();
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.push.rejected, receipt.rejected_count), (6, 6));

    world.hour();
    world.destination().state().refuses.clear();
    world.decide(Verdict::SendAgain).await;
    assert_eq!(world.run().await.receipt().outcome, Outcome::InStep);
    world.assert_in_step();
}

#[tokio::test]
async fn a_destination_that_refuses_all_that_is_new_fails_the_run_whatever_it_refused_before() {
    let world = with_standing_rejections().await;
    for number in 30..36 {
        world.destination().state().refuses.insert(format!("newsletter:k{number}"));
        world.listing.put(&format!("k{number}"), "x");
    }
    let failure = world.run().await.failure();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.message.contains("refused 6 of 6 records"), "{failure}");
    // They are sent again by every run until somebody mends them, or allows so many.
    world.hour();
    assert_eq!(world.run().await.failure().kind, FailureKind::Rejected);
    world.hour();
    let allowed = definition_toml(World::ADDRESS, "fail_rejected_over = 1.0");
    world.apply(&allowed, false).await;
    assert_eq!(world.run().await.receipt().rejected_count, 12);
}

#[tokio::test]
async fn a_handful_of_refusals_is_never_too_many() {
    let world = world("").await;
    for number in 0..5 {
        world.destination().state().refuses.insert(format!("newsletter:k{number:02}"));
    }
    assert_eq!(world.run().await.receipt().exception_count, 5);
}

#[tokio::test]
async fn not_even_one_refusal_passes_where_none_is_allowed() {
    let world = world("fail_rejected_over = 0.0").await;
    world.destination().state().refuses.insert("newsletter:k03".to_owned());
    let failure = world.run().await.failure();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.message.contains("refused 1 of 20 records"), "{failure}");
    world.destination().state().refuses.clear();
    world.hour();
    world.run().await.receipt();
    world.assert_in_step();
}

#[tokio::test]
async fn what_one_system_refused_is_no_exception_at_another() {
    let world = world("retry_rejected = 1000").await;
    world.run().await.receipt();
    world.hour();
    world.destination().state().refuses.insert("newsletter:k03".to_owned());
    world.listing.archive("k03");
    assert_eq!(world.run().await.receipt().rejected_count, 1);
    world.hour();
    let toml = definition_toml("http://two.test/record", "retry_rejected = 1000");
    world.apply(&toml, false).await;
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.rejected_count), (Outcome::InStep, 0));
    assert_eq!((receipt.push.repeated, receipt.push.removed), (19, 0));
}

#[tokio::test]
async fn a_refusal_of_a_row_without_a_record_ends_where_records_are_kept() {
    let world = world("retry_rejected = 1000").await;
    world.destination().state().refuses.insert("newsletter:k03".to_owned());
    assert_eq!(world.run().await.receipt().rejected_count, 1);
    world.hour();
    let toml = definition_toml(World::ADDRESS, "retry_rejected = 1000");
    world.apply(&toml.replace("\"propagate\"", "\"keep\""), false).await;
    world.listing.show("k03", Shown::Filtered);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.rejected_count), (Outcome::InStep, 0));
}
