//! The record API beyond what every destination has to keep to.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use reqwest::Request;
use tidemark_connectors::{Broken, BrokenKind, Received, Transport};
use tidemark_engine::port::{
    Batch, BatchKind, BatchOutcome, Connectors, Destination, Rejection, Write,
};
use tidemark_model::failure::{Failure, FailureClass, FailureKind};
use tidemark_simulator::{BatchLimits, Fault, FaultAction, Operation, RejectRule, Seed, Side};
use tokio::time::Instant;

use crate::support::{Bench, Lines, RECORD_KEY, connectors, connectors_over, definition};

const TOMBSTONE: &str = "delete = { tombstone = \"deleted\" }";
const DELETE: &str = "delete = { method = \"DELETE\", path = \"/record/{id}\" }";

async fn bench(destination: &str) -> (Bench, Arc<dyn Destination>) {
    let lines = Lines { destination: destination.to_owned(), ..Lines::default() };
    let bench = Bench::with(&Seed::of(0), &lines).await;
    let destination = connectors().destination(&bench.definition).unwrap();
    (bench, destination)
}

/// Applies a batch as soon as there is a place for it.
async fn apply(destination: &dyn Destination, batch: &Batch) -> Result<BatchOutcome, Failure> {
    destination.apply(destination.slot().await, batch).await
}

fn writes(count: usize) -> Batch {
    let write = |n: usize| {
        let id = format!("newsletter:{n}");
        let record = serde_json::json!({
            "id": id, "email": format!("ada{n}@example.com"), "firstname": "Ada", "lastname": "",
        });
        Write { key: n.to_string(), id, record: record.to_string() }
    };
    Batch { kind: BatchKind::Write, writes: (0..count).map(write).collect() }
}

fn removals(count: usize) -> Batch {
    let mut batch = Batch { kind: BatchKind::Remove, ..writes(count) };
    batch.writes.iter_mut().for_each(|write| write.record.clear());
    batch
}

