//! Whose trouble it is that the store refuses everything that a pass wanted to see: that of those
//! who were looked at, or its own.
//!
//! Without this, a right that the monitor itself has lost would be told as the trouble of thousands.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidemark_engine::store::{Store, StoreError};
use tidemark_model::ids::ConnectionId;

use crate::look::take_glance;

/// What is no connection's, and there in every store: whose store it is.
const IDENTITY: &str = "store.json";

/// Others that have something to say, and are asked for at most. One of them may be refused as well.
const MOST: usize = 5;

/// Others that are asked for at most, with those that were removed and have nothing to say.
const ASKED: usize = 50;

/// Asks the store for something else, after it refused what a pass wanted to see of all that it
/// looked at: for its identity, and for some connections that were not looked at. A refusal is
/// theirs only if it is one connection's, or another one is not refused.
///
/// # Errors
/// The refusal, if it is the store's own; or the store does not answer.
pub(crate) async fn hear(
    store: &Store,
    looked: &[ConnectionId],
    mut refusals: Vec<StoreError>,
    known: &BTreeSet<ConnectionId>,
) -> Result<(), StoreError> {
    store.root().get(IDENTITY).await?;
    let looked: BTreeSet<&ConnectionId> = looked.iter().collect();
    let others: Vec<&ConnectionId> = known.iter().filter(|one| !looked.contains(one)).collect();
    // Spread over all of them, and then over those between: neighbours are of one account.
    let step = others.len().div_ceil(MOST).max(1);
    let spread = (0..step).flat_map(|first| others.iter().skip(first).step_by(step));
    let most = refusals.len() + MOST;
    for other in spread.take(ASKED) {
        let taken = take_glance(store, other, None, Timestamp::now()).await?;
        match taken.refusal {
            Some(refusal) => {
                refusals.push(refusal);
                if refusals.len() == most {
                    break;
                }
            }
            None if taken.look.facts.is_some() => return Ok(()),
            // Of one that is not defined there was nothing to refuse.
            None => {}
        }
    }
    if refusals.len() > 1 { Err(refusals.swap_remove(0)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::definitions::{self, StoredDefinition};
    use tidemark_model::definition::{Definition, SourceText, parse};

    use super::*;
    use crate::refusing::Refusing;

    fn definition(id: &ConnectionId) -> String {
        format!(
            r#"
[[connection]]
id = "{id}"
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
"#
        )
    }

    /// A store that is somebody's, with so many connections in it.
    async fn store_of(objects: &Refusing, count: usize) -> (Store, Vec<ConnectionId>) {
        let store = objects.store();
        store.root().create(IDENTITY, "{}".into()).await.unwrap();
        let ids: Vec<ConnectionId> =
            (0..count).map(|number| format!("acme/l{number}").parse().unwrap()).collect();
        for id in &ids {
            let text = SourceText { name: "test.toml".to_owned(), text: definition(id) };
            put(&store, id, 1, Some(parse(&[text], &[]).unwrap().remove(0))).await;
        }
        (store, ids)
    }

    async fn put(store: &Store, id: &ConnectionId, version: u32, definition: Option<Definition>) {
        let applied_at = Timestamp::UNIX_EPOCH;
        let stored = StoredDefinition { version, applied_at, definition, same_destination: false };
        definitions::put(&store.connection(id), stored).await.unwrap();
    }

    /// Looks at connections, and asks whose trouble it is if all of them are refused.
    async fn looked(
        store: &Store,
        looked: &[ConnectionId],
        known: &[ConnectionId],
    ) -> Result<(), StoreError> {
        let mut refusals = Vec::new();
        for id in looked {
            refusals.extend(take_glance(store, id, None, Timestamp::now()).await?.refusal);
        }
        assert_eq!(refusals.len(), looked.len(), "all of them are refused");
        hear(store, looked, refusals, &known.iter().cloned().collect()).await
    }

    #[tokio::test]
    async fn what_is_refused_of_some_is_theirs_while_others_are_not_refused() {
        let objects = Refusing::default();
        let (store, ids) = store_of(&objects, 9).await;
        objects.refuse("connections/acme/l0/definitions");
        objects.refuse("connections/acme/l1/definitions");
        looked(&store, &ids[..1], &ids).await.unwrap();
        looked(&store, &ids[..2], &ids).await.unwrap();
        // There is nobody else to ask for.
        looked(&store, &ids[..1], &ids[..1]).await.unwrap();
    }

    #[tokio::test]
    async fn who_was_removed_is_no_witness_and_another_is_asked() {
        let objects = Refusing::default();
        let (store, ids) = store_of(&objects, 30).await;
        objects.refuse("connections/acme/l0/definitions");
        objects.refuse("connections/acme/l1/definitions");
        // All others but one are removed, and that is not among the first that are asked.
        let witness: ConnectionId = "acme/l11".parse().unwrap();
        for id in ids[2..].iter().filter(|id| **id != witness) {
            put(&store, id, 2, None).await;
        }
        looked(&store, &ids[..2], &ids).await.unwrap();
        // Without it, nobody can say that it is not the store.
        put(&store, &witness, 2, None).await;
        looked(&store, &ids[..2], &ids).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_is_refused_of_everybody_is_the_stores() {
        let objects = Refusing::default();
        let (store, ids) = store_of(&objects, 9).await;
        objects.refuse("connections/");
        for (many, known) in [(1, 9), (2, 9), (9, 9), (2, 2)] {
            let error = looked(&store, &ids[..many], &ids[..known]).await.unwrap_err();
            assert!(error.to_string().contains("definitions/"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_that_refuses_its_identity_is_down() {
        let objects = Refusing::default();
        let (store, ids) = store_of(&objects, 1).await;
        objects.refuse("");
        let error = looked(&store, &ids, &ids).await.unwrap_err();
        assert!(error.to_string().contains(IDENTITY), "{error}");
    }
}
