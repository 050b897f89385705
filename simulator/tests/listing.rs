//! The listing of members: filters, bounds, orders, ties, paging, trimming.

use reqwest::Method;
use serde_json::{Value, json};
use tidemark_simulator::{Mutation, RandomKind, Seed, StatusMix};

use crate::bench::{Bench, LIST, NOW};

/// Members a, b, c, … changed at these seconds before [`NOW`].
async fn changed_at(seconds_ago: &[i64]) -> Bench {
    let bench = Bench::new().await;
    for (letter, ago) in ('a'..='z').zip(seconds_ago) {
        bench.world().set_clock(Some(NOW - ago));
        let email = format!("{letter}@example.com");
        bench.world().mutate(LIST, &Mutation::add(&email, "F", "L")).unwrap();
    }
    bench.world().set_clock(Some(NOW));
    bench
}

async fn letters(bench: &Bench, query: &str) -> String {
    let emails = bench.column(query, "email_address").await;
    emails.iter().map(|email| email.as_str().unwrap().chars().next().unwrap()).collect()
}

#[tokio::test]
async fn since_is_exclusive_and_before_is_inclusive() {
    let bench = changed_at(&[20, 10, 10, 0]).await;
    let at = "2022-02-23T16:25:47"; // ten seconds before
    assert_eq!(letters(&bench, &format!("since_last_changed={at}Z")).await, "d");
    assert_eq!(letters(&bench, &format!("before_last_changed={at}Z")).await, "abc");
    assert_eq!(letters(&bench, &format!("since_last_changed={at}.999Z")).await, "d");
    assert_eq!(letters(&bench, &format!("before_last_changed={at}.000000Z")).await, "abc");
    assert_eq!(letters(&bench, &format!("since_timestamp_opt={at}%2B00:00")).await, "d");
    assert_eq!(letters(&bench, &format!("before_timestamp_opt={at}%2B00:00")).await, "abc");
    let second = "since_last_changed=2022-02-23T16:25:46Z&before_last_changed=2022-02-23T16:25:47Z";
    assert_eq!(letters(&bench, second).await, "bc");
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let bench = changed_at(&[0]).await;
    // The second is what becomes of a plus sign that was not encoded.
    for time in ["yesterday", "2022-02-23T16:25:47+00:00", "0"] {
        let answer = bench.members(&format!("since_last_changed={time}")).await;
        assert_eq!(answer.status, 400, "{time}");
    }
}

#[tokio::test]
async fn the_default_order_is_that_of_insertion() {
    let bench = changed_at(&[30, 20, 10]).await;
    bench.world().mutate(LIST, &Mutation::set("a@example.com", "FNAME", "new")).unwrap();
    assert_eq!(letters(&bench, "").await, "abc");
    assert_eq!(letters(&bench, "sort_field=last_changed").await, "bca");
    // A member that comes back from the archive returns to its old place.
    let b = || "b@example.com".to_owned();
    bench.world().mutate(LIST, &Mutation::Archive { member: b() }).unwrap();
    assert_eq!(letters(&bench, "").await, "ac");
    bench.world().mutate(LIST, &Mutation::Unarchive { member: b() }).unwrap();
    assert_eq!(letters(&bench, "").await, "abc");
}

#[tokio::test]
async fn ties_are_broken_by_web_id_and_reversed_with_the_order() {
    let bench = changed_at(&[5, 10, 5, 5, 1]).await;
    assert_eq!(letters(&bench, "sort_field=last_changed&sort_dir=ASC").await, "bacde");
    assert_eq!(letters(&bench, "sort_field=last_changed&sort_dir=DESC").await, "edcab");
    assert_eq!(
        letters(&bench, "sort_field=timestamp_opt&sort_dir=desc&offset=1&count=2").await,
        "dc"
    );
    assert_eq!(letters(&bench, "sort_dir=DESC").await, "abcde");
}

#[tokio::test]
async fn pages_have_ten_rows_by_default_and_at_most_a_thousand() {
    let bench = Bench::seeded(&Seed::of(1_500)).await;
    assert_eq!(bench.column("", "id").await.len(), 10);
    for count in [1_000, 1_001, 1_000_000] {
        assert_eq!(bench.column(&format!("count={count}"), "id").await.len(), 1_000);
    }
    assert_eq!(bench.column("count=1000&offset=1000", "id").await.len(), 500);
    let answer = bench.members("offset=2000").await;
    assert_eq!((answer.status.as_u16(), &answer.body["members"]), (200, &json!([])));
    assert_eq!(answer.body["total_items"], 1_500);
    assert_eq!(bench.members("count=many").await.status, 400);
}

