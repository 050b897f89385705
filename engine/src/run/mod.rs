//! One run of a connection: read, compute, push, commit.
//!
//! Each step may be carried out again, by the same worker or another, at any point of any earlier
//! attempt: what is durable is found and not done twice, and a finished step gives the same answer.
//! What a run is decided to be — its number, base, definition and coverage — is written down
//! before its first request; everything after follows from that and from the log.

mod acknowledgement;
mod commit;
mod compute;
mod decision;
mod ended;
mod exception;
#[cfg(test)]
mod failures;
mod fence;
mod guard;
mod hold;
mod lost;
mod parts;
mod preview;
mod purge;
mod push;
mod read;
mod reading;
mod resend;
mod send;
mod standing;
mod start;
mod sweep;
mod unsent;
mod verify;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use tidemark_model::{
    definition::Definition,
    entry::{Committed, Prepared, RunNumber},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
};

use crate::{
    definitions,
    diff::MemoryBudget,
    port::{Connectors, Host},
    staging::SessionSettings,
    store::{Folder, Store, StoreError},
};

pub use decision::{decide, decisions, is_taken_back};
pub use ended::ended_run;
pub use exception::exceptions;
pub use preview::{Preview, PreviewSample};
pub(crate) use resend::Edit;
pub(crate) use start::LateMark;
pub use sweep::{Swept, Tally, sweep, sweepable};
pub use verify::{Difference, DifferenceKind, Verified};

/// The steps of runs over a store.
pub struct Engine {
    store: Store,
    connectors: Arc<dyn Connectors>,
    settings: Settings,
}

/// What a worker may be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// About how many bytes a comparison may hold in memory.
    pub memory_budget: MemoryBudget,
    /// A folder of the local disk for what does not fit there.
    pub spill_folder: PathBuf,
    /// Staged keys that a reading holds in memory before it spills, about 200 bytes each.
    pub keys_in_memory: usize,
    /// Threads of a comparison.
    pub threads: usize,
    pub fence: FenceTimes,
}

/// The times by which an old sender and a new one keep apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FenceTimes {
    /// A batch is sent only on a look at the log that is no older.
    pub look_max_age: Duration,
    /// A superseding run waits so long for a sender that looked just before; the longest request,
    /// twice, and the destination's `settle` come on top. Never less than `look_max_age` of any
    /// worker.
    pub superseded_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_budget: MemoryBudget::default(),
            spill_folder: std::env::temp_dir(),
            keys_in_memory: 100_000,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            fence: FenceTimes::default(),
        }
    }
}

impl Default for FenceTimes {
    fn default() -> Self {
        let five_seconds = Duration::from_secs(5);
        Self { look_max_age: five_seconds, superseded_wait: five_seconds }
    }
}

impl Engine {
    #[must_use]
    pub fn new(store: Store, connectors: Arc<dyn Connectors>, settings: Settings) -> Self {
        Self { store, connectors, settings }
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    fn folder(&self, connection: &ConnectionId) -> Folder {
        self.store.connection(connection)
    }

    fn session_settings(&self) -> SessionSettings {
        SessionSettings {
            spill_folder: self.settings.spill_folder.clone(),
            keys_in_memory: self.settings.keys_in_memory,
        }
    }
}

/// The version of the definition under which a run began.
async fn definition(folder: &Folder, version: u32) -> Result<Definition, Failure> {
    let stored = definitions::at(folder, version).await?;
    stored.and_then(|stored| stored.definition).ok_or_else(|| {
        StoreError::Missing { path: format!("version {version} of the definition") }.into()
    })
}

/// The base of a run as the log has it.
async fn base_commit(
    log: &crate::log::Log,
    base: Option<RunNumber>,
) -> Result<Option<Committed>, StoreError> {
    let Some(number) = base else { return Ok(None) };
    if let Some(newest) = log.newest_commit().filter(|newest| newest.number == number) {
        return Ok(Some(newest.clone()));
    }
    match log.committed(number).await? {
        Some(commit) => Ok(Some(commit)),
        None => Err(StoreError::Missing { path: format!("the commit of run {number}") }),
    }
}

/// An entry that must be this run's own.
fn own(host: &dyn Host, entry: Prepared) -> Result<Prepared, Failure> {
    if entry.owner == *host.owner() { Ok(entry) } else { Err(overtaken(entry.number)) }
}

fn overtaken(number: RunNumber) -> Failure {
    Failure::new(
        FailureKind::Conflict,
        Side::Platform,
        format!("another workflow run of the connection took number {number} of its log"),
    )
    .hint("nothing: that run, or the next one, brings the connection in step")
}

/// Later by a duration; the end of time when there is no such instant.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
