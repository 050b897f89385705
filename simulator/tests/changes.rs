//! What each change does to a member: the truth table.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidemark_simulator::{Mutation, Refusal, Seed, WorldError};

use crate::bench::{Answer, Bench, LIST, NOW};

const ADA: &str = "ada@example.com";

fn members() -> String {
    format!("/lists/{LIST}/members")
}

fn member(address: &str) -> String {
    format!("/lists/{LIST}/members/{address}")
}

async fn create(bench: &Bench, email: &str) -> Answer {
    let body = json!({"email_address": email, "status": "subscribed",
        "merge_fields": {"FNAME": "Ada", "LNAME": "Lovelace"}});
    bench.send(Method::POST, &members(), &body).await
}

/// A list with Ada, created at [`NOW`]; the clock is ten seconds later.
async fn with_ada() -> (Bench, Value) {
    let bench = Bench::new().await;
    let created = create(&bench, ADA).await;
    assert_eq!(created.status, 200, "{}", created.body);
    bench.world().advance(10);
    (bench, created.body)
}

const CREATED: &str = "2022-02-23T16:25:57+00:00";
const LATER: &str = "2022-02-23T16:26:07+00:00";

#[tokio::test]
async fn a_new_member_is_stamped_with_the_servers_second() {
    let (_bench, ada) = with_ada().await;
    assert_eq!((&ada["last_changed"], &ada["timestamp_opt"]), (&json!(CREATED), &json!(CREATED)));
    assert_eq!(ada["full_name"], "Ada Lovelace");
}

#[tokio::test]
async fn a_member_is_found_by_hash_address_and_contact_id() {
    let (bench, ada) = with_ada().await;
    for address in
        [ada["id"].as_str().unwrap(), "ADA@example.com", ada["contact_id"].as_str().unwrap()]
    {
        let found = bench.get(&member(address)).await;
        assert_eq!((found.status, &found.body["web_id"]), (StatusCode::OK, &ada["web_id"]));
    }
    assert_eq!(bench.get(&member("0123456789abcdef0123456789abcdef")).await.status, 404);
    assert_eq!(bench.get(&member("nobody@example.com")).await.status, 404);
}

#[tokio::test]
async fn only_a_real_change_moves_last_changed() {
    let (bench, _) = with_ada().await;
    let same = json!({"email_address": ADA, "status": "subscribed",
        "merge_fields": {"FNAME": "Ada", "LNAME": "Lovelace"}, "interests": {}});
    let answer = bench.send(Method::PUT, &member(ADA), &same).await;
    assert_eq!((answer.status, &answer.body["last_changed"]), (StatusCode::OK, &json!(CREATED)));
    let change = json!({"merge_fields": {"FNAME": "Augusta"}});
    let answer = bench.send(Method::PATCH, &member(ADA), &change).await;
    assert_eq!(answer.body["last_changed"], LATER);
    assert_eq!(answer.body["merge_fields"]["LNAME"], "Lovelace");
    assert_eq!(answer.body["timestamp_opt"], CREATED);
}

#[tokio::test]
async fn two_changes_within_a_second_have_the_same_stamp() {
    let (bench, _) = with_ada().await;
    for name in ["One", "Two"] {
        let change = json!({"merge_fields": {"FNAME": name}});
        let answer = bench.send(Method::PATCH, &member(ADA), &change).await;
        assert_eq!(answer.body["last_changed"], LATER);
    }
}

#[tokio::test]
async fn tags_move_last_changed_unless_there_are_none() {
    let (bench, _) = with_ada().await;
    let path = format!("{}/tags", member(ADA));
    assert_eq!(bench.send(Method::POST, &path, &json!({"tags": []})).await.status, 204);
    assert_eq!(bench.get(&member(ADA)).await.body["last_changed"], CREATED);
    let tags = json!({"tags": [{"name": "vip", "status": "active"}]});
    assert_eq!(bench.send(Method::POST, &path, &tags).await.status, 204);
    let ada = bench.get(&member(ADA)).await.body;
    assert_eq!((&ada["last_changed"], &ada["tags_count"]), (&json!(LATER), &json!(1)));
    assert_eq!(bench.get(&path).await.body["tags"][0]["name"], "vip");
}

