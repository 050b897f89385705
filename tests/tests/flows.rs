//! What happens to lists, and that both sides are equal after the run that follows.

use tidemark_simulator::{Mutation, Operation, RandomKind};
use tidemark_tests::{LIST, Stage};

use crate::{DELETE, TOMBSTONE, stage};

/// A run that must end in step; how many requests each side saw.
async fn run(stage: &Stage) -> (u64, u64) {
    let mark = stage.world().ledger().mark;
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
    let ledger = stage.world().ledger_since(mark);
    (ledger.source.call_count, ledger.destination.call_count)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_scenarios_and_a_change_of_address() {
    let stage = stage("scenarios", 1_500).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);

    // No previous data.
    let (_, written) = run(&stage).await;
    assert_eq!(written, 2, "1,500 records in batches of 1,000");
    // No changes.
    assert_eq!(run(&stage).await, (1, 0));
    // One addition.
    stage.world().mutate(LIST, &Mutation::add("ada@example.com", "Ada", "Lovelace")).unwrap();
    assert_eq!(run(&stage).await, (1, 1));
    // One deletion: the first response, the archived rows, the closing request.
    stage.world().mutate(LIST, &Mutation::Archive { member: "ada@example.com".into() }).unwrap();
    let (read, written) = run(&stage).await;
    assert!(read <= 3, "{read} source requests");
    assert_eq!(written, 1);
    // Deleted for ever: no tombstone anywhere at the source.
    stage.world().mutate_random(LIST, RandomKind::DeleteForEver, 1, 7).unwrap();
    let (_, written) = run(&stage).await;
    assert_eq!(written, 1);
    // Another address: the same contact, so one write and no removal.
    stage.world().mutate_random(LIST, RandomKind::ChangeEmail, 1, 8).unwrap();
    assert_eq!(run(&stage).await, (1, 1));
    // A tag moves the change time and nothing else.
    stage.world().mutate_random(LIST, RandomKind::Touch, 3, 9).unwrap();
    assert_eq!(run(&stage).await, (1, 0));
    assert_eq!(run(&stage).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_by_delete() {
    let stage = stage("delete", 300).await;
    stage.apply(DELETE).await;
    let _worker = stage.worker(&[]);
    run(&stage).await;
    stage.world().mutate_random(LIST, RandomKind::Archive, 3, 1).unwrap();
    stage.world().mutate_random(LIST, RandomKind::DeleteForEver, 2, 2).unwrap();
    let mark = stage.world().ledger().mark;
    run(&stage).await;
    let ledger = stage.world().ledger_since(mark);
    assert_eq!(ledger.count(Operation::Delete), 5);
    assert_eq!(ledger.count(Operation::Write), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_changes_at_once() {
    let stage = stage("many", 3_000).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    run(&stage).await;
    for (seed, kind) in [
        RandomKind::Add,
        RandomKind::Change,
        RandomKind::Archive,
        RandomKind::DeleteForEver,
        RandomKind::ChangeEmail,
        RandomKind::Touch,
    ]
    .into_iter()
    .enumerate()
    {
        stage.world().mutate_random(LIST, kind, 150, seed as u64).unwrap();
    }
    run(&stage).await;
    stage.world().mutate_random(LIST, RandomKind::Unarchive, 50, 11).unwrap();
    run(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_cannot_be_mapped_are_counted_and_harm_nobody() {
    let stage = stage("invalid", 50).await;
    let mut members = Vec::new();
    stage.world().each_member(LIST, |member| members.push(member.contact_id())).unwrap();
    let raw = |member: &String, value: serde_json::Value| Mutation::SetRaw {
        member: member.clone(),
        field: "FNAME".into(),
        value,
    };
    let [object, huge, null, ..] = members.as_slice() else { panic!("50 members") };
    stage.world().mutate(LIST, &raw(object, serde_json::json!({"a": 1}))).unwrap();
    stage.world().mutate(LIST, &raw(huge, "x".repeat(10_000_000).into())).unwrap();
    stage.world().mutate(LIST, &raw(null, serde_json::Value::Null)).unwrap();
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);

    // In step, except.
    stage.ask(["start", stage.id(), "--wait"]).await.expect(4);
    let held = stage.held();
    assert_eq!(held.len(), 48, "two are invalid");
    assert_eq!(held[&format!("newsletter:{null}")]["firstname"], "");
    for invalid in [object, huge] {
        assert!(!held.contains_key(&format!("newsletter:{invalid}")));
    }
    let receipt = stage.ask(["runs", stage.id(), "-o", "json"]).await.expect(0).json();
    assert!(receipt.to_string().contains("\"invalid\":2"), "{receipt}");
    // One run in full is the one of the list.
    let one = stage.ask(["runs", stage.id(), "1", "-o", "json"]).await.expect(0).json();
    let at =
        |value: &serde_json::Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (listed, told) = (at(&receipt[0]["started_at"]), at(&one["run"]["started_at"]));
    assert!(told.duration_since(listed).unsigned_abs().as_millis() <= 1, "{told} and {listed}");
    assert!(told < at(&one["run"]["prepared_at"]), "{one}");
    stage.ask(["runs", stage.id(), "0"]).await.expect(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_fails_at_once_and_heals() {
    let stage = stage("key", 20).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.world().disable_account(tidemark_tests::MAILCHIMP_KEY).unwrap();
    let mark = stage.world().ledger().mark;
    let answer = stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    assert_eq!(stage.world().ledger_since(mark).source.call_count, 1, "no retry storm");
    assert!(answer.stderr.contains("hint:"), "{}", answer.stderr);
    assert!(stage.held().is_empty());

    stage.world().enable_account(tidemark_tests::MAILCHIMP_KEY).unwrap();
    run(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_list_is_never_an_empty_one() {
    let stage = stage("list", 20).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    run(&stage).await;
    stage.world().remove_list(LIST).unwrap();
    stage.world().add_list(tidemark_tests::MAILCHIMP_KEY, "0therl1st", "Others").unwrap();
    let answer = stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    assert!(answer.stderr.contains("0therl1st"), "{}", answer.stderr);
    assert_eq!(stage.held().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_goes_by_the_watermark_beside_it() {
    let stage = stage("deadline", 5).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    let mut marks = Vec::new();
    // The later runs find nothing new, and publish nothing.
    for run_count in [2, 4] {
        for _ in 0..run_count {
            run(&stage).await;
        }
        let known = stage.ask(["inspect", stage.id(), "-o", "json"]).await.expect(0).json();
        let at = |name: &str| known[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        marks.push((at("complete_as_of"), at("lag_deadline")));
    }
    let [first, second] = marks.as_slice() else { panic!("two looks") };
    assert!(second.0 > first.0, "{marks:?}");
    assert_eq!(second.1.duration_since(second.0), first.1.duration_since(first.0));
}
