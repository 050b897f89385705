//! What operators decide about single exceptions and about the next run.

use tidemark_engine::run::exceptions;
use tidemark_model::{
    entry::{Coverage, RunNumber},
    exception::{Exception, ExceptionKey, ExceptionKind, Verdict},
    failure::FailureClass,
    receipt::{Outcome, Receipt},
    step::{CommitRequest, ReadOutcome},
};

use crate::support::{Shown, World, definition_toml};

const REFUSED: &str = "newsletter:k03";

/// A connection in step, except for one record that the destination refuses.
async fn with_a_refused_record() -> World {
    with_a_refused_record_under("retry_rejected = 1000").await
}

async fn with_a_refused_record_under(policy: &str) -> World {
    let world = World::with_policy(policy).await;
    for number in 0..20 {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    world.destination().state().refuses.insert(REFUSED.to_owned());
    world.run().await.receipt();
    world
}

async fn named(world: &World) -> Vec<Exception> {
    match world.newest_commit().await.manifest.exceptions {
        Some(file) => exceptions(&world.folder(), &file).await.unwrap(),
        None => Vec::new(),
    }
}

async fn names(world: &World) -> Vec<ExceptionKey> {
    named(world).await.iter().map(Exception::name).collect()
}

async fn next(world: &World) -> Receipt {
    world.hour();
    world.destination().take_ledger();
    world.run().await.receipt()
}

#[tokio::test]
async fn a_refused_record_is_sent_again_when_asked() {
    let world = with_a_refused_record().await;
    assert_eq!(next(&world).await.push.repeated, 0);
    world.decide(Verdict::Retry { keys: names(&world).await }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (1, 1));
    assert_eq!(named(&world).await[0].attempt_count, 2);
    assert_eq!(next(&world).await.push.repeated, 0, "one decision is one attempt");

    world.destination().state().refuses.clear();
    world.decide(Verdict::Retry { keys: names(&world).await }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.push.acknowledged), (Outcome::InStep, 1));
    world.assert_in_step();
}

#[tokio::test]
async fn a_waiver_lasts_until_the_row_changes() {
    let world = with_a_refused_record().await;
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStep, 0));
    assert_eq!((receipt.waived_count, receipt.rejected_count), (1, 0));
    let waiver = named(&world).await[0].waiver.clone().unwrap();
    assert_eq!((waiver.who.as_str(), waiver.why.as_str()), ("olga", "the owner knows"));

    world.listing.put("other", "1");
    assert_eq!(next(&world).await.waived_count, 1, "another row's change does not end it");

    world.listing.put("k03", "changed");
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.rejected_count), (Outcome::InStepExcept, 1));
    assert_eq!((receipt.waived_count, receipt.push.changed), (0, 1));
    assert_eq!(named(&world).await[0].waiver, None);
}

#[tokio::test]
async fn a_waiver_stands_when_the_record_is_sent_again_as_it_is() {
    let world = with_a_refused_record().await;
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    assert_eq!(next(&world).await.waived_count, 1);

    world.decide(Verdict::SendAgain).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.rejected, receipt.rejected_count), (1, 0));
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));

    world.decide(Verdict::Retry { keys: names(&world).await }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (1, 1));
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));
    let exception = named(&world).await.remove(0);
    assert_eq!((exception.attempt_count, exception.since), (3, RunNumber::FIRST));
    assert_eq!(exception.waiver.unwrap().why, "the owner knows");

    // It ends as any other does.
    world.destination().state().refuses.clear();
    world.decide(Verdict::Retry { keys: names(&world).await }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 0));
    world.assert_in_step();
}

#[tokio::test]
async fn what_is_accepted_is_not_sent_again_by_the_run_that_takes_note_of_it() {
    let world = with_a_refused_record_under("retry_rejected = 2").await;
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    for number in 2..=4 {
        let receipt = next(&world).await;
        assert_eq!((receipt.number, receipt.push.repeated), (RunNumber::new(number), 0));
        assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));
        assert_eq!(world.destination().take_ledger(), []);
    }

    // Unless somebody asks for it in the same run.
    let keys = names(&world).await;
    world.decide(Verdict::Retry { keys: keys.clone() }).await;
    world.decide(Verdict::Ignore { keys, why: "still".to_owned() }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.repeated, receipt.push.rejected), (1, 1));
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));
    assert_eq!(named(&world).await[0].waiver.as_ref().unwrap().why, "still");
}

