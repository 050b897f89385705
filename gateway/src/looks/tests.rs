use tidemark_engine::definitions::{self, StoredDefinition};
use tidemark_model::definition::{SourceText, parse};

use super::*;

const DEFINITION: &str = r#"
[[connection]]
id = "acme/news"
every = "1h"
[connection.source]
kind = "mailchimp"
api_key = "env:KEY"
list_id = "a1b2c3"
[connection.destination]
kind = "record-api"
url = "http://one.test/record"
api_key = "env:KEY"
[connection.record]
id = "contact_id"
[connection.policy]
deletions = "keep"
"#;

/// Defines a connection of the account `acme`.
async fn define(store: &Store, name: &str) {
    let text = DEFINITION.replace("acme/news", &format!("acme/{name}"));
    let text = SourceText { name: "test.toml".to_owned(), text };
    let definition = parse(&[text], &[]).unwrap().remove(0);
    let folder = store.connection(definition.id());
    let stored = StoredDefinition {
        version: 1,
        applied_at: jiff::Timestamp::UNIX_EPOCH,
        definition: Some(definition),
        same_destination: false,
    };
    definitions::put(&folder, stored).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_look_is_answered_from_for_less_than_a_second() {
    let store = Store::in_memory();
    define(&store, "one").await;
    let looks = Looks::new(store.clone());
    let account = "acme".parse().unwrap();
    let count = async || looks.of(&account).await.unwrap().len();
    assert_eq!(count().await, 1);
    define(&store, "two").await;
    tokio::time::advance(OLDEST - Duration::from_millis(1)).await;
    assert_eq!(count().await, 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(count().await, 2);
    // Much later too.
    define(&store, "three").await;
    tokio::time::advance(FORGOTTEN).await;
    assert_eq!(count().await, 3);
}

#[tokio::test(start_paused = true)]
async fn an_error_leaves_nothing_to_answer_from() {
    let store = Store::in_memory();
    define(&store, "one").await;
    let looks = Looks::new(store.clone());
    let account: Subject = "acme".parse().unwrap();
    looks.of(&account).await.unwrap();
    let folder = store.connection(&"acme/two".parse().unwrap());
    folder.create("definitions/0000000001.json", "{".into()).await.unwrap();
    assert_eq!(looks.of(&account).await.unwrap().len(), 1, "it was good a moment ago");
    tokio::time::advance(OLDEST).await;
    looks.of(&account).await.unwrap_err();
    looks.of(&account).await.unwrap_err();
    assert_eq!(looks.slots().len(), 0);
}

#[tokio::test]
async fn a_request_that_is_dropped_leaves_no_slot() {
    let looks = Looks::new(Store::in_memory());
    let subject: Subject = "acme/no".parse().unwrap();
    let slot = looks.slot(&subject);
    drop(Place { looks: &looks, subject: &subject, slot: &slot, kept: false });
    assert_eq!(looks.slots().len(), 0);
    // One that is another's by now stays.
    let another = looks.slot(&subject);
    drop(Place { looks: &looks, subject: &subject, slot: &slot, kept: false });
    assert!(Arc::ptr_eq(&another, &looks.slot(&subject)));
}

#[tokio::test]
async fn names_that_do_not_exist_are_not_kept() {
    let looks = Looks::new(Store::in_memory());
    for number in 0..10 {
        let subject = format!("acme/no-{number}").parse().unwrap();
        assert_eq!(looks.of(&subject).await.unwrap().len(), 0);
    }
    assert_eq!(looks.slots().len(), 0);
}