#[tokio::test]
async fn pages_of_every_order_show_each_row_once() {
    let seed = Seed { count: 2_500, ties: 1_200, span: 500, ..Seed::default() };
    let bench = Bench::seeded(&seed).await;
    for order in ["", "sort_field=last_changed", "sort_field=last_changed&sort_dir=DESC"] {
        let mut ids = Vec::new();
        for page in 0..3 {
            let query = format!("{order}&count=1000&offset={}&fields=members.web_id", page * 1000);
            ids.extend(bench.column(&query, "web_id").await);
        }
        ids.sort_by_key(Value::as_u64);
        ids.dedup();
        assert_eq!(ids.len(), 2_500, "{order}");
    }
}

#[tokio::test]
async fn totals_count_after_the_filters_and_before_the_paging() {
    let statuses = StatusMix {
        unsubscribed: 1,
        cleaned: 1,
        pending: 1,
        transactional: 1,
        archived: 1,
        subscribed: 4,
    };
    let bench = Bench::seeded(&Seed { count: 900, statuses, ..Seed::default() }).await;
    let archived = bench.total("status=archived&count=1").await;
    assert!(archived > 50, "{archived}");
    assert_eq!(bench.total("count=1").await, 900 - archived);
    let mut sum = 0;
    for status in ["subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"]
    {
        let shown = bench.column(&format!("status={status}&count=1000"), "status").await;
        assert!(shown.iter().all(|shown| shown == status));
        sum += shown.len();
    }
    assert_eq!(sum, 900);
    assert_eq!(bench.members("status=gone").await.status, 400);
}

#[tokio::test]
async fn a_window_is_counted_alike_in_every_order() {
    let statuses = StatusMix { archived: 1, subscribed: 3, ..StatusMix::default() };
    let seed = Seed { count: 3_000, span: 1_000, ties: 300, statuses, ..Seed::default() };
    let bench = Bench::seeded(&seed).await;
    for status in ["", "&status=archived", "&status=subscribed"] {
        let fields = "fields=members.last_changed";
        let (mut changed, mut offset) = (Vec::new(), 0);
        loop {
            let query =
                format!("sort_field=last_changed&count=1000&offset={offset}{status}&{fields}");
            let page = bench.column(&query, "last_changed").await;
            if page.is_empty() {
                break;
            }
            offset += page.len();
            changed.extend(page);
        }
        assert!(changed.is_sorted_by_key(|at| at.as_str().unwrap().to_owned()));
        for bound in ["2022-02-23T16:09:30", "2022-02-23T16:17:36", "2022-02-23T16:25:50"] {
            let stamp = format!("{bound}+00:00");
            let until = changed.iter().filter(|at| at.as_str().unwrap() <= stamp.as_str()).count();
            for order in ["", "&sort_field=last_changed&sort_dir=DESC", "&sort_field=timestamp_opt"]
            {
                let before = format!("before_last_changed={bound}Z&count=1{order}{status}");
                assert_eq!(bench.total(&before).await, until as u64, "{before}");
                let since = format!("since_last_changed={bound}Z&count=1{order}{status}");
                assert_eq!(bench.total(&since).await, (changed.len() - until) as u64, "{since}");
            }
        }
    }
}

#[tokio::test]
async fn wide_and_narrow_windows_keep_the_default_order() {
    let bench = Bench::seeded(&Seed { count: 2_000, span: 1_000, ..Seed::default() }).await;
    let rows =
        async |query: &str| bench.members(query).await.body["members"].as_array().unwrap().clone();
    let all = rows("count=1000&fields=members.web_id,members.last_changed").await;
    let rest = rows("count=1000&offset=1000&fields=members.web_id,members.last_changed").await;
    for bound in ["2022-02-23T16:09:40", "2022-02-23T16:25:40"] {
        let stamp = format!("{bound}+00:00");
        let expected: Vec<Value> = all
            .iter()
            .chain(&rest)
            .filter(|member| member["last_changed"].as_str().unwrap() <= stamp.as_str())
            .map(|member| member["web_id"].clone())
            .skip(3)
            .take(4)
            .collect();
        let query = format!("before_last_changed={bound}Z&offset=3&count=4");
        assert_eq!(bench.column(&query, "web_id").await, expected, "{bound}");
    }
}

