//! Fresh, not, and fresh except.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

/// An answer without what differs each time.
fn timeless(mut answer: Value) -> Value {
    let objects = [&mut answer];
    for object in objects {
        strip(object);
    }
    answer
}

fn strip(value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for (name, value) in object.iter_mut() {
        match (name.as_str(), &*value) {
            ("complete_as_of", Value::String(at)) => {
                at.parse::<jiff::Timestamp>().unwrap();
                *value = json!("[INSTANT]");
            }
            ("age_seconds", Value::Number(_)) => *value = json!("[SECONDS]"),
            ("reason", Value::String(text)) => *value = json!(without_times(text)),
            ("connections", Value::Array(_)) => {
                value.as_array_mut().unwrap().iter_mut().for_each(strip);
            }
            _ => {}
        }
    }
}

/// `complete as of …, 3s ago` without the instant and the seconds.
fn without_times(reason: &str) -> String {
    let mut parts = reason.split("complete as of ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(" ago").unwrap();
        text += &format!("complete as of [TIME]{rest}");
    }
    text
}

#[tokio::test]
async fn a_connection_and_its_account() {
    let world = World::new().await;
    world.connect("acme/news").await;
    world.connect("acme/shop").await;
    let fresh = |answer: Value| (answer["fresh"].clone(), answer["state"].clone());

    let never = world.get("/v1/freshness/acme/news?max_age=1h").await;
    assert_eq!(never.status, StatusCode::OK);
    insta::assert_json_snapshot!("never_in_step", timeless(never.json()));

    let receipt = world.run("acme/news").await;
    // Each connection is looked at by itself: this one was not asked about yet.
    world.run("acme/shop").await;
    let shop = world.get("/v1/freshness/acme/shop?max_age=1h").await.json();
    insta::assert_json_snapshot!("fresh", timeless(shop));
    let account = world.get("/v1/freshness/acme?max_age=1h").await.json();
    let watermark: jiff::Timestamp = account["complete_as_of"].as_str().unwrap().parse().unwrap();
    assert_eq!(watermark, receipt.complete_as_of, "that of the older one");
    insta::assert_json_snapshot!("account", timeless(account));

    // The same look, asked for another age.
    let old = world.get("/v1/freshness/acme?max_age=0s").await.json();
    assert_eq!(fresh(old.clone()), (json!(false), json!("not-fresh")));
    assert!(old["reason"].as_str().unwrap().ends_with("so are 2 of 2 connections"), "{old}");
    world.end().await;
}

#[tokio::test]
async fn a_commit_is_seen() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let path = "/v1/freshness/acme/news?max_age=1h";
    assert_eq!(world.get(path).await.json()["fresh"], false);
    world.run("acme/news").await;
    // It is seen after a second at most, which the looks' own tests say; here it is waited for.
    while world.get(path).await.json()["fresh"] == false {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test]
async fn exceptions_are_accepted_by_those_who_say_so() {
    let world = World::new().await;
    world.connect("acme/news").await;
    world.refuse_one("news");
    world.run("acme/news").await;
    let strict = world.get("/v1/freshness/acme?max_age=1h").await.json();
    insta::assert_json_snapshot!("fresh_except", timeless(strict));
    let path = "/v1/freshness/acme?max_age=1h&accept_exceptions=true";
    let accepted = world.get(path).await.json();
    assert_eq!(accepted["fresh"], true);
    assert_eq!(accepted["state"], "fresh-except");
    assert_eq!(accepted["connections"][0]["fresh"], true);
    let path = "/v1/freshness/acme?max_age=0s&accept_exceptions=true";
    assert_eq!(world.get(path).await.json()["fresh"], false);
    world.end().await;
}

#[tokio::test]
async fn answers_are_not_to_be_kept() {
    let world = World::new().await;
    world.connect("acme/news").await;
    let answer = world.get("/v1/freshness/acme?max_age=1h").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json");
    world.end().await;
}

#[tokio::test]
async fn operators_have_a_door_of_their_own() {
    let world = World::new().await;
    let identity = world.folder.path().join("store/store.json");
    std::fs::remove_file(&identity).unwrap();
    let unclaimed = world.ops("/healthz").await;
    assert_eq!(unclaimed.status, StatusCode::SERVICE_UNAVAILABLE);
    std::fs::write(&identity, "{}").unwrap();
    assert_eq!(world.ops("/healthz").await.status, StatusCode::OK);

    world.get("/v1/freshness/empty?max_age=1h").await;
    world.get("/v1/freshness/no-such?max_age=1h").await;
    let metrics = world.ops("/metrics").await.text;
    for status in ["404", "403"] {
        let line = format!(
            "tidemark_gateway_requests_total{{route=\"/v1/freshness/{{account}}\",\
             status=\"{status}\"}}"
        );
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("no-such"), "{metrics}");
    // It is not at the other one.
    assert_eq!(world.get("/metrics").await.status, StatusCode::NOT_FOUND);
    world.end().await;
}
