//! What a valid definition says.

use std::time::Duration;

use super::*;
use crate::definition::{
    DeleteRule, Deletions, DestinationDefinition, HoldDeletions, IdScope, InvalidRecords,
    MemberStatus, ReadRule, SourceDefinition,
};
use crate::schedule::Schedule;

#[test]
fn defaults_hold_where_nothing_is_said() {
    let definition = one(SHORT);
    assert_eq!(definition.id().as_str(), "acme/newsletter");
    assert_eq!(definition.max_lag(), Duration::from_hours(3));
    let SourceDefinition::Mailchimp(source) = definition.source();
    assert_eq!(source.statuses(), None);
    assert!(source.sends("subscribed") && source.sends("a status of the future"));
    assert_eq!(source.base_url(), None);
    assert_eq!(source.settle(), Duration::from_secs(30));
    assert_eq!((source.page_size(), source.simultaneous_requests()), (1_000, 8));
    assert_eq!(source.request_timeout(), Duration::from_secs(120));
    let DestinationDefinition::RecordApi(api) = definition.destination();
    assert_eq!(api.header(), "Authorisation");
    assert_eq!(api.delete(), Some(&DeleteRule::Tombstone { field: "deleted".to_owned() }));
    assert_eq!((api.batch_records(), api.batch_bytes()), (1_000, 4 * 1024 * 1024));
    assert_eq!(api.simultaneous_batches(), 4);
    assert_eq!(api.request_timeout(), Duration::from_secs(60));
    assert_eq!(api.settle(), Duration::ZERO);
    assert_eq!(api.rejected_path().as_str(), "errors");
    assert_eq!(definition.record().id_prefix(), "newsletter:");
    assert_eq!(definition.record().id_scope(), IdScope::Connection);
    let policy = definition.policy();
    assert_eq!(policy.hold_deletions(), HoldDeletions { over: 100, and_over_fraction: 0.1 });
    assert_eq!(policy.invalid_records(), InvalidRecords::Quarantine);
    assert!(policy.required().is_empty());
    assert_eq!(policy.full_read(), Duration::from_hours(7 * 24));
    assert_eq!(policy.deadline(), Duration::from_hours(24));
    assert_eq!(policy.retry_rejected(), 24);
    assert_eq!(policy.fail_rejected_over().to_bits(), 0.05_f64.to_bits());
    assert_eq!(policy.keep_raw(), Duration::from_hours(7 * 24));
    assert_eq!(policy.keep_commits(), 48);
}

#[test]
fn what_is_said_holds() {
    let definition = one(EVERYTHING);
    let Schedule::Cron(cron) = definition.schedule() else { panic!("is no cron") };
    assert_eq!((cron.expression(), cron.timezone()), ("0 7 * * 1-5", "Europe/Berlin"));
    assert_eq!(definition.max_lag(), Duration::from_hours(8 * 24));
    let SourceDefinition::Mailchimp(source) = definition.source();
    assert_eq!(source.api_key().to_string(), "file:/run/secrets/mailchimp");
    assert_eq!(
        source.statuses().map(|statuses| statuses.iter().copied().collect::<Vec<_>>()),
        Some(vec![MemberStatus::Cleaned, MemberStatus::Subscribed])
    );
    assert!(source.sends("cleaned") && !source.sends("pending"));
    assert_eq!(source.base_url().map(url::Url::as_str), Some("http://127.0.0.1:8600/"));
    assert_eq!(source.settle(), Duration::ZERO);
    assert_eq!((source.page_size(), source.simultaneous_requests()), (500, 2));
    assert_eq!(source.request_timeout(), Duration::from_secs(90));
    let DestinationDefinition::RecordApi(api) = definition.destination();
    assert_eq!(api.header(), "X-Api-Key");
    assert_eq!(api.delete(), Some(&DeleteRule::Request { path: "/record/{id}".to_owned() }));
    assert_eq!(api.read(), Some(&ReadRule { path: "/records".to_owned() }));
    assert_eq!((api.batch_records(), api.batch_bytes()), (50, 512 * 1024));
    assert_eq!(api.simultaneous_batches(), 1);
    assert_eq!(api.request_timeout(), Duration::from_secs(10));
    assert_eq!(api.settle(), Duration::from_secs(2));
    assert_eq!(api.rejected_path().as_str(), "result.refused");
    let record = definition.record();
    let fields: Vec<_> =
        record.fields().iter().map(|(field, path)| (field.as_str(), path.as_str())).collect();
    assert_eq!(fields, [("email", "email_address"), ("lastname", "merge_fields.LNAME")]);
    assert_eq!((record.id_path().as_str(), record.id_prefix()), ("contact_id", "acme-"));
    assert_eq!(record.id_scope(), IdScope::Account);
    let policy = definition.policy();
    assert_eq!(policy.deletions(), Deletions::Keep);
    assert_eq!(policy.hold_deletions(), HoldDeletions { over: 7, and_over_fraction: 0.25 });
    assert_eq!(policy.invalid_records(), InvalidRecords::Fail);
    assert_eq!(policy.required().iter().collect::<Vec<_>>(), ["email"]);
    assert_eq!(policy.full_read(), Duration::from_hours(7 * 24));
    assert_eq!(policy.deadline(), Duration::from_hours(6));
    assert_eq!((policy.retry_rejected(), policy.keep_commits()), (5, 2));
    assert_eq!(policy.fail_rejected_over().to_bits(), 0.5_f64.to_bits());
    assert_eq!(policy.keep_raw(), Duration::ZERO);
}

#[test]
fn records_of_an_account_have_no_prefix() {
    let text = short_with("every = \"1h\"", "every = \"1h\"\nid_scope = \"account\"")
        .replace("\"propagate\"", "\"keep\"");
    assert_eq!(one(&text).record().id_prefix(), "");
}

#[test]
fn a_path_finds_values() {
    let definition = one(&short_with("email_address", "merge_fields.ADDRESS.city"));
    let (_, path) = &definition.record().fields()[0];
    let row = serde_json::json!({"merge_fields": {"ADDRESS": {"city": "Ulm"}, "FNAME": "Ada"}});
    assert_eq!(path.find(&row), Some(&serde_json::json!("Ulm")));
    assert_eq!(path.find(&serde_json::json!({"merge_fields": {"ADDRESS": ""}})), None);
    assert_eq!(path.find(&serde_json::json!([])), None);
}

#[test]
fn the_examples_are_valid() {
    let examples = [
        file("newsletter.toml", include_str!("../../../../examples/newsletter.toml")),
        file("many.toml", include_str!("../../../../examples/many.toml")),
    ];
    for example in &examples {
        let definitions = parse(std::slice::from_ref(example), &[])
            .unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!definitions.is_empty());
    }
}

#[test]
fn summaries() {
    let address = format!("https://data.internal/{}", "long/".repeat(90));
    let long = short_with("https://data.internal/record", &address)
        .replace("acme/newsletter", &format!("acme/{}", "n".repeat(160)))
        .replace("a1b2c3", &"a".repeat(200));
    let summaries = [SHORT, EVERYTHING, &long].map(|text| one(text).summary());
    for summary in &summaries {
        assert!(summary.len() < 1_024 && !summary.contains('\n'), "{summary}");
    }
    insta::assert_snapshot!(summaries[..2].join("\n"));
}

#[test]
fn toml_of_a_definition() {
    insta::assert_snapshot!([SHORT, EVERYTHING].map(|text| one(text).to_toml()).join("\n"));
}