#[tokio::test]
async fn archived_members_are_listed_only_when_asked_for() {
    let bench = changed_at(&[10, 10, 10]).await;
    bench.world().mutate(LIST, &Mutation::Archive { member: "b@example.com".to_owned() }).unwrap();
    assert_eq!(letters(&bench, "").await, "ac");
    assert_eq!(letters(&bench, "status=archived").await, "b");
    let since = "status=archived&since_last_changed=2022-02-23T16:25:50Z";
    assert_eq!(letters(&bench, since).await, "b");
}

#[tokio::test]
async fn fields_trim_by_dot_path() {
    let bench = changed_at(&[0]).await;
    let answer =
        bench.members("fields=members.id,members.merge_fields.LNAME,total_items,nothing").await;
    let id = bench.column("", "id").await;
    assert_eq!(
        answer.body,
        json!({"members": [{"id": id[0], "merge_fields": {"LNAME": "L"}}], "total_items": 1})
    );
    let answer = bench
        .members("exclude_fields=members._links,_links,members.merge_fields.FNAME,email")
        .await;
    let member = &answer.body["members"][0];
    assert!(member.get("_links").is_none() && answer.body.get("_links").is_none());
    assert_eq!(member["merge_fields"], json!({"LNAME": "L", "ADDRESS": "", "PHONE": ""}));
    assert_eq!(bench.members("fields=total_items").await.body, json!({"total_items": 1}));
    assert_eq!(bench.members("fields=nothing").await.body, json!({}));
    assert_eq!(bench.members("fields=total_items&exclude_fields=members").await.status, 400);
}

#[tokio::test]
async fn a_full_member_has_the_recorded_keys_in_the_recorded_order() {
    let bench = changed_at(&[0]).await;
    let answer = bench.members("").await;
    let keys: Vec<&str> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["members", "list_id", "total_items", "_links"]);
    let member = answer.body["members"][0].as_object().unwrap();
    let keys: Vec<&str> = member.keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "id email_address unique_email_id contact_id full_name web_id email_type status \
         consents_to_one_to_one_messaging sms_phone_number sms_subscription_status \
         sms_subscription_last_updated merge_fields stats ip_signup timestamp_signup ip_opt \
         timestamp_opt member_rating last_changed language vip email_client location source \
         tags_count tags list_id _links"
    );
    assert_eq!(member["last_changed"], "2022-02-23T16:25:57+00:00");
    assert_eq!(member["timestamp_signup"], "");
    assert_eq!(member["_links"].as_array().unwrap().len(), 10);
    assert_eq!(member["unique_email_id"].as_str().unwrap().len(), 10);
}

#[tokio::test]
async fn flags_are_true_only_for_true_and_one() {
    let bench = changed_at(&[0, 0]).await;
    let path = format!("/lists/{LIST}/members/a@example.com");
    bench.send(Method::PATCH, &path, &json!({"vip": true, "email_type": "text"})).await;
    for (value, shown) in [("true", "a"), ("TRUE", "a"), ("1", "a"), ("0", "ab"), ("yes", "ab")] {
        assert_eq!(letters(&bench, &format!("vip_only={value}")).await, shown, "{value}");
    }
    assert_eq!(letters(&bench, "email_type=text").await, "a");
    assert_eq!(letters(&bench, "email_type=html").await, "b");
    let unique = bench.column("", "unique_email_id").await[1].clone();
    let query = format!("unique_email_id={}", unique.as_str().unwrap());
    assert_eq!(letters(&bench, &query).await, "b");
    assert_eq!(bench.total(&query).await, 1);
}

#[tokio::test]
async fn interests_are_asked_for_with_all_three_parameters() {
    let bench = changed_at(&[0, 0, 0]).await;
    assert!(bench.members("").await.body["members"][0].get("interests").is_none());
    bench.world().add_interests(LIST, "food", &["apples", "pears"]).unwrap();
    for (letter, interests) in
        [("a", json!({"apples": true})), ("b", json!({"apples": true, "pears": true}))]
    {
        let path = format!("/lists/{LIST}/members/{letter}@example.com");
        bench.send(Method::PATCH, &path, &json!({"interests": interests})).await;
    }
    let ask = |rule: &str| {
        format!("interest_category_id=food&interest_ids=apples,pears&interest_match={rule}")
    };
    assert_eq!(letters(&bench, &ask("any")).await, "ab");
    assert_eq!(letters(&bench, &ask("all")).await, "b");
    assert_eq!(letters(&bench, &ask("none")).await, "c");
    let shown = bench.members("").await.body["members"][0]["interests"].clone();
    assert_eq!(shown, json!({"apples": true, "pears": false}));
    assert_eq!(bench.members("interest_ids=apples&interest_match=any").await.status, 400);
    assert_eq!(bench.members(&ask("some")).await.status, 400);
}

