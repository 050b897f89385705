//! What the store says of a connection at one moment.

use std::{fmt, str::FromStr, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tidemark_model::{
    definition::Definition,
    entry::{Committed, DefinitionRef, Prepared, RunNumber},
    ids::{AccountId, ConnectionId, IdError},
    receipt::ProofKind,
};

use super::Counts;
use crate::{
    definitions::{self, StoredDefinition},
    diff::Resend,
    log::Log,
    run::{Edit, LateMark},
    store::{Folder, Store, StoreError},
};

/// Connections of an account that are looked at together.
const SIMULTANEOUS_LOOKS: usize = 16;

/// Whose freshness is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Account(AccountId),
    Connection(ConnectionId),
}

/// What the store says of a connection at one moment. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Look {
    connection: ConnectionId,
    folder: Folder,
    version: u32,
    definition: Arc<Definition>,
    log: Arc<Log>,
    proven: Result<Proven, Unproven>,
}

/// What the newest commit proves of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    pub run: RunNumber,
    /// The watermark, by the source's clock.
    pub complete_as_of: Timestamp,
    /// When it was committed, by the worker's clock.
    pub committed_at: Timestamp,
    pub counts: Counts,
}

/// Why nothing is proven, whatever the age of the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("never in step: no run of it has committed yet")]
    NeverInStep,
    #[error(
        "edited: version {version} of its definition says otherwise than what was sent so far, and \
         no run has committed under it yet"
    )]
    Edited { version: u32 },
    #[error("its records were removed, or are being removed, by an operator's decision")]
    RecordsRemoved,
    #[error(
        "a batch of an earlier run reached the destination late; the next run sends its records \
         again"
    )]
    LateBatch,
}

impl Look {
    /// Looks at a connection; `None` if there is none of that id, or it was removed.
    ///
    /// # Errors
    /// The store's, or a log or definition that is damaged: never a guess.
    pub async fn at(store: &Store, connection: &ConnectionId) -> Result<Option<Self>, StoreError> {
        let folder = store.connection(connection);
        let Some(stored) = definitions::newest(&folder).await? else { return Ok(None) };
        let StoredDefinition { version, definition: Some(definition), .. } = stored else {
            return Ok(None);
        };
        let log = Log::open(&folder).await?;
        let proven = proven(&folder, &log, &definition, version).await?;
        let (connection, definition, log) =
            (connection.clone(), Arc::new(definition), Arc::new(log));
        Ok(Some(Self { connection, folder, version, definition, log, proven }))
    }

    /// Looks again; `None` if the connection was removed in the meantime. It costs less than
    /// the first look if nothing happened since, however long the log is.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub async fn again(&self, store: &Store) -> Result<Option<Self>, StoreError> {
        if definitions::moved_on(&self.folder, self.version).await? || self.log.moved_on().await? {
            return Self::at(store, &self.connection).await;
        }
        let proven = proven(&self.folder, &self.log, &self.definition, self.version).await?;
        Ok(Some(Self { proven, ..self.clone() }))
    }

    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// What is proven of the destination.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn proven(&self) -> Result<Proven, Unproven> {
        self.proven
    }
}

impl Subject {
    #[must_use]
    pub fn account(&self) -> AccountId {
        match self {
            Self::Account(account) => account.clone(),
            Self::Connection(connection) => connection.account(),
        }
    }

    /// Looks at the connection, or at every connection of the account; removed ones are left out.
    /// In the order of their ids, and nothing if there is no such account or connection. `known`
    /// is what the last look showed, if there was one; it makes this one cheaper.
    ///
    /// # Errors
    /// As [`Look::at`], of any of them: an account is not told without one of its connections.
    pub async fn look(&self, store: &Store, known: &[Look]) -> Result<Vec<Look>, StoreError> {
        let ids = match self {
            Self::Account(account) => definitions::connections_of(store, account).await?,
            Self::Connection(connection) => vec![connection.clone()],
        };
        let looks: Vec<_> = ids.into_iter().map(|id| look_at(store, id, known)).collect();
        stream::iter(looks)
            .buffered(SIMULTANEOUS_LOOKS)
            .try_filter_map(|look| std::future::ready(Ok(look)))
            .try_collect()
            .await
    }
}

/// Looks at one of several connections; `known` is in the order of their ids.
async fn look_at(
    store: &Store,
    id: ConnectionId,
    known: &[Look],
) -> Result<Option<Look>, StoreError> {
    match known.binary_search_by(|look| look.connection.cmp(&id)).ok().and_then(|at| known.get(at))
    {
        Some(look) => look.again(store).await,
        None => Look::at(store, &id).await,
    }
}

impl FromStr for Subject {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains('/') {
            text.parse().map(Self::Connection)
        } else {
            text.parse().map(Self::Account)
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => account.fmt(f),
            Self::Connection(connection) => connection.fmt(f),
        }
    }
}

/// What a log proves under the definition that holds now.
async fn proven(
    folder: &Folder,
    log: &Log,
    definition: &Definition,
    version: u32,
) -> Result<Result<Proven, Unproven>, StoreError> {
    let Some(commit) = log.newest_commit() else { return Ok(Err(Unproven::NeverInStep)) };
    let removes = |kind: ProofKind| kind == ProofKind::Decision;
    if removes(commit.receipt.proof.kind)
        || log.unfinished().iter().any(|entry| removes(entry.proof.kind))
    {
        return Ok(Err(Unproven::RecordsRemoved));
    }
    if !in_force(folder, log, commit, definition, version).await? {
        return Ok(Err(Unproven::Edited { version }));
    }
    if !LateMark::open(folder, log, &commit.manifest.late_handled).await?.is_empty() {
        return Ok(Err(Unproven::LateBatch));
    }
    Ok(Ok(Proven::by(commit)))
}

/// Whether the destination holds what the definition says now: it was sent under the same one, but
/// for what costs nothing, and no run that died began to send under another.
async fn in_force(
    folder: &Folder,
    log: &Log,
    commit: &Committed,
    definition: &Definition,
    version: u32,
) -> Result<bool, StoreError> {
    let sent = &commit.manifest.definition;
    if sent.source_hash != definition.source_hash() {
        return Ok(false);
    }
    let same = |entry: &Prepared| hashes(&entry.next.definition) == hashes(sent);
    if !log.unfinished().iter().all(same) {
        return Ok(false);
    }
    let edit = Edit::since(folder, Some(commit), definition, version).await?;
    Ok(edit.resend == Resend::Nothing)
}

fn hashes(definition: &DefinitionRef) -> (&str, &str) {
    (definition.source_hash.as_str(), definition.destination_hash.as_str())
}

impl Proven {
    fn by(commit: &Committed) -> Self {
        let receipt = &commit.receipt;
        Self {
            run: commit.number,
            complete_as_of: commit.manifest.complete_as_of,
            committed_at: commit.committed_at,
            counts: Counts {
                exceptions: receipt.exception_count,
                rejected: receipt.rejected_count,
                held: receipt.held_count,
                waived: receipt.waived_count,
            },
        }
    }
}
