//! What can go wrong with the store.

use tidemark_model::failure::{Failure, FailureKind, Side};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store's address cannot be used: {reason}")]
    Address { reason: String },
    #[error("the store at {url} cannot be opened")]
    Open { url: String, source: object_store::Error },
    #[error("the store's folder {folder} cannot be made")]
    Folder { folder: String, source: std::io::Error },
    #[error("the store's folder {folder} is not there")]
    NoFolder { folder: String },
    #[error("the store failed to {operation} {path}")]
    Access { operation: &'static str, path: String, source: object_store::Error },
    #[error("{path} is missing from the store, though an entry names it")]
    Missing { path: String },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: String, reason: String },
    #[error("{path} has format {format}, this version reads up to {known}")]
    NewerFormat { path: String, format: u32, known: u32 },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let (kind, hint) = match &error {
            StoreError::Address { .. } => {
                (FailureKind::Invalid, "set TIDEMARK_STORE to file:///folder or s3://bucket/prefix")
            }
            StoreError::Open { .. }
            | StoreError::Folder { .. }
            | StoreError::NoFolder { .. }
            | StoreError::Access { .. } => (
                FailureKind::Transient,
                "look at the store's space, rights and address (TIDEMARK_STORE); the run goes on by itself once it answers",
            ),
            StoreError::Missing { .. } | StoreError::Damaged { .. } => (
                FailureKind::Corrupt,
                "bring the object back from a backup of the store; nothing was sent on account of it",
            ),
            StoreError::NewerFormat { .. } => {
                (FailureKind::Corrupt, "run at least the version of Tidemark that wrote it")
            }
        };
        Failure::new(kind, Side::Platform, error.to_string()).hint(hint).caused_by_sources(&error)
    }
}