#[tokio::test]
async fn campaign_and_unsubscribe_filters_keep_their_rules() {
    let bench = changed_at(&[30, 20]).await;
    bench.world().send_campaign(LIST).unwrap();
    bench.world().advance(10);
    let change = json!({"status": "unsubscribed"});
    bench.send(Method::PATCH, &format!("/lists/{LIST}/members/b@example.com"), &change).await;
    assert_eq!(bench.members("since_last_campaign=true").await.status, 400);
    assert_eq!(letters(&bench, "since_last_campaign=true&status=unsubscribed").await, "b");
    assert_eq!(letters(&bench, "since_last_campaign=true&status=subscribed").await, "");
    let since = "unsubscribed_since=2022-02-23T16:26:00Z";
    assert_eq!(letters(&bench, since).await, "b");
    assert_eq!(letters(&bench, &format!("{since}&status=unsubscribed")).await, "b");
    assert_eq!(bench.members(&format!("{since}&status=subscribed")).await.status, 400);
    assert_eq!(letters(&bench, "unsubscribed_since=2022-02-23T16:26:07Z").await, "");
}

#[tokio::test]
async fn the_listing_may_lag_while_a_look_up_does_not() {
    let bench = changed_at(&[30, 30]).await;
    bench.world().set_lag(LIST, 20).unwrap();
    bench.world().mutate(LIST, &Mutation::add("c@example.com", "F", "L")).unwrap();
    bench.world().mutate(LIST, &Mutation::Archive { member: "a@example.com".to_owned() }).unwrap();
    bench.world().mutate(LIST, &Mutation::set("b@example.com", "FNAME", "one")).unwrap();
    let look_up = bench.get(&format!("/lists/{LIST}/members/c@example.com")).await;
    assert_eq!(look_up.status, 200);
    assert_eq!(letters(&bench, "").await, "ab");
    bench.world().advance(19);
    bench.world().mutate(LIST, &Mutation::set("b@example.com", "FNAME", "two")).unwrap();
    assert_eq!(letters(&bench, "").await, "ab");
    assert_eq!(bench.total("status=archived").await, 0);
    bench.world().advance(1);
    assert_eq!(letters(&bench, "").await, "bc");
    assert_eq!(bench.total("status=archived").await, 1);
    let first_name = |answer: Value| answer["members"][0]["merge_fields"]["FNAME"].clone();
    assert_eq!(first_name(bench.members("").await.body), "one");
    bench.world().advance(19);
    assert_eq!(first_name(bench.members("").await.body), "two");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_list_and_the_same_changes() {
    let (one, two) = (Bench::seeded(&Seed::of(300)).await, Bench::seeded(&Seed::of(300)).await);
    for bench in [&one, &two] {
        for kind in
            [RandomKind::Change, RandomKind::Archive, RandomKind::ChangeEmail, RandomKind::Add]
        {
            assert_eq!(bench.world().mutate_random(LIST, kind, 7, 3).unwrap().len(), 7);
        }
    }
    assert_eq!(one.members("count=1000").await.body, two.members("count=1000").await.body);
    assert_eq!(one.total("count=1").await, 300);
    let other = Bench::seeded(&Seed { count: 300, seed: 2, ..Seed::default() }).await;
    assert_ne!(one.members("count=1000").await.body, other.members("count=1000").await.body);
}

#[tokio::test]
async fn ties_of_a_seed_share_one_second() {
    let bench = Bench::seeded(&Seed { count: 3_000, ties: 1_200, ..Seed::default() }).await;
    let at = NOW - 1 - 15 * 24 * 3_600;
    let second = |at: i64| jiff::Timestamp::from_second(at).unwrap().to_string();
    let query =
        format!("since_last_changed={}&before_last_changed={}&count=1", second(at - 1), second(at));
    assert!(bench.total(&query).await >= 1_200);
    assert!(bench.total(&query).await < 1_210);
}
