//! The stored definitions of connections, each version an object of its own, and whose store it is.
//!
//! Versions count from 1 without gaps and are created only if absent: of two that apply at once
//! one is told that it was not the first.

mod claim;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::{
    definition::Definition,
    ids::{AccountId, ConnectionId},
};

use crate::store::{Folder, Formatted, Store, StoreError};

pub use claim::{ClaimError, StoreClaim, StoreIdentity, claim, is_claimed, verify};

/// Folders that are looked into at once by [`all`].
const SIMULTANEOUS_READS: usize = 16;

const FOLDER: &str = "definitions";

/// The folder of all connections' folders, an account's inside.
const CONNECTIONS: &str = "connections";

/// A version of a connection's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredDefinition {
    /// 1, 2, 3….
    pub version: u32,
    pub applied_at: Timestamp,
    /// `None`: the connection was removed.
    pub definition: Option<Definition>,
    /// The destination's address is new and the system behind it is the old one: nothing is sent
    /// again on account of this version.
    #[serde(default)]
    pub same_destination: bool,
}

/// What came of storing a version.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// It is the newest now.
    Stored,
    /// Somebody else stored a version of that number in the meantime: this one.
    Overtaken(Box<StoredDefinition>),
}

/// The newest version of a connection's definition, `None` if there never was one.
///
/// # Errors
/// `Damaged` when a version is missing below newer ones, `NewerFormat`, or the store's.
pub async fn newest(connection: &Folder) -> Result<Option<StoredDefinition>, StoreError> {
    let names = connection.list(FOLDER).await?;
    let versions: Vec<u32> = names.iter().filter_map(|name| version_of(name)).collect();
    for (expected, found) in (1..).zip(&versions) {
        if expected != *found {
            return Err(StoreError::Damaged {
                path: path(expected),
                reason: "it is missing below newer versions of the definition".to_owned(),
            });
        }
    }
    let Some(version) = versions.last() else { return Ok(None) };
    let stored = at(connection, *version).await?;
    stored.map(Some).ok_or_else(|| StoreError::Missing { path: path(*version) })
}

/// One version of a connection's definition.
///
/// # Errors
/// `Damaged`, `NewerFormat`, or the store's.
pub async fn at(connection: &Folder, version: u32) -> Result<Option<StoredDefinition>, StoreError> {
    let stored: Option<Formatted<StoredDefinition>> = connection.document(&path(version)).await?;
    Ok(stored.map(|stored| stored.content))
}

/// Whether there is a version above this one. Cheaper than reading the newest.
///
/// # Errors
/// The store's.
pub async fn moved_on(connection: &Folder, version: u32) -> Result<bool, StoreError> {
    connection.exists(&path(version.saturating_add(1))).await
}

/// Stores a version; its number must be one above the newest that the caller saw.
///
/// # Errors
/// As [`at`]; the version may be stored nevertheless, and storing the same again tells.
pub async fn put(connection: &Folder, version: StoredDefinition) -> Result<Stored, StoreError> {
    let path = path(version.version);
    let wanted = Formatted::new(version);
    let standing = connection.establish(&path, &wanted).await?.content;
    if standing == wanted.content {
        Ok(Stored::Stored)
    } else {
        Ok(Stored::Overtaken(Box::new(standing)))
    }
}

/// Every connection that the store knows, removed ones included, sorted.
///
/// # Errors
/// The store's.
pub async fn connections(store: &Store) -> Result<Vec<ConnectionId>, StoreError> {
    let accounts = store.root().list(CONNECTIONS).await?;
    let connections: Vec<Vec<ConnectionId>> = stream::iter(accounts)
        .map(|account| async move { in_account(store, account.trim_end_matches('/')).await })
        .buffered(SIMULTANEOUS_READS)
        .try_collect()
        .await?;
    let mut ids: Vec<ConnectionId> = connections.into_iter().flatten().collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Those of an account, removed ones included, sorted.
///
/// # Errors
/// The store's.
pub async fn connections_of(
    store: &Store,
    account: &AccountId,
) -> Result<Vec<ConnectionId>, StoreError> {
    in_account(store, account.as_str()).await
}

async fn in_account(store: &Store, account: &str) -> Result<Vec<ConnectionId>, StoreError> {
    let names = store.root().list(&format!("{CONNECTIONS}/{account}")).await?;
    // A folder whose name is no id is none of ours.
    let id =
        |name: &String| ConnectionId::new(&format!("{account}/{}", name.strip_suffix('/')?)).ok();
    let mut ids: Vec<ConnectionId> = names.iter().filter_map(id).collect();
    // Folders are listed with their slash, which comes after a hyphen.
    ids.sort_unstable();
    Ok(ids)
}

/// The newest version of every connection that the store knows, removed ones included, sorted by
/// id.
///
/// # Errors
/// As [`newest`]: one that cannot be read is not left out.
pub async fn all(store: &Store) -> Result<Vec<(ConnectionId, StoredDefinition)>, StoreError> {
    stream::iter(connections(store).await?)
        .map(|id| async move {
            let stored = newest(&store.connection(&id)).await?;
            Ok::<_, StoreError>(stored.map(|stored| (id, stored)))
        })
        .buffered(SIMULTANEOUS_READS)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// Where a version is, below the connection's folder.
pub(crate) fn path(version: u32) -> String {
    format!("{FOLDER}/{version:010}.json")
}

fn version_of(name: &str) -> Option<u32> {
    name.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests;