#[tokio::test]
async fn an_invalid_row_can_be_waived() {
    let world = World::new().await;
    world.listing.put("good", "x");
    world.listing.show("bad", Shown::Invalid);
    let receipt = world.run().await.receipt();
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStepExcept, 1));
    let keys = names(&world).await;
    assert_eq!(keys[0].kind, ExceptionKind::Invalid);
    world.decide(Verdict::Ignore { keys, why: "test data".to_owned() }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));
    assert_eq!((next(&world).await.waived_count, receipt.rows.invalid), (1, 1));
}

#[tokio::test]
async fn a_waiver_is_for_the_row_that_the_operator_saw() {
    let world = with_a_refused_record().await;
    let (id, engine) = (&world.connection, &world.engine);
    world.hour();
    // A run that is at work already brings another row, and does not know of the decision.
    world.listing.put("k03", "changed");
    let host = world.host();
    let read = engine.read(&host, id).await.unwrap();
    let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    let number = engine.compute(&host, id, &read).await.unwrap().number;
    engine.push(&host, id, number).await.unwrap();
    let request = CommitRequest::Pushed { number };
    assert_eq!(engine.commit(&host, id, &request).await.unwrap().rejected_count, 1);
    host.close();
    let receipt = next(&world).await;
    assert_eq!((receipt.waived_count, receipt.rejected_count), (0, 1));
    let manifest = world.newest_commit().await.manifest;
    assert_eq!((manifest.decided, manifest.stale_decisions), (1, vec![1]));
}

#[tokio::test]
async fn a_waiver_of_which_one_row_is_as_it_was_is_carried_out() {
    let world = with_a_refused_record().await;
    world.listing.show("bad", Shown::Invalid);
    assert_eq!(next(&world).await.exception_count, 2);
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "test data".to_owned() }).await;
    world.listing.put("k03", "changed");
    let receipt = next(&world).await;
    assert_eq!((receipt.waived_count, receipt.rejected_count), (1, 1));
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [0; 0]);
}

#[tokio::test]
async fn a_waiver_of_what_was_refused_is_named_at_a_new_address() {
    let world = with_a_refused_record().await;
    let keys = names(&world).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    world.apply(&definition_toml("http://two.test/record", ""), false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 0));
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1]);
}

#[tokio::test]
async fn of_many_decisions_that_are_not_carried_out_the_newest_are_named() {
    let world = with_a_refused_record().await;
    let keys = names(&world).await;
    for _ in 0..10 {
        let why = "the owner knows".to_owned();
        world.decide(Verdict::Ignore { keys: keys.clone(), why }).await;
    }
    world.listing.put("k03", "changed");
    assert_eq!(next(&world).await.rejected_count, 1);
    let manifest = world.newest_commit().await.manifest;
    assert_eq!((manifest.decided, manifest.stale_decisions), (10, vec![3, 4, 5, 6, 7, 8, 9, 10]));
}

#[tokio::test]
async fn a_decision_about_what_was_resolved_meanwhile_is_named() {
    let world = with_a_refused_record().await;
    let (id, engine) = (&world.connection, &world.engine);
    let keys = names(&world).await;
    world.hour();
    // A run that is at work already sends the record, and does not know of the decisions.
    world.destination().state().refuses.clear();
    world.listing.put("k03", "mended");
    let host = world.host();
    let read = engine.read(&host, id).await.unwrap();
    let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
    world.decide(Verdict::Retry { keys: keys.clone() }).await;
    world.decide(Verdict::Ignore { keys, why: "the owner knows".to_owned() }).await;
    let number = engine.compute(&host, id, &read).await.unwrap().number;
    engine.push(&host, id, number).await.unwrap();
    let request = CommitRequest::Pushed { number };
    assert_eq!(engine.commit(&host, id, &request).await.unwrap().outcome, Outcome::InStep);
    host.close();

    let receipt = next(&world).await;
    assert_eq!((receipt.push.repeated, receipt.waived_count), (0, 0));
    let manifest = world.newest_commit().await.manifest;
    assert_eq!((manifest.decided, manifest.stale_decisions), (2, vec![1, 2]));
    world.assert_in_step();
}

