//! What can go wrong with a comparison.

use std::io;

use tidemark_model::failure::{Failure, FailureKind, Side};

use crate::store::StoreError;

/// A failure of the comparison. Nothing refers to the files that it may have left.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("the store failed the comparison")]
    Store(#[from] StoreError),
    /// The folder of [`DiffRequest::spill`](super::DiffRequest::spill).
    #[error("the folder for intermediate results failed")]
    Spill(#[from] io::Error),
    /// Nobody waits for the result any more.
    #[error("the comparison was given up")]
    GivenUp,
}

impl From<DiffError> for Failure {
    fn from(error: DiffError) -> Self {
        let message = error.to_string();
        match error {
            DiffError::Store(error) => error.into(),
            DiffError::Spill(_) => Self::new(FailureKind::Transient, Side::Platform, message)
                .hint(
                    "look at the space and the rights of the worker's folder for intermediate \
                     results; the run goes on by itself once it can be written",
                )
                .caused_by_sources(&error),
            DiffError::GivenUp => Self::new(FailureKind::Draining, Side::Platform, message),
        }
    }
}
