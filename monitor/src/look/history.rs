//! What the definitions before the one that holds still mean.

use jiff::Timestamp;
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    store::{Folder, StoreError},
};
use tidemark_model::{definition::Definition, entry::Committed};

use super::{damage::Logged, terms::whole, unreadable};
use crate::rules::{Commit, Edit};

/// The definitions since the newest watermark: from a watermark on, nothing before it counts.
pub(super) struct History {
    /// When the connection was first applied, or applied again after it was removed: an edit and a
    /// schedule that is made anew give it no more time.
    pub(super) created_at: Timestamp,
    /// The version of that.
    created_version: u32,
    /// The edits of the lag that is allowed, oldest first.
    pub(super) edits: Vec<Edit>,
}

impl History {
    pub(super) async fn read(
        folder: &Folder,
        stored: &StoredDefinition,
        definition: &Definition,
        logged: &Logged,
    ) -> Result<Self, StoreError> {
        let mut history = Self {
            created_at: stored.applied_at,
            created_version: stored.version,
            edits: Vec::new(),
        };
        let mut max_lag = whole(definition.max_lag());
        let counts_from = logged.commit.as_ref().map(|commit| commit.manifest.complete_as_of);
        for version in (1..stored.version).rev() {
            if Some(history.created_at) <= counts_from {
                break;
            }
            match definitions::at(folder, version).await {
                Ok(Some(StoredDefinition { applied_at, definition: Some(before), .. })) => {
                    let (at, after) = (history.created_at, max_lag);
                    max_lag = whole(before.max_lag());
                    if max_lag != after {
                        history.edits.push(Edit { at, before: max_lag, after });
                    }
                    (history.created_at, history.created_version) = (applied_at, version);
                }
                Ok(_) => break,
                // No longer in force: what can still be read has to do.
                Err(error) if unreadable(&error) => break,
                Err(error) => return Err(error),
            }
        }
        history.edits.reverse();
        Ok(history)
    }

    /// A commit as the rules see it.
    pub(super) fn newest(&self, commit: &Committed) -> Commit {
        Commit {
            since_created: commit.manifest.definition.version >= self.created_version,
            ..super::newest(commit)
        }
    }
}