#[tokio::test]
async fn a_decision_of_which_something_stands_is_carried_out() {
    let world = with_a_refused_record().await;
    world.listing.show("bad", Shown::Invalid);
    assert_eq!(next(&world).await.exception_count, 2);
    let keys = names(&world).await;
    world.destination().state().refuses.clear();
    world.listing.put("k03", "mended");
    assert_eq!(next(&world).await.exception_count, 1);
    world.decide(Verdict::Ignore { keys, why: "test data".to_owned() }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.waived_count), (Outcome::InStep, 1));
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [0; 0]);
}

#[tokio::test]
async fn a_full_read_and_a_resend_are_done_once() {
    let world = with_a_refused_record().await;
    world.decide(Verdict::ReadInFull).await;
    assert!(next(&world).await.full_read);
    assert!(!next(&world).await.full_read);
    world.decide(Verdict::SendAgain).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.repeated, receipt.push.removed), (20, 0));
    assert_eq!(next(&world).await.push.repeated, 0);
}

#[tokio::test]
async fn a_decision_is_carried_out_by_the_first_run_that_commits() {
    let world = with_a_refused_record().await;
    world.destination().state().refuses.clear();
    world.decide(Verdict::Retry { keys: names(&world).await }).await;
    world.hour();
    world.run_that_dies(false).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.outcome, receipt.number), (Outcome::InStep, RunNumber::new(3)));
    world.assert_in_step();
}

#[tokio::test]
async fn two_operators_decide_at_once_and_both_count() {
    let world = with_a_refused_record().await;
    let keys = names(&world).await;
    let retry = Verdict::Retry { keys };
    tokio::join!(world.decide(retry.clone()), world.decide(Verdict::ReadInFull));
    let receipt = next(&world).await;
    assert!(receipt.full_read);
    assert_eq!(receipt.push.repeated, 1);
    assert_eq!(world.newest_commit().await.manifest.decided, 2);
}

#[tokio::test]
async fn records_that_are_given_up_are_removed_without_a_request_to_the_source() {
    let world = with_a_refused_record().await;
    world.hour();
    for number in 4..20 {
        world.listing.archive(&format!("k{number:02}"));
    }
    assert_eq!(next(&world).await.held_count, 16);
    world.decide(Verdict::RemoveRecords { definition_version: 1 }).await;
    let requests = world.listing.state().request_count;
    let receipt = next(&world).await;
    assert_eq!(world.listing.state().request_count, requests);
    assert_eq!((receipt.records.next, receipt.held_count), (0, 0));
    assert!(world.destination().records().is_empty());
}

#[tokio::test]
async fn after_records_were_removed_the_list_is_read_in_full_whatever_it_counts() {
    let world = with_a_refused_record().await;
    world.destination().state().refuses.clear();
    world.hour();
    world.decide(Verdict::RemoveRecords { definition_version: 1 }).await;
    next(&world).await;
    world.hour();
    // A count that fits would prove nothing: rows that changed and are gone stand for others that
    // nobody read.
    world.listing.put("k00", "2");
    next(&world).await;
    assert_eq!(world.listing.state().asked.last().unwrap().coverage, Coverage::Full);
    world.assert_in_step();
}

/// What a run would do now.
async fn preview(world: &World) -> tidemark_engine::run::Preview {
    let host = world.host();
    let preview = world.engine.preview(&host, &world.connection, 2).await.unwrap();
    host.close();
    preview
}

#[tokio::test]
async fn a_preview_sends_nothing_and_the_next_run_sends_exactly_that() {
    let world = with_a_refused_record().await;
    world.listing.put("k01", "2");
    world.listing.put("new", "1");
    world.listing.archive("k05");
    world.destination().take_ledger();
    let seen = preview(&world).await;
    assert_eq!((seen.push.added, seen.push.changed, seen.push.removed), (1, 1, 1));
    assert_eq!((seen.samples.len(), seen.rule), (3, None));
    assert_eq!(world.destination().take_ledger(), []);
    assert_eq!(world.newest_commit().await.number, RunNumber::FIRST);

    world.decide(Verdict::Exactly(seen.exact)).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.push.acknowledged, receipt.number), (3, RunNumber::new(2)));
}

