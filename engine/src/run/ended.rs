//! Runs that ended without a commit: why, and who must act.

use tidemark_model::{failure::Failure, ids::ConnectionId, step::EndedRun};

use super::Engine;
use crate::store::{Folder, Formatted, StoreError};

impl Engine {
    /// Keeps how a run ended that did not commit. The first record of a run stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn end(&self, connection: &ConnectionId, ended: &EndedRun) -> Result<(), Failure> {
        let record = Formatted::new(ended.clone());
        self.folder(connection).establish(&path(&ended.owner.run_id), &record).await?;
        Ok(())
    }
}

/// How a workflow run ended that did not commit; `None` for one that left no record.
///
/// # Errors
/// `Damaged`, `NewerFormat`, or the store's.
pub async fn ended_run(connection: &Folder, run_id: &str) -> Result<Option<EndedRun>, StoreError> {
    let found: Option<Formatted<EndedRun>> = connection.document(&path(run_id)).await?;
    Ok(found.map(|found| found.content))
}

fn path(run_id: &str) -> String {
    format!("runs/{run_id}.json")
}
