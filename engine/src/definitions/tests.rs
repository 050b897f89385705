use tidemark_model::definition::{SourceText, parse};

use super::*;

/// A definition, whatever it says.
pub(crate) fn test_definition() -> Definition {
    let text = r#"
        [[connection]]
        id = "acme/newsletter"
        every = "1h"
        [connection.source]
        kind = "mailchimp"
        api_key = "env:KEY"
        list_id = "a1b2c3"
        [connection.destination]
        kind = "record-api"
        url = "http://one.test/record"
        api_key = "env:KEY"
        delete = { method = "DELETE", path = "/record/{id}" }
        [connection.record]
        id = "contact_id"
        email = "email_address"
        [connection.policy]
        deletions = "propagate"
    "#;
    let text = SourceText { name: "test.toml".to_owned(), text: text.to_owned() };
    parse(&[text], &[]).unwrap().remove(0)
}

fn version(number: u32, removed: bool) -> StoredDefinition {
    StoredDefinition {
        version: number,
        applied_at: Timestamp::UNIX_EPOCH,
        definition: (!removed).then(test_definition),
        same_destination: false,
    }
}

#[tokio::test]
async fn the_newest_version_counts_and_earlier_ones_stay() {
    let folder = Store::in_memory().root();
    assert_eq!(newest(&folder).await.unwrap(), None);
    for (number, removed) in [(1, false), (2, true)] {
        assert_eq!(put(&folder, version(number, removed)).await.unwrap(), Stored::Stored);
    }
    assert_eq!(newest(&folder).await.unwrap(), Some(version(2, true)));
    assert_eq!(at(&folder, 1).await.unwrap(), Some(version(1, false)));
    assert_eq!(at(&folder, 3).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_that_apply_at_once_one_is_told() {
    let folder = Store::in_memory().root();
    put(&folder, version(1, false)).await.unwrap();
    // The same again is the answer that was lost.
    assert_eq!(put(&folder, version(1, false)).await.unwrap(), Stored::Stored);
    let overtaken = put(&folder, version(1, true)).await.unwrap();
    assert_eq!(overtaken, Stored::Overtaken(Box::new(version(1, false))));
}

#[tokio::test]
async fn a_missing_version_below_newer_ones_is_damage() {
    let folder = Store::in_memory().root();
    put(&folder, version(2, false)).await.unwrap();
    assert!(matches!(newest(&folder).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn all_connections_are_found_by_account() {
    let store = Store::in_memory();
    let ids = ["acme/one", "acme/two", "other/one"].map(|id| ConnectionId::new(id).unwrap());
    for id in ids.iter().rev() {
        put(&store.connection(id), version(1, false)).await.unwrap();
    }
    let found = all(&store).await.unwrap();
    assert_eq!(found.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids);
}

fn identity(namespace: &str, cluster: &str) -> StoreIdentity {
    StoreIdentity { namespace: namespace.to_owned(), cluster: cluster.to_owned() }
}

#[tokio::test]
async fn a_store_belongs_to_one_namespace_of_one_cluster() {
    let store = Store::in_memory();
    let error = verify(&store, "default").await.unwrap_err();
    assert!(matches!(error, ClaimError::Unclaimed { .. }));
    let first = claim(&store, &identity("default", "c1")).await.unwrap();
    assert_eq!(claim(&store, &identity("default", "c1")).await.unwrap(), first);
    assert_eq!(verify(&store, "default").await.unwrap(), first);

    let error = verify(&store, "staging").await.unwrap_err().to_string();
    assert!(error.contains("default") && error.contains("staging"), "{error}");
    let error = claim(&store, &identity("default", "c2")).await.unwrap_err().to_string();
    assert!(error.contains("c1") && error.contains("c2"), "{error}");
}
