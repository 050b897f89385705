//! Error bodies, credentials, headers and limits of the list API.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tidemark_simulator::{Fault, FaultAction, Seed, Side};

use crate::bench::{Bench, KEY, LIST, NOW, client, read};

#[tokio::test]
async fn errors_have_their_recorded_shape() {
    let bench = Bench::new().await;
    let answer = bench.get("/lists/nosuch/members").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.headers["content-type"], "application/problem+json; charset=utf-8");
    assert_eq!(
        answer.body,
        json!({"type": "https://mailchimp.com/developer/marketing/docs/errors/",
            "title": "Resource Not Found", "status": 404,
            "detail": "The requested resource could not be found.",
            "instance": answer.headers["x-request-id"].to_str().unwrap()})
    );
    assert_eq!(bench.get("/nosuch").await.body["title"], "Resource Not Found");
    assert_eq!(
        bench.send(Method::POST, "/ping", &json!({})).await.body["title"],
        "Method Not Allowed"
    );
}

#[tokio::test]
async fn answers_have_their_recorded_headers() {
    let bench = Bench::seeded(&Seed::of(3)).await;
    let answer = bench.members("").await;
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(answer.headers["date"], "Wed, 23 Feb 2022 16:25:57 GMT");
    assert_eq!(answer.headers["server"], "openresty");
    assert_eq!(answer.headers["vary"], "Accept-Encoding");
    assert!(answer.headers.contains_key("x-request-id"));
    for absent in ["etag", "last-modified", "retry-after", "content-encoding"] {
        assert!(!answer.headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn answers_are_compressed_when_that_is_on_and_accepted() {
    let bench = Bench::seeded(&Seed::of(100)).await;
    let plain = bench.members("count=100").await.body;
    bench.world().set_gzip(true);
    let request = bench.source(Method::GET, &format!("/lists/{LIST}/members?count=100"));
    assert_eq!(read(request).await.body, plain);
    let ledger = bench.world().ledger();
    let sizes: Vec<u64> = ledger.calls.iter().map(|call| call.bytes_out).collect();
    assert!(sizes[1] * 4 < sizes[0], "{sizes:?}");
    let refused = reqwest::Client::builder().no_gzip().build().unwrap();
    let request = refused.get(bench.url(&format!("/3.0/lists/{LIST}/members?count=100")));
    assert_eq!(read(request.bearer_auth(KEY)).await.body, plain);
}

#[tokio::test]
async fn keys_are_taken_in_every_form() {
    let bench = Bench::new().await;
    let ping = bench.url("/3.0/ping");
    let ask = |scheme: &str| client().get(&ping).header("Authorization", format!("{scheme} {KEY}"));
    for scheme in ["Bearer", "OAuth", "apikey"] {
        assert_eq!(read(ask(scheme)).await.body, json!({"health_status": "Everything's Chimpy!"}));
    }
    assert_eq!(read(client().get(&ping).basic_auth("", Some(KEY))).await.status, 200);
    let missing = read(client().get(&ping)).await;
    assert_eq!(
        (missing.status, &missing.body["title"]),
        (StatusCode::UNAUTHORIZED, &json!("API Key Missing"))
    );
    let wrong = read(client().get(&ping).bearer_auth("other-us1")).await;
    assert_eq!(
        (wrong.status, &wrong.body["title"]),
        (StatusCode::UNAUTHORIZED, &json!("API Key Invalid"))
    );
}

#[tokio::test]
async fn a_disabled_user_and_a_revoked_key_are_told_apart() {
    let bench = Bench::new().await;
    bench.world().disable_account(KEY).unwrap();
    let answer = bench.get("/lists").await;
    assert_eq!(
        (answer.status, &answer.body["title"]),
        (StatusCode::FORBIDDEN, &json!("User Disabled"))
    );
    bench.world().enable_account(KEY).unwrap();
    assert_eq!(bench.get("/lists").await.status, 200);
    bench.world().revoke_key(KEY);
    assert_eq!(bench.get("/lists").await.status, 401);
}

#[tokio::test]
async fn a_user_sees_their_own_lists_only() {
    let bench = Bench::new().await;
    bench.world().add_account("other-us1");
    bench.world().add_list("other-us1", "d4e5f6", "Theirs").unwrap();
    assert_eq!(bench.get("/lists/d4e5f6/members").await.status, 404);
    let lists = bench.get("/lists?fields=lists.id,lists.name,total_items").await.body;
    assert_eq!(lists, json!({"lists": [{"id": LIST, "name": "Newsletter"}], "total_items": 1}));
    bench.world().remove_list(LIST).unwrap();
    assert_eq!(bench.get(&format!("/lists/{LIST}/members")).await.status, 404);
    assert_eq!(bench.get("/lists").await.body["total_items"], 0);
}

#[tokio::test]
async fn lists_are_paged_sorted_and_filtered() {
    let bench = Bench::new().await;
    for number in 0..12 {
        bench.world().advance(1);
        bench.world().add_list(KEY, &format!("list{number}"), "More").unwrap();
    }
    let ids = async |query: &str| {
        let body = bench.get(&format!("/lists?{query}")).await.body;
        let lists = body["lists"].as_array().unwrap();
        lists.iter().map(|list| list["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await.len(), 10);
    assert_eq!(ids("count=1").await, [LIST]);
    assert_eq!(ids("sort_field=date_created&sort_dir=DESC&count=1").await, ["list11"]);
    assert_eq!(ids("since_date_created=2022-02-23T16:26:08Z").await, ["list11"]);
    assert_eq!(ids("before_date_created=2022-02-23T16:25:58Z").await, [LIST, "list0"]);
    assert_eq!(ids("email=nobody@example.com").await.len(), 0);
    let body = bench.get("/lists?count=1").await.body;
    assert_eq!(body["constraints"]["current_total_instances"], 13);
    assert!(body["lists"][0].get("updated_at").is_none());
}

#[tokio::test]
async fn the_eleventh_simultaneous_request_of_a_user_is_refused() {
    let bench = Bench::seeded(&Seed::of(3)).await;
    let world = bench.world();
    world.add_key("second-us1", KEY).unwrap();
    world.add_fault(
        Fault::next(Side::Source, FaultAction::Hold { id: "gate".to_owned() }).times(10),
    );
    let url = bench.url(&format!("/3.0/lists/{LIST}/members"));
    let client = client();
    let held: Vec<_> = (0..10)
        .map(|number| {
            let key = if number < 5 { KEY } else { "second-us1" };
            tokio::spawn(client.get(&url).bearer_auth(key).send())
        })
        .collect();
    world.wait_held("gate", 10).await;
    let refused = bench.members("").await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.body["detail"],
        "You have exceeded the limit of 10 simultaneous connections."
    );
    assert!(!refused.headers.contains_key("retry-after"));
    world.release("gate");
    for request in held {
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(bench.members("").await.status, 200);
    let ledger = world.ledger();
    assert_eq!(ledger.peaks["second-us1"], 5);
    assert_eq!(ledger.peaks[KEY], 6);
}

#[tokio::test]
async fn a_client_that_goes_away_keeps_its_slot() {
    let bench = Bench::new().await;
    let world = bench.world();
    world.add_fault(
        Fault::next(Side::Source, FaultAction::Hold { id: "gate".to_owned() }).times(10),
    );
    let url = bench.url("/3.0/ping");
    let requests: Vec<_> =
        (0..10).map(|_| tokio::spawn(client().get(&url).bearer_auth(KEY).send())).collect();
    world.wait_held("gate", 10).await;
    for request in requests {
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    assert_eq!(bench.get("/ping").await.status, 429);
    world.release("gate");
    world.wait_calls(Side::Source, 11).await;
    assert_eq!(bench.get("/ping").await.status, 200);
}

#[tokio::test]
async fn an_error_can_be_asked_for_except_where_it_is_ignored() {
    let bench = Bench::new().await;
    let ask =
        |path: &str| bench.source(Method::GET, path).header("X-Trigger-Error", "APIKeyMissing");
    assert_eq!(read(ask(&format!("/lists/{LIST}/members"))).await.status, 401);
    assert_eq!(read(ask("/ping")).await.status, 200);
    assert_eq!(read(ask("/lists")).await.status, 200);
}

#[tokio::test]
async fn the_date_follows_the_clock() {
    let bench = Bench::new().await;
    bench.world().advance(3_600);
    assert_eq!(bench.get("/ping").await.headers["date"], "Wed, 23 Feb 2022 17:25:57 GMT");
    assert_eq!(bench.world().now(), NOW + 3_600);
    bench.world().set_clock(None);
    assert!(bench.world().now() > NOW + 3_600);
}
