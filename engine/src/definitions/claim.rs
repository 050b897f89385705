//! Whose store it is: a store belongs to one Temporal namespace.
//!
//! Two namespaces over one store would each run the same connections and ask the wrong server
//! whether the other's runs are open.

use serde::{Deserialize, Serialize};
use tidemark_model::failure::{Failure, FailureKind, Side};
use uuid::Uuid;

use crate::store::{Formatted, Store, StoreError};

const PATH: &str = "store.json";

/// The Temporal side of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    pub namespace: String,
    /// The id that the Temporal cluster gave itself.
    pub cluster: String,
}

/// `store.json`: who claimed a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreClaim {
    pub store_id: Uuid,
    pub identity: StoreIdentity,
}

/// A store is not the caller's.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error("the store at {url} was not set up")]
    Unclaimed { url: String },
    #[error("the store at {url} belongs to the namespace {owner}, not to {asking}")]
    OtherNamespace { url: String, owner: String, asking: String },
    #[error(
        "the store at {url} belongs to the Temporal cluster {owner} (namespace {namespace}), not to {asking}"
    )]
    OtherCluster { url: String, namespace: String, owner: String, asking: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Self {
        let hint = match error {
            ClaimError::Store(error) => return error.into(),
            ClaimError::Unclaimed { .. } => "run `tidemark setup`",
            ClaimError::OtherNamespace { .. } | ClaimError::OtherCluster { .. } => {
                "set TIDEMARK_STORE or TEMPORAL_NAMESPACE and TEMPORAL_ADDRESS to what belongs together"
            }
        };
        Self::new(FailureKind::Invalid, Side::Platform, error.to_string()).hint(hint)
    }
}

/// Claims a store for a namespace of a cluster. Claiming it again for the same changes nothing.
///
/// # Errors
/// Another's claim, or the store's.
pub async fn claim(store: &Store, identity: &StoreIdentity) -> Result<StoreClaim, ClaimError> {
    let wanted = StoreClaim { store_id: Uuid::new_v4(), identity: identity.clone() };
    let standing = store.root().establish(PATH, &Formatted::new(wanted)).await?.content;
    check_namespace(store, &standing, &identity.namespace)?;
    if standing.identity.cluster != identity.cluster {
        return Err(ClaimError::OtherCluster {
            url: store.url().to_owned(),
            namespace: standing.identity.namespace,
            owner: standing.identity.cluster,
            asking: identity.cluster.clone(),
        });
    }
    Ok(standing)
}

/// Whether the store is there and was set up. A folder that is not mounted looks like a store in
/// which there are no connections.
///
/// # Errors
/// The store's.
pub async fn is_claimed(store: &Store) -> Result<bool, StoreError> {
    store.root().exists(PATH).await
}

/// The claim of a store that belongs to a namespace.
///
/// # Errors
/// No claim, another's, or the store's.
pub async fn verify(store: &Store, namespace: &str) -> Result<StoreClaim, ClaimError> {
    let found: Option<Formatted<StoreClaim>> = store.root().document(PATH).await?;
    let Some(Formatted { content, .. }) = found else {
        return Err(ClaimError::Unclaimed { url: store.url().to_owned() });
    };
    check_namespace(store, &content, namespace)?;
    Ok(content)
}

fn check_namespace(store: &Store, claim: &StoreClaim, asking: &str) -> Result<(), ClaimError> {
    if claim.identity.namespace == asking {
        return Ok(());
    }
    Err(ClaimError::OtherNamespace {
        url: store.url().to_owned(),
        owner: claim.identity.namespace.clone(),
        asking: asking.to_owned(),
    })
}