#[tokio::test]
async fn another_address_moves_the_ids_of_the_address_only() {
    let (bench, old) = with_ada().await;
    let change = json!({"email_address": "countess@example.com"});
    let new = bench.send(Method::PATCH, &member(ADA), &change).await.body;
    for moved in ["id", "unique_email_id", "email_address"] {
        assert_ne!(old[moved], new[moved], "{moved}");
    }
    for kept in ["contact_id", "web_id", "timestamp_opt", "status", "merge_fields"] {
        assert_eq!(old[kept], new[kept], "{kept}");
    }
    assert_eq!(new["last_changed"], LATER);
    assert_eq!(bench.get(&member(old["id"].as_str().unwrap())).await.status, 404);
    assert_eq!(bench.total("count=1").await, 1);
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_without_a_type() {
    let (bench, _) = with_ada().await;
    create(&bench, "grace@example.com").await;
    let change = json!({"email_address": "grace@example.com"});
    for answer in [
        bench.send(Method::PATCH, &member(ADA), &change).await,
        create(&bench, "Grace@example.com").await,
    ] {
        assert_eq!(
            (answer.status, &answer.body["title"]),
            (StatusCode::BAD_REQUEST, &json!("Member Exists"))
        );
        assert!(answer.body.get("type").is_none());
    }
}

#[tokio::test]
async fn an_address_of_an_archived_member_can_be_taken() {
    let (bench, _) = with_ada().await;
    create(&bench, "grace@example.com").await;
    bench.send(Method::DELETE, &member("grace@example.com"), &json!({})).await;
    let change = json!({"email_address": "grace@example.com"});
    assert_eq!(bench.send(Method::PATCH, &member(ADA), &change).await.status, 200);
    assert_eq!(bench.total("status=archived").await, 0);
    assert_eq!(bench.total("").await, 1);
}

#[tokio::test]
async fn deleting_archives_once() {
    let (bench, _) = with_ada().await;
    assert_eq!(bench.send(Method::DELETE, &member(ADA), &json!({})).await.status, 204);
    let ada = bench.get(&member(ADA)).await.body;
    assert_eq!((&ada["status"], &ada["last_changed"]), (&json!("archived"), &json!(LATER)));
    let again = bench.send(Method::DELETE, &member(ADA), &json!({})).await;
    assert_eq!(
        (again.status, &again.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, PUT".parse().unwrap())
    );
    assert_eq!(bench.send(Method::DELETE, &member("x@example.com"), &json!({})).await.status, 404);
}

#[tokio::test]
async fn an_archived_member_comes_back_by_put_and_post() {
    let (bench, ada) = with_ada().await;
    bench.send(Method::DELETE, &member(ADA), &json!({})).await;
    let patched = bench.send(Method::PATCH, &member(ADA), &json!({"vip": true})).await;
    assert_eq!(patched.status, 400);
    bench.world().advance(10);
    let back = bench.send(Method::PUT, &member(ADA), &json!({"status": "subscribed"})).await.body;
    assert_eq!((&back["status"], &back["contact_id"]), (&json!("subscribed"), &ada["contact_id"]));
    assert_eq!(back["last_changed"], "2022-02-23T16:26:17+00:00");
    assert_eq!(back["timestamp_opt"], CREATED);
    bench.send(Method::DELETE, &member(ADA), &json!({})).await;
    bench.world().advance(10);
    let back = create(&bench, ADA).await.body;
    assert_eq!(back["timestamp_opt"], "2022-02-23T16:26:27+00:00");
    assert_eq!(back["web_id"], ada["web_id"]);
}

#[tokio::test]
async fn deleted_for_ever_leaves_no_trace_and_no_way_back() {
    let (bench, _) = with_ada().await;
    let path = format!("{}/actions/delete-permanent", member(ADA));
    assert_eq!(bench.send(Method::POST, &path, &json!({})).await.status, 204);
    assert_eq!(bench.total("").await, 0);
    assert_eq!(bench.total("status=archived").await, 0);
    assert_eq!(bench.get(&member(ADA)).await.status, 404);
    let again = create(&bench, ADA).await;
    assert_eq!(
        (again.status, &again.body["title"]),
        (StatusCode::BAD_REQUEST, &json!("Forgotten Email Not Subscribed"))
    );
}

#[tokio::test]
async fn put_creates_what_is_not_there() {
    let bench = Bench::new().await;
    let body = json!({"email_address": ADA, "status_if_new": "pending"});
    let created = bench.send(Method::PUT, &member(ADA), &body).await;
    assert_eq!((created.status, &created.body["status"]), (StatusCode::OK, &json!("pending")));
    assert_eq!(bench.send(Method::PUT, &member("x@example.com"), &json!({})).await.status, 400);
}

#[tokio::test]
async fn bounced_and_pending_members_keep_their_rules() {
    let bench = Bench::new().await;
    for (email, status) in [("bounced@example.com", "cleaned"), ("waiting@example.com", "pending")]
    {
        let body = json!({"email_address": email, "status": status});
        assert_eq!(bench.send(Method::POST, &members(), &body).await.status, 200);
        assert_eq!(bench.send(Method::DELETE, &member(email), &json!({})).await.status, 405);
    }
    let back = bench
        .send(Method::PATCH, &member("bounced@example.com"), &json!({"status": "subscribed"}))
        .await;
    assert_eq!(back.body["title"], "Member In Compliance State");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason() {
    let (bench, _) = with_ada().await;
    let path = format!("/lists/{LIST}/members");
    let answer = bench
        .send(Method::POST, &path, &json!({"email_address": "nobody", "status": "subscribed"}))
        .await;
    assert!(answer.body["detail"].as_str().unwrap().contains("looks fake or invalid"));
    let broken = bench.source(Method::POST, &path).body("{\"email");
    assert_eq!(crate::bench::read(broken).await.body["title"], "JSON Parse Exception");
    let fields = json!({"merge_fields": {"FNAME": {"first": "Ada"}, "NOSUCH": 1}});
    let answer = bench.send(Method::PATCH, &member(ADA), &fields).await;
    assert_eq!(answer.body["detail"], "Your merge fields were invalid.");
    assert_eq!(answer.body["errors"][0]["field"], "FNAME");
    let address = json!({"merge_fields": {"ADDRESS": {"addr1": "1 Way"}, "PHONE": 12}});
    let answer = bench.send(Method::PATCH, &member(ADA), &address).await;
    assert_eq!(answer.body["merge_fields"]["ADDRESS"]["addr1"], "1 Way");
    let answer = bench.send(Method::PATCH, &member(ADA), &json!({"status": "archived"})).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn anything_can_be_put_at_a_merge_field_from_outside() {
    let (bench, _) = with_ada().await;
    let raw = |field: &str, value: Value| Mutation::SetRaw {
        member: ADA.to_owned(),
        field: field.to_owned(),
        value,
    };
    for value in
        [Value::Null, json!({"a": 1}), json!(290.53), json!([1]), json!("x".repeat(10 << 20))]
    {
        bench.world().mutate(LIST, &raw("FNAME", value.clone())).unwrap();
        let shown = bench.members("fields=members.merge_fields.FNAME").await;
        assert!(shown.body["members"][0]["merge_fields"]["FNAME"] == value);
    }
    bench.world().mutate(LIST, &raw("ODD", json!(1))).unwrap();
    assert_eq!(bench.get(&member(ADA)).await.body["merge_fields"]["ODD"], 1);
    bench.world().mutate(LIST, &Mutation::NullMergeFields { member: ADA.to_owned() }).unwrap();
    assert_eq!(bench.get(&member(ADA)).await.body["merge_fields"], Value::Null);
    let ids =
        bench.world().mutate(LIST, &Mutation::RemoveEmail { member: ADA.to_owned() }).unwrap();
    let ada = bench.get(&member(&ids.contact_id)).await.body;
    assert_eq!((&ada["email_address"], &ada["last_changed"]), (&json!(""), &json!(LATER)));
    let nameless = Mutation::RemoveContactId { member: ids.contact_id.clone() };
    bench.world().mutate(LIST, &nameless).unwrap();
    let ada = bench.get(&member(&ids.contact_id)).await.body;
    assert_eq!((ada.get("contact_id"), &ada["id"]), (None, &json!(ids.id)));
}

#[tokio::test]
async fn a_touch_moves_nothing_but_the_stamp_and_the_tags() {
    let (bench, old) = with_ada().await;
    bench.world().mutate(LIST, &Mutation::Touch { member: ADA.to_owned() }).unwrap();
    let new = bench.get(&member(ADA)).await.body;
    assert_eq!(new["last_changed"], LATER);
    for kept in ["id", "email_address", "full_name", "merge_fields", "status", "timestamp_opt"] {
        assert_eq!(old[kept], new[kept]);
    }
}

#[tokio::test]
async fn the_world_refuses_what_the_list_refuses() {
    let (bench, _) = with_ada().await;
    let refused = |mutation: Mutation| match bench.world().mutate(LIST, &mutation) {
        Err(WorldError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(Mutation::add(ADA, "", "")), Refusal::Exists);
    assert_eq!(refused(Mutation::Unarchive { member: ADA.to_owned() }), Refusal::NotArchived);
    assert_eq!(refused(Mutation::Touch { member: "x@example.com".to_owned() }), Refusal::Unknown);
    bench.world().mutate(LIST, &Mutation::DeleteForEver { member: ADA.to_owned() }).unwrap();
    assert_eq!(refused(Mutation::add(ADA, "", "")), Refusal::Forgotten);
}

#[tokio::test]
async fn the_numbers_about_a_list_are_cached_for_five_minutes() {
    let bench = Bench::seeded(&Seed::of(5)).await;
    let path = format!("/lists/{LIST}?include_total_contacts=true");
    let stats = async || bench.get(&path).await.body["stats"].clone();
    assert_eq!(stats().await["member_count"], 5);
    let ids =
        bench.world().mutate_random(LIST, tidemark_simulator::RandomKind::DeleteForEver, 1, 1);
    ids.unwrap();
    bench.world().advance(299);
    assert_eq!(stats().await["member_count"], 5);
    bench.world().advance(1);
    let fresh = stats().await;
    assert_eq!((&fresh["member_count"], &fresh["total_contacts"]), (&json!(4), &json!(5)));
    assert_eq!(fresh["last_unsub_date"], "");
    assert!(
        bench.get(&format!("/lists/{LIST}")).await.body["stats"].get("total_contacts").is_none()
    );
}

#[tokio::test]
async fn what_is_true_can_be_visited_whatever_the_listing_shows() {
    let (bench, _) = with_ada().await;
    bench.world().set_lag(LIST, 60).unwrap();
    bench.world().mutate(LIST, &Mutation::set(ADA, "FNAME", "Augusta")).unwrap();
    let mut seen = Vec::new();
    bench
        .world()
        .each_member(LIST, |member| seen.push((member.merge_field("FNAME"), member.last_changed())))
        .unwrap();
    assert_eq!(seen, [(json!("Augusta"), NOW + 10)]);
    assert_eq!(bench.column("", "full_name").await, ["Ada Lovelace"]);
}
