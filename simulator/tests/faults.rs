//! Faults on demand, holds, and the ledger that tells what happened.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tidemark_simulator::{Fault, FaultAction, Operation, Seed, Side};

use crate::bench::{Bench, KEY, LIST, SPACE, client, read};

fn source(action: FaultAction) -> Fault {
    Fault::next(Side::Source, action)
}

fn destination(action: FaultAction) -> Fault {
    Fault::next(Side::Destination, action)
}

fn status(status: u16) -> FaultAction {
    FaultAction::Status { status, title: None, retry_after: None }
}

#[tokio::test]
async fn rules_are_played_in_order_each_for_its_calls() {
    let bench = Bench::new().await;
    let world = bench.world();
    world.add_fault(source(status(503)).path("/3.0/lists").after(1).times(2));
    world.add_fault(source(FaultAction::Status {
        status: 429,
        title: Some("Too Many Requests".to_owned()),
        retry_after: Some(7),
    }));
    let mut seen = Vec::new();
    for path in ["/lists", "/ping", "/lists", "/lists", "/lists"] {
        seen.push(bench.get(path).await.status.as_u16());
    }
    // The second call is not for the first rule, so it is the second rule's.
    assert_eq!(seen, [200, 429, 503, 503, 200]);
    assert!(world.faults().is_empty());
    let faulted: Vec<bool> = world.ledger().calls.iter().map(|call| call.faulted).collect();
    assert_eq!(faulted, [false, true, true, true, false]);
}

#[tokio::test]
async fn a_status_comes_with_the_body_of_its_side() {
    let bench = Bench::new().await;
    bench.world().add_fault(source(status(500)));
    let answer = bench.get("/ping").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["title"]),
        (500, &json!("Internal Server Error"))
    );
    assert_eq!(answer.headers["content-type"], "application/problem+json; charset=utf-8");
    bench.world().add_fault(destination(FaultAction::Status {
        status: 503,
        title: None,
        retry_after: Some(2),
    }));
    let answer = bench.post(&json!([{"id": "1"}])).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body),
        (503, json!({"error": "Service Unavailable"}))
    );
    assert_eq!(answer.headers["retry-after"], "2");
    assert_eq!(bench.world().record_count(SPACE).unwrap(), 0);
}

#[tokio::test]
async fn html_and_nothing_come_instead_of_json() {
    let bench = Bench::new().await;
    bench.world().add_fault(source(FaultAction::Html { status: 502 }));
    let answer = bench.get("/lists").await;
    assert_eq!(answer.status, 502);
    assert!(answer.body.as_str().unwrap().starts_with("<html>"));
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    bench.world().add_fault(source(FaultAction::Empty { status: 403 }));
    let answer = bench.get("/lists").await;
    assert_eq!((answer.status.as_u16(), answer.body), (403, json!("")));
}

#[tokio::test]
async fn bodies_are_cut_and_spoiled() {
    let bench = Bench::seeded(&Seed::of(20)).await;
    let page = || bench.source(Method::GET, &format!("/lists/{LIST}/members?count=20")).send();
    let whole = page().await.unwrap().bytes().await.unwrap();

    bench.world().add_fault(source(FaultAction::Truncate));
    let response = page().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-length"], whole.len().to_string());
    assert!(response.bytes().await.is_err());

    bench.world().add_fault(source(FaultAction::CutShort));
    let cut = page().await.unwrap().bytes().await.unwrap();
    assert_eq!(cut, whole[..whole.len() / 2]);

    bench.world().add_fault(source(FaultAction::InvalidUtf8));
    let spoiled = page().await.unwrap().bytes().await.unwrap();
    assert!(std::str::from_utf8(&spoiled).is_err());
    assert_eq!(spoiled.len(), whole.len() + 1);

    let bytes: Vec<u64> = bench.world().ledger().calls.iter().map(|call| call.bytes_out).collect();
    let whole = whole.len() as u64;
    assert_eq!(bytes, [whole, whole / 2, whole / 2, whole + 1]);
}