#[tokio::test]
async fn every_write_says_that_the_record_is_alive_and_a_tombstone_empties_it() {
    let (bench, destination) = bench(TOMBSTONE).await;
    apply(&*destination, &writes(2)).await.unwrap();
    apply(&*destination, &removals(1)).await.unwrap();
    let records = bench.world().records(RECORD_KEY).unwrap();
    let expected = [
        serde_json::json!({"id": "newsletter:0", "email": "", "firstname": "", "lastname": "",
                           "deleted": true}),
        serde_json::json!({"id": "newsletter:1", "email": "ada1@example.com",
                           "firstname": "Ada", "lastname": "", "deleted": false}),
    ];
    assert_eq!(records.into_values().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_batch_is_one_request_and_a_removal_by_address_is_one_each() {
    let (bench, destination) = bench(TOMBSTONE).await;
    let outcome = apply(&*destination, &writes(300)).await.unwrap();
    assert_eq!(outcome.cost.request_count, 1);
    let call = bench.world().ledger().calls.remove(0);
    assert_eq!(outcome.cost.bytes_sent, call.bytes_in);
    assert_eq!(outcome.cost.bytes_received, call.bytes_out);
    assert_eq!(apply(&*destination, &removals(300)).await.unwrap().cost.request_count, 1);

    let (bench, destination) = self::bench(DELETE).await;
    assert_eq!(destination.capabilities().removal_batch_records, 1);
    apply(&*destination, &writes(3)).await.unwrap();
    assert_eq!(apply(&*destination, &removals(3)).await.unwrap().cost.request_count, 3);
    let ledger = bench.world().ledger();
    assert_eq!((ledger.count(Operation::Write), ledger.count(Operation::Delete)), (1, 3));
    assert_eq!(bench.world().record_count(RECORD_KEY).unwrap(), 0);
}

#[tokio::test]
async fn records_that_are_refused_in_an_answer_of_success_are_rejected() {
    for status in [200, 207] {
        let (bench, destination) = bench(TOMBSTONE).await;
        let mut rule = RejectRule::records(["newsletter:1"], status);
        rule.message = "ada1@example.com is not valid".to_owned();
        bench.world().reject_when(RECORD_KEY, rule).unwrap();
        let outcome = apply(&*destination, &writes(3)).await.unwrap();
        let id = "newsletter:1".to_owned();
        assert_eq!(outcome.rejections, [Rejection { id, reason: "… is not valid".to_owned() }]);
        assert_eq!(bench.world().record_count(RECORD_KEY).unwrap(), 2);
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_is_left_to_the_caller_to_split() {
    let (bench, destination) = bench(TOMBSTONE).await;
    let mut rule = RejectRule::batches_with(["newsletter:1"]);
    rule.message = "ada1@example.com is not valid".to_owned();
    bench.world().reject_when(RECORD_KEY, rule).unwrap();
    let failure = apply(&*destination, &writes(3)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert_eq!(failure.message, "the record API refused the batch: 400 … is not valid");

    let limits = BatchLimits { record_count: 2, ..BatchLimits::default() };
    bench.world().clear_rejects(RECORD_KEY).unwrap();
    bench.world().set_batch_limits(RECORD_KEY, limits).unwrap();
    let failure = apply(&*destination, &writes(3)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.message.starts_with("the record API finds the batch too large"), "{failure}");
    apply(&*destination, &writes(2)).await.unwrap();
}

#[tokio::test]
async fn no_refusal_repeats_an_address_whosever_it_is() {
    let (bench, destination) = bench(DELETE).await;
    let mut rule = RejectRule::records(["newsletter:1"], 200);
    rule.message = "ADA1@Example.com: bob@elsewhere.org has it, says <eve@localhost>".to_owned();
    bench.world().reject_when(RECORD_KEY, rule).unwrap();
    let outcome = apply(&*destination, &writes(3)).await.unwrap();
    let reasons: Vec<_> = outcome.rejections.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(reasons, ["…: … has it, says <…>"]);

    // Of a removal only the id is known, so nothing tells whose address it is.
    let one = Batch { writes: removals(2).writes.split_off(1), ..removals(0) };
    let failure = apply(&*destination, &one).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert_eq!(failure.message, "the record API refused the batch: 400 …: … has it, says <…>");
}

async fn failure_of(action: FaultAction) -> Failure {
    let (bench, destination) = bench(TOMBSTONE).await;
    bench.world().add_fault(Fault::next(Side::Destination, action));
    let failure = apply(&*destination, &writes(3)).await.expect_err("it is not taken");
    assert_eq!(bench.world().ledger().destination.call_count, 1, "nobody asks again");
    let shown = format!("{failure:?}");
    assert!(!shown.contains(RECORD_KEY) && !shown.contains("example.com"), "{shown}");
    // The same batch again mends whatever was left of it.
    apply(&*destination, &writes(3)).await.unwrap();
    assert_eq!(bench.world().record_count(RECORD_KEY).unwrap(), 3);
    failure
}

#[tokio::test]
async fn failures_say_who_must_act() {
    let status = |status| FaultAction::Status { status, title: None, retry_after: None };
    for (action, kind, class) in [
        (status(401), FailureKind::Unauthenticated, FailureClass::User),
        (status(403), FailureKind::Forbidden, FailureClass::User),
        (status(404), FailureKind::Gone, FailureClass::User),
        (status(405), FailureKind::Invalid, FailureClass::User),
        (status(400), FailureKind::Rejected, FailureClass::Destination),
        (status(422), FailureKind::Rejected, FailureClass::Destination),
        (status(413), FailureKind::Rejected, FailureClass::Destination),
        (status(429), FailureKind::RateLimited, FailureClass::Destination),
        (status(500), FailureKind::Transient, FailureClass::Destination),
        (FaultAction::Html { status: 502 }, FailureKind::Transient, FailureClass::Destination),
        (FaultAction::Html { status: 200 }, FailureKind::Transient, FailureClass::Destination),
        (FaultAction::CutShort, FailureKind::Transient, FailureClass::Destination),
        (FaultAction::Truncate, FailureKind::Transient, FailureClass::Destination),
        (FaultAction::Drop, FailureKind::Transient, FailureClass::Destination),
        (FaultAction::ApplyThenDrop, FailureKind::Transient, FailureClass::Destination),
    ] {
        let failure = failure_of(action.clone()).await;
        assert_eq!((failure.kind, failure.class()), (kind, class), "{action:?}: {failure}");
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_handed_on() {
    let action = FaultAction::Status { status: 429, title: None, retry_after: Some(30) };
    let failure = failure_of(action).await;
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(30)));
}

#[tokio::test]
async fn an_unknown_key_is_told_by_check_without_showing_it() {
    let (bench, destination) = bench(TOMBSTONE).await;
    assert_eq!(destination.check().await.unwrap().answer, "took an empty batch: 200 OK");
    bench.world().remove_destination(RECORD_KEY);
    let failure = destination.check().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthenticated);
    assert!(failure.hint.unwrap().contains("env:RECORD_KEY"));
}

#[tokio::test]
async fn removing_without_a_rule_is_refused() {
    let (_bench, destination) = bench("").await;
    assert!(!destination.capabilities().deletes);
    let failure = apply(&*destination, &removals(1)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
}

#[tokio::test]
async fn records_are_read_back_page_by_page_without_the_deleted_ones() {
    let (bench, destination) =
        bench(&format!("{TOMBSTONE}\nread = {{ path = \"/record\" }}")).await;
    assert!(destination.capabilities().reads_back);
    apply(&*destination, &writes(1_500)).await.unwrap();
    apply(&*destination, &removals(2)).await.unwrap();
    let foreign = Write { key: "x".to_owned(), id: "other:1".to_owned(), record: String::new() };
    let record = r#"{"id":"other:1"}"#.to_owned();
    let others = Batch { kind: BatchKind::Write, writes: vec![Write { record, ..foreign }] };
    apply(&*destination, &others).await.unwrap();

    let (mut after, mut live, mut deleted) = (String::new(), 0, 0);
    loop {
        let page = destination.read_back(&after).await.unwrap();
        assert_eq!(page.cost.request_count, 1);
        let Some((last, _)) = page.records.last() else { break };
        after.clone_from(last);
        deleted += page.records.iter().filter(|(_, record)| record.is_none()).count();
        for (id, record) in
            page.records.iter().filter_map(|(id, record)| Some((id, record.as_ref()?)))
        {
            assert!(id.starts_with("newsletter:"));
            assert_eq!(record["firstname"], "Ada");
            live += 1;
        }
    }
    assert_eq!((live, deleted), (1_498, 2));
    assert_eq!(bench.world().ledger().count(Operation::Read), 3);
}

#[tokio::test]
async fn records_that_cannot_be_read_back_are_a_failure_and_never_the_end() {
    for action in [FaultAction::CutShort, FaultAction::Html { status: 200 }] {
        let (bench, destination) = bench("read = { path = \"/record\" }").await;
        apply(&*destination, &writes(3)).await.unwrap();
        bench.world().add_fault(Fault::next(Side::Destination, action));
        let failure = destination.read_back("").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Transient);
    }
}

#[tokio::test]
async fn writes_with_one_key_share_its_places() {
    let (bench, _) = bench("simultaneous_batches = 2").await;
    let connectors = connectors();
    let destination = || connectors.destination(&bench.definition).unwrap();
    let (one, other) = (destination(), destination());
    let hold = FaultAction::Hold { id: "held".to_owned() };
    bench.world().add_fault(Fault::next(Side::Destination, hold).times(2));
    let batch = writes(1);
    let look = async {
        bench.world().wait_held("held", 2).await;
        assert!(other.slot().now_or_never().is_none());
        bench.world().release("held");
    };
    let (first, second, third, ()) =
        tokio::join!(apply(&*one, &batch), apply(&*one, &batch), apply(&*other, &batch), look);
    for outcome in [first, second, third] {
        outcome.unwrap();
    }
    let ledger = bench.world().ledger();
    assert_eq!((ledger.count(Operation::Write), ledger.peaks.get(RECORD_KEY)), (3, Some(&2)));
}

/// A network on which no answer comes.
struct Silence;

#[async_trait]
impl Transport for Silence {
    async fn exchange(&self, request: Request) -> Result<Received, Broken> {
        let timeout = *request.timeout().unwrap();
        tokio::time::sleep(timeout).await;
        Err(Broken { kind: BrokenKind::TimedOut, causes: Vec::new() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_keeps_its_place_as_long_as_it_may_take_effect() {
    let limits = "simultaneous_batches = 1\nrequest_timeout = \"60s\"\nsettle = \"30s\"";
    let lines = Lines { destination: limits.to_owned(), ..Lines::default() };
    let definition = definition("http://records.test", &lines);
    let destination = connectors_over(Arc::new(Silence)).destination(&definition).unwrap();
    let started = Instant::now();
    let failure = apply(&*destination, &writes(1)).await.unwrap_err();
    assert_eq!((failure.kind, started.elapsed().as_secs()), (FailureKind::Transient, 60));
    drop(destination.slot().await);
    assert_eq!(started.elapsed().as_secs(), 90);
}
