//! Whether the store is still the one that the monitor began with.
//!
//! The folder of a store that is not mounted any more looks like a store in which nothing was ever
//! told and nobody is defined.

use tidemark_engine::{
    definitions::{self, ClaimError, StoreClaim},
    store::{Store, StoreError},
};
use uuid::Uuid;

/// Why a pass came to nothing: without its store a monitor can neither know nor tell anything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the store at {url} is gone: it has no store.json any more. Mount its folder again, or bring \
         it back; nothing is concluded from what is not there"
    )]
    Gone { url: String },
    #[error(
        "the store at {url} is another one: its id is {found}, and it was {known} when the monitor \
         began. Bring the right one back, or start the monitor again"
    )]
    Another { url: String, known: Uuid, found: Uuid },
    #[error(transparent)]
    Claim(ClaimError),
}

/// The store that a monitor began with.
pub(crate) struct Identity {
    store: Store,
    claim: StoreClaim,
}

impl Identity {
    pub(crate) fn new(store: Store, claim: StoreClaim) -> Self {
        Self { store, claim }
    }

    /// Asks the store who it is.
    ///
    /// # Errors
    /// It does not say, or is another.
    pub(crate) async fn confirm(&self) -> Result<(), PassError> {
        let url = || self.store.url().to_owned();
        let found = match definitions::verify(&self.store, &self.claim.identity.namespace).await {
            Ok(found) => found.store_id,
            Err(ClaimError::Store(error)) => return Err(PassError::Store(error)),
            Err(ClaimError::Unclaimed { .. }) => return Err(PassError::Gone { url: url() }),
            Err(error) => return Err(PassError::Claim(error)),
        };
        let known = self.claim.store_id;
        if found == known { Ok(()) } else { Err(PassError::Another { url: url(), known, found }) }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_engine::definitions::StoreIdentity;

    use super::*;

    /// Makes a store that of a namespace.
    async fn claimed(store: &Store) -> StoreClaim {
        let identity = StoreIdentity { namespace: "default".to_owned(), cluster: "one".to_owned() };
        definitions::claim(store, &identity).await.unwrap()
    }

    #[tokio::test]
    async fn a_store_that_lost_its_identity_or_has_another_is_not_the_one() {
        let store = Store::in_memory();
        let identity = Identity::new(store.clone(), claimed(&store).await);
        identity.confirm().await.unwrap();
        store.root().delete(&["store.json".to_owned()]).await.unwrap();
        let gone = identity.confirm().await.unwrap_err();
        assert!(matches!(gone, PassError::Gone { .. }), "{gone}");
        claimed(&store).await;
        let another = identity.confirm().await.unwrap_err();
        assert!(matches!(another, PassError::Another { .. }), "{another}");
    }
}