#[tokio::test]
async fn a_dropped_connection_is_applied_or_not_as_asked() {
    let bench = Bench::new().await;
    let post =
        |id: &str| bench.destination(Method::POST, "/record").json(&json!([{"id": id}])).send();
    bench.world().add_fault(destination(FaultAction::Drop));
    assert!(post("never").await.is_err());
    bench.world().add_fault(destination(FaultAction::ApplyThenDrop));
    assert!(post("lost answer").await.is_err());
    let records = bench.world().records(SPACE).unwrap();
    assert_eq!(records.keys().collect::<Vec<_>>(), ["lost answer"]);
    let statuses: Vec<_> = bench.world().ledger().calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [None, Some(200)]);
    assert_eq!(post("after").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_held_call_waits_before_or_after_it_is_applied() {
    let bench = Bench::new().await;
    let world = bench.world();
    let hold = |id: &str| FaultAction::Hold { id: id.to_owned() };
    world.add_fault(destination(hold("before")));
    world.add_fault(destination(FaultAction::ApplyThenHold { id: "after".to_owned() }));
    let post = |id: &str| {
        tokio::spawn(bench.destination(Method::POST, "/record").json(&json!([{"id": id}])).send())
    };
    let first = post("1");
    world.wait_held("before", 1).await;
    let second = post("2");
    world.wait_held("after", 1).await;
    assert_eq!(world.records(SPACE).unwrap().keys().collect::<Vec<_>>(), ["2"]);
    assert_eq!((world.held("before"), world.held("after")), (1, 1));
    world.release("before");
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(world.record_count(SPACE).unwrap(), 2);
    world.release("after");
    assert_eq!(second.await.unwrap().unwrap().status(), 200);
    // The name can be used again.
    world.add_fault(destination(hold("before")));
    let third = post("3");
    world.wait_held("before", 1).await;
    world.release("before");
    assert_eq!(third.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_held_call_that_nobody_waits_for_is_still_applied() {
    let bench = Bench::new().await;
    let world = bench.world();
    world.add_fault(destination(FaultAction::Hold { id: "late".to_owned() }));
    let request =
        tokio::spawn(bench.destination(Method::POST, "/record").json(&json!([{"id": "1"}])).send());
    world.wait_held("late", 1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!(world.record_count(SPACE).unwrap(), 0);
    world.release("late");
    world.wait_calls(Side::Destination, 1).await;
    assert_eq!(world.record_count(SPACE).unwrap(), 1);
}

#[tokio::test]
async fn delays_and_latency_lengthen_calls() {
    let bench = Bench::seeded(&Seed::of(1)).await;
    let world = bench.world();
    let (delay, latency) = (Duration::from_millis(30), Duration::from_millis(20));
    world.add_fault(source(FaultAction::Delay).path("/3.0/ping").delayed(delay));
    world.set_latency(latency);
    bench.get("/ping").await;
    bench.members("").await;
    let calls = world.ledger().calls;
    assert!(calls[0].duration >= delay, "{:?}", calls[0].duration);
    assert!(calls[1].duration >= latency, "{:?}", calls[1].duration);
}

#[tokio::test]
async fn the_ledger_counts_calls_and_bytes_by_side_and_kind() {
    let bench = Bench::seeded(&Seed::of(5)).await;
    let world = bench.world();
    bench.get("/ping").await;
    let mark = world.ledger().mark;
    let page = bench.members("count=2&fields=members.id").await;
    bench.get("/lists/nosuch").await;
    bench.post(&json!([{"id": "1"}])).await;
    read(bench.destination(Method::DELETE, "/record/1")).await;
    bench.admin(Method::GET, "/clock", None).await;
    let ledger = world.ledger_since(mark);
    assert_eq!((ledger.source.call_count, ledger.source.failure_count), (2, 1));
    assert_eq!(ledger.destination.call_count, 2);
    assert_eq!(ledger.destination.bytes_in, r#"[{"id":"1"}]"#.len() as u64);
    for (operation, count) in [
        (Operation::Ping, 0),
        (Operation::Page, 1),
        (Operation::List, 1),
        (Operation::Write, 1),
        (Operation::Delete, 1),
    ] {
        assert_eq!(ledger.count(operation), count, "{operation:?}");
    }
    let call = &ledger.calls[0];
    assert_eq!(call.bytes_out, serde_json::to_string(&page.body).unwrap().len() as u64);
    assert_eq!(call.parameter("fields").as_deref(), Some("members.id"));
    assert_eq!((call.status, call.key.as_deref()), (Some(200), Some(KEY)));
    assert!(call.ended_at >= call.started_at);
    world.reset_ledger();
    assert!(world.ledger().calls.is_empty());
}

#[tokio::test]
async fn the_nth_call_can_be_waited_for() {
    let bench = Bench::new().await;
    let world = std::sync::Arc::clone(bench.world());
    let waiting = tokio::spawn(async move {
        world.wait_calls(Side::Destination, 2).await;
        world.record_count(SPACE).unwrap()
    });
    bench.get("/ping").await;
    bench.post(&json!([{"id": "1"}])).await;
    bench.post(&json!([{"id": "2"}])).await;
    assert_eq!(waiting.await.unwrap(), 2);
    bench.world().wait_until(1, |call| call.operation == Operation::Ping).await;
}

#[tokio::test]
async fn shutting_down_lets_go_what_is_held() {
    let bench = Bench::new().await;
    let world = std::sync::Arc::clone(bench.world());
    world.add_fault(source(FaultAction::Hold { id: "gate".to_owned() }));
    let request = tokio::spawn(client().get(bench.url("/3.0/ping")).bearer_auth(KEY).send());
    world.wait_held("gate", 1).await;
    bench.simulator.shutdown().await;
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
}
