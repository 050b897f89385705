//! Erasing what a connection holds of its source: snapshots, pages, change sets, acknowledgements
//! and exceptions. The log stays.

use tidemark_model::{failure::Failure, ids::ConnectionId};

use super::Engine;
use crate::log::Log;

/// Everything that may hold a row's content, a key or a record's id.
const FOLDERS: [&str; 7] =
    ["snapshots", "changes", "pages", "acks", "exceptions", "decisions", "late"];

impl Engine {
    /// Erases everything that was read or sent, and says so in the log first, so that its absence
    /// is no damage. If the connection is applied again, its next run is a first sync under the
    /// next number; what was owed by runs that died, and records whose rows vanish until then, are
    /// no longer known.
    ///
    /// To be called while no run is at work: one that is ends with an error. How many objects
    /// there were.
    ///
    /// # Errors
    /// `Corrupt` when the log has a gap, or the store's; some objects may be gone by then, and
    /// purging again goes on.
    pub async fn purge(&self, connection: &ConnectionId) -> Result<u64, Failure> {
        let folder = self.folder(connection);
        Log::open(&folder).await?.create_purged().await?;
        let mut count = 0;
        for name in FOLDERS {
            count += folder.delete_all(name).await?;
        }
        Ok(count)
    }
}