#[tokio::test]
async fn a_run_that_would_send_something_else_than_the_preview_is_refused_once() {
    let world = with_a_refused_record().await;
    world.listing.put("new", "1");
    let seen = preview(&world).await.exact;
    world.listing.put("newer", "2");
    world.decide(Verdict::Exactly(seen.clone())).await;
    world.hour();
    world.destination().take_ledger();
    let failure = world.run().await.failure();
    assert_eq!(failure.class(), FailureClass::User);
    assert!(failure.message.contains("other changes"), "{failure}");
    assert_eq!(world.destination().take_ledger(), []);

    // The next run is an ordinary one, and the preview is not current any more.
    assert_eq!(next(&world).await.push.acknowledged, 2);
    world.decide(Verdict::Exactly(seen)).await;
    let failure = world.run().await.failure();
    assert!(failure.message.contains("another run was committed"), "{failure}");
    assert_eq!(next(&world).await.outcome, Outcome::InStepExcept);
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1, 2]);
}

#[tokio::test]
async fn of_two_exact_orders_the_last_one_counts_also_when_it_is_refused() {
    let world = with_a_refused_record().await;
    world.listing.put("new", "1");
    world.decide(Verdict::Exactly(preview(&world).await.exact)).await;
    world.listing.put("newer", "2");
    world.decide(Verdict::Exactly(preview(&world).await.exact)).await;
    world.listing.put("newest", "3");
    world.hour();
    let failure = world.run().await.failure();
    assert!(failure.message.contains("other changes"), "{failure}");
    assert_eq!(next(&world).await.push.acknowledged, 3);
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1, 2]);
}

#[tokio::test]
async fn no_attempt_of_a_refused_run_takes_itself_for_an_ordinary_one() {
    let world = with_a_refused_record().await;
    world.listing.put("new", "1");
    let seen = preview(&world).await.exact;
    world.listing.put("newer", "2");
    world.decide(Verdict::Exactly(seen)).await;
    // A look in between takes nothing back.
    assert_eq!(preview(&world).await.push.added, 2);
    let host = world.host();
    let read = world.engine.read(&host, &world.connection).await.unwrap();
    let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
    for _ in 0..2 {
        let failure = world.engine.compute(&host, &world.connection, &read).await.unwrap_err();
        assert!(failure.message.contains("other changes"), "{failure}");
    }
    host.close();
    assert_eq!(next(&world).await.push.acknowledged, 2);
}

#[tokio::test]
async fn records_that_the_destination_does_not_remove_are_left_even_where_gone_ones_are_kept() {
    let toml = definition_toml(World::ADDRESS, "retry_rejected = 1000")
        .replace("deletions = \"propagate\"", "deletions = \"keep\"");
    let world = World::unapplied();
    world.apply(&toml, false).await;
    for number in 0..5 {
        world.listing.put(&format!("k{number:02}"), "x");
    }
    world.run().await.receipt();
    world.destination().state().refuses.insert(REFUSED.to_owned());
    world.decide(Verdict::RemoveRecords { definition_version: 1 }).await;
    let receipt = next(&world).await;
    assert_eq!((receipt.records.next, receipt.push.rejected), (0, 1));
    assert_eq!((receipt.outcome, receipt.exception_count), (Outcome::InStepExcept, 1));
}

#[tokio::test]
async fn a_connection_that_was_defined_anew_is_not_given_up() {
    let world = with_a_refused_record().await;
    world.decide(Verdict::RemoveRecords { definition_version: 1 }).await;
    world.store_version(None, false).await;
    world.apply(&definition_toml(World::ADDRESS, "retry_rejected = 1000"), false).await;
    let before = world.destination().records();
    let receipt = next(&world).await;
    assert_eq!((receipt.records.next, receipt.push.removed), (20, 0));
    assert_eq!(world.destination().records(), before);
    assert_eq!(world.newest_commit().await.manifest.stale_decisions, [1]);
}
