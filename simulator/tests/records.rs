//! The record API.

use reqwest::Method;
use serde_json::json;
use tidemark_simulator::{BatchLimits, RejectRule};

use crate::bench::{Bench, SPACE, client, read};

#[tokio::test]
async fn the_last_write_of_an_id_wins() {
    let bench = Bench::new().await;
    let batch =
        json!([{"id": "1", "email": "a"}, {"id": "2", "email": "b"}, {"id": "1", "email": "c"}]);
    for _ in 0..2 {
        assert_eq!(bench.post(&batch).await.status, 200);
        let records = bench.world().records(SPACE).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records["1"], json!({"id": "1", "email": "c"}));
    }
    assert_eq!(bench.post(&json!([])).await.status, 200);
}

#[tokio::test]
async fn spaces_are_apart_and_unknown_keys_refused() {
    let bench = Bench::new().await;
    bench.world().add_destination("other-key");
    bench.post(&json!([{"id": "1"}])).await;
    assert_eq!(bench.world().record_count("other-key").unwrap(), 0);
    let post = |header: &str, key: &str| {
        client().post(bench.url("/record")).header(header, key).json(&json!([{"id": "1"}]))
    };
    assert_eq!(read(post("Authorisation", "wrong")).await.status, 401);
    assert_eq!(read(post("Authorization", SPACE)).await.status, 401);
    bench.world().remove_destination(SPACE);
    assert_eq!(bench.post(&json!([])).await.status, 401);
}

#[tokio::test]
async fn records_are_removed_by_id() {
    let bench = Bench::new().await;
    bench.post(&json!([{"id": "news:a/b c"}, {"id": "2"}])).await;
    let remove = |id: &str| read(bench.destination(Method::DELETE, &format!("/record/{id}")));
    assert_eq!(remove("news:a%2Fb%20c").await.status, 200);
    assert_eq!(remove("news:a%2Fb%20c").await.status, 404);
    assert_eq!(bench.world().records(SPACE).unwrap().keys().collect::<Vec<_>>(), ["2"]);
}

#[tokio::test]
async fn records_are_read_back_in_the_order_of_their_ids() {
    let bench = Bench::new().await;
    bench.post(&json!([{"id": "b:2"}, {"id": "a:1"}, {"id": "b:1"}, {"id": "b:3"}])).await;
    let ids = async |query: &str| {
        let answer = read(bench.destination(Method::GET, &format!("/record?{query}"))).await;
        let records = answer.body.as_array().unwrap().clone();
        records.into_iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let found: Vec<String> = ids("prefix=b:&limit=2").await;
    assert_eq!(found, expected(&["b:1", "b:2"]));
    let found: Vec<String> = ids("prefix=b:&after=b:2&limit=2").await;
    assert_eq!(found, expected(&["b:3"]));
    let found: Vec<String> = ids("prefix=b:&after=b:3").await;
    assert!(found.is_empty());
    let found: Vec<String> = ids("").await;
    assert_eq!(found, expected(&["a:1", "b:1", "b:2", "b:3"]));
}

#[tokio::test]
async fn tombstones_are_kept_and_can_be_left_out() {
    let bench = Bench::new().await;
    bench.post(&json!([{"id": "1", "deleted": false}, {"id": "2", "deleted": true}])).await;
    assert_eq!(bench.world().record_count(SPACE).unwrap(), 2);
    let live = bench.world().live_records(SPACE, "deleted").unwrap();
    assert_eq!(live.keys().collect::<Vec<_>>(), ["1"]);
}

#[tokio::test]
async fn refused_records_fail_the_batch_or_are_named() {
    let bench = Bench::new().await;
    let world = bench.world();
    let batch = json!([{"id": "1"}, {"id": "2"}, {"id": "3"}]);
    world.reject_when(SPACE, RejectRule::batches_with(["2"])).unwrap();
    assert_eq!(bench.post(&batch).await.status, 400);
    assert_eq!(world.record_count(SPACE).unwrap(), 0);
    assert_eq!(bench.post(&json!([{"id": "3"}])).await.status, 200);
    world.clear_rejects(SPACE).unwrap();
    world.reject_when(SPACE, RejectRule::records(["2"], 207)).unwrap();
    let answer = bench.post(&batch).await;
    assert_eq!(answer.status, 207);
    assert_eq!(
        answer.body,
        json!({"accepted": 2, "errors": [{"id": "2", "message": "the record is not valid"}]})
    );
    assert_eq!(world.records(SPACE).unwrap().keys().collect::<Vec<_>>(), ["1", "3"]);
    let removal = read(bench.destination(Method::DELETE, "/record/2")).await;
    assert_eq!(removal.status, 400);
}

#[tokio::test]
async fn batches_over_the_limits_are_too_large() {
    let bench = Bench::new().await;
    let limit = |record_count, bytes| {
        bench.world().set_batch_limits(SPACE, BatchLimits { record_count, bytes }).unwrap();
    };
    let batch = json!([{"id": "1"}, {"id": "2"}]);
    let bytes = serde_json::to_vec(&batch).unwrap().len();
    limit(2, bytes);
    assert_eq!(bench.post(&batch).await.status, 200);
    limit(1, bytes);
    assert_eq!(bench.post(&batch).await.status, 413);
    limit(2, bytes - 1);
    assert_eq!(bench.post(&batch).await.status, 413);
}

#[tokio::test]
async fn what_is_not_a_batch_of_records_is_refused_whole() {
    let bench = Bench::new().await;
    for batch in [
        json!({"id": "1"}),
        json!([{"id": "1"}, {"name": "no id"}]),
        json!([{"id": "1"}, {"id": 2}]),
        json!([{"id": "1"}, {"id": ""}]),
        json!([{"id": "1"}, "2"]),
    ] {
        assert_eq!(bench.post(&batch).await.status, 400, "{batch}");
    }
    let broken = bench.destination(Method::POST, "/record").body("[{\"id\": \"1\"}");
    assert_eq!(read(broken).await.status, 400);
    assert_eq!(bench.world().record_count(SPACE).unwrap(), 0);
    assert_eq!(read(bench.destination(Method::GET, "/record/1")).await.status, 405);
    assert_eq!(read(bench.destination(Method::GET, "/record/1/2")).await.status, 404);
}

#[tokio::test]
async fn a_batch_may_be_larger_than_a_frameworks_default() {
    let bench = Bench::new().await;
    let records = json!([{"id": "1", "text": "x".repeat(5 << 20)}]);
    assert_eq!(bench.post(&records).await.status, 200);
}
