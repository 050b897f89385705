//! The admin side: the same actions as JSON over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use tidemark_simulator::{Options, World, serve};

use crate::bench::{Answer, Bench, LIST, NOW, SPACE, client, loopback, read};

async fn call(bench: &Bench, method: Method, path: &str, body: Value) -> Value {
    let answer = bench.admin(method, path, Some(&body)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

async fn ask(bench: &Bench, method: Method, path: &str) -> Answer {
    bench.admin(method, path, None).await
}

#[tokio::test]
async fn a_world_is_set_up_and_changed() {
    let bench = Bench::new().await;
    call(&bench, Method::POST, "/accounts", json!({"api_key": "new-us1"})).await;
    call(
        &bench,
        Method::POST,
        "/accounts",
        json!({"api_key": "more-us1", "same_user_as": "new-us1"}),
    )
    .await;
    call(
        &bench,
        Method::POST,
        "/lists",
        json!({"api_key": "more-us1", "id": "fresh", "name": "Fresh"}),
    )
    .await;
    let seed = json!({"count": 50, "seed": 9, "ties": 5, "statuses": {"subscribed": 1}});
    assert_eq!(call(&bench, Method::POST, "/lists/fresh/seed", seed).await["member_count"], 50);
    let add = json!({"kind": "add", "email": "ada@example.com", "first_name": "Ada"});
    let ids = call(&bench, Method::POST, "/lists/fresh/mutations", add).await;
    let touch = json!({"kind": "touch", "member": ids["contact_id"]});
    assert_eq!(call(&bench, Method::POST, "/lists/fresh/mutations", touch).await, ids);
    let random = json!({"kind": "delete-for-ever", "count": 3, "seed": 4});
    let changed = call(&bench, Method::POST, "/lists/fresh/random-mutations", random).await;
    assert_eq!(changed["changed"].as_array().unwrap().len(), 3);
    call(&bench, Method::PUT, "/lists/fresh/lag", json!({"seconds": 0})).await;
    let total = client().get(bench.url("/3.0/lists/fresh/members?count=1")).bearer_auth("new-us1");
    assert_eq!(read(total).await.body["total_items"], 48);
}

#[tokio::test]
async fn refusals_say_why() {
    let bench = Bench::new().await;
    let touch = json!({"kind": "touch", "member": "nobody@example.com"});
    let path = format!("/lists/{LIST}/mutations");
    let answer = bench.admin(Method::POST, &path, Some(&touch)).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.body["error"], "the list does not take the change: no such member");
    let answer = bench.admin(Method::POST, "/lists/nosuch/mutations", Some(&touch)).await;
    assert_eq!(answer.status, 404);
    let random = json!({"kind": "archive", "count": 3});
    let path = format!("/lists/{LIST}/random-mutations");
    assert_eq!(bench.admin(Method::POST, &path, Some(&random)).await.status, 409);
}

#[tokio::test]
async fn the_clock_is_set_advanced_and_let_go() {
    let bench = Bench::new().await;
    assert_eq!(call(&bench, Method::PUT, "/clock", json!({"at": NOW + 5})).await["now"], NOW + 5);
    assert_eq!(call(&bench, Method::PUT, "/clock", json!({"advance": 5})).await["now"], NOW + 10);
    let free = call(&bench, Method::PUT, "/clock", json!({"at": null})).await;
    assert!(free["now"].as_i64().unwrap() > NOW + 10);
}

#[tokio::test]
async fn records_ledger_and_faults_are_seen() {
    let bench = Bench::new().await;
    call(&bench, Method::POST, "/destinations", json!({"key": "second"})).await;
    bench.post(&json!([{"id": "1", "gone": true}, {"id": "2"}])).await;
    let path = format!("/destinations/{SPACE}/records");
    let all = ask(&bench, Method::GET, &path).await.body;
    assert_eq!((&all["count"], &all["records"]["2"]), (&json!(2), &json!({"id": "2"})));
    let live =
        ask(&bench, Method::GET, &format!("{path}?tombstone=gone&count_only=true")).await.body;
    assert_eq!(live, json!({"count": 1}));
    let rule = json!({"ids": ["7"], "answer": {"kind": "records", "status": 207}});
    call(&bench, Method::POST, &format!("/destinations/{SPACE}/rejects"), rule).await;
    assert_eq!(bench.post(&json!([{"id": "7"}])).await.status, 207);

    let fault =
        json!({"side": "source", "path": "/3.0/ping", "action": {"kind": "html", "status": 504}});
    call(&bench, Method::POST, "/faults", fault).await;
    assert_eq!(ask(&bench, Method::GET, "/faults").await.body.as_array().unwrap().len(), 1);
    assert_eq!(bench.get("/ping").await.status, 504);
    assert_eq!(ask(&bench, Method::GET, "/faults").await.body, json!([]));

    let ledger = ask(&bench, Method::GET, "/ledger").await.body;
    assert_eq!(ledger["destination"]["call_count"], 2);
    assert_eq!(ledger["operations"]["write"]["call_count"], 2);
    let since = ask(&bench, Method::GET, &format!("/ledger?since={}", ledger["mark"])).await.body;
    assert_eq!(since["calls"], json!([]));
    ask(&bench, Method::DELETE, "/ledger").await;
    assert_eq!(ask(&bench, Method::GET, "/ledger").await.body["mark"], 0);
}

#[tokio::test]
async fn holds_are_awaited_and_released() {
    let bench = Bench::new().await;
    let fault = json!({"side": "source", "action": {"kind": "hold", "id": "gate"}});
    call(&bench, Method::POST, "/faults", fault).await;
    let request = tokio::spawn(bench.source(Method::GET, "/ping").send());
    assert_eq!(ask(&bench, Method::GET, "/holds/gate?wait=1").await.body["held"], 1);
    ask(&bench, Method::DELETE, "/holds/gate").await;
    assert_eq!(request.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_process_of_its_own_begins_with_its_options_and_ends_when_told() {
    let options = json!({
        "accounts": [{"api_key": "demo-us1", "lists": [
            {"id": "l1", "name": "One", "seed": {"count": 5}}, {"id": "l2", "name": "Two"}]}],
        "destinations": ["demo-key"],
    });
    let options: Options = serde_json::from_value(options).unwrap();
    let world = World::new();
    options.fill(&world).unwrap();
    assert_eq!(world.member_count("l1").unwrap(), 5);
    assert_eq!(world.member_count("l2").unwrap(), 0);
    assert_eq!(world.record_count("demo-key").unwrap(), 0);

    let taken = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let address = taken.local_addr().unwrap();
    assert!(serve(address, options.clone(), async {}).await.is_err());
    serve(loopback(), options, async {}).await.unwrap();
}
