//! What the next run would do, without doing it.

use std::pin::pin;

use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::{
    entry::{DefinitionRef, FileRef, Prepared},
    exception::{ExactChanges, HoldRule},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    receipt::{Cost, PushCounts, RecordCounts, RowCounts},
    step::{ReadOutcome, ReadSummary},
};

use super::{Engine, decision, read::Purpose, reading::StoredReading, start::Start};
use crate::{
    diff::ChangeSet,
    log::Log,
    port::{BatchKind, Host},
    store::{Folder, StoreError},
};

/// What the next run would send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// By which a run proves that it sends exactly this.
    pub exact: ExactChanges,
    pub complete_as_of: Timestamp,
    pub full_read: bool,
    pub rows: RowCounts,
    pub records: RecordCounts,
    pub push: PushCounts,
    /// Why its removals would be held.
    pub rule: Option<HoldRule>,
    pub source_cost: Cost,
    pub samples: Vec<PreviewSample>,
}

/// A record of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewSample {
    pub kind: BatchKind,
    pub key: String,
    pub id: String,
    /// The record as canonical JSON; empty for a removal.
    pub record: String,
}

impl Engine {
    /// Reads and compares as the next run would. Nothing is sent and the log stays as it is.
    ///
    /// `host` must not be the owner of any other run. At most `sample_count` records of each kind
    /// come along.
    ///
    /// # Errors
    /// As [`read`](Self::read) and [`compute`](Self::compute); `Conflict` while a run is at work.
    pub async fn preview(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        sample_count: usize,
    ) -> Result<Preview, Failure> {
        let read = match self.read_for(host, connection, Purpose::Preview).await? {
            ReadOutcome::Skipped { reason } => {
                return Err(Failure::new(FailureKind::Conflict, Side::Platform, reason)
                    .hint("wait for its end, then preview again"));
            }
            ReadOutcome::Unchanged(read) | ReadOutcome::Read(read) => read,
        };
        let folder = self.folder(connection);
        let entry = Box::pin(self.entry_of(host, connection, &read)).await?;
        let changes = match &entry.changes {
            Some(changes) => Some(ChangeSet::open(&folder, changes).await?),
            None => None,
        };
        let samples = match &changes {
            Some(changes) => samples(changes, sample_count).await?,
            None => Vec::new(),
        };
        let exact = exact_of(&folder, &entry).await?;
        let rule = entry.next.hold.filter(|_| entry.push.held > 0).map(|hold| hold.rule);
        Ok(Preview {
            exact,
            complete_as_of: entry.next.complete_as_of,
            full_read: entry.coverage == tidemark_model::entry::Coverage::Full,
            rows: entry.rows,
            records: entry.records,
            push: entry.push,
            rule,
            source_cost: entry.source_cost,
            samples,
        })
    }

    async fn entry_of(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        read: &ReadSummary,
    ) -> Result<Prepared, Failure> {
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        let reading = StoredReading::load(&folder, &read.reading).await?;
        let ground = self.ground(host, &folder, &log, &reading).await?;
        Box::pin(self.entry(&ground)).await
    }
}

async fn samples(changes: &ChangeSet, count: usize) -> Result<Vec<PreviewSample>, StoreError> {
    let mut samples = Vec::new();
    for kind in [BatchKind::Remove, BatchKind::Write] {
        let mut left = count;
        let batches = changes.batches().iter().enumerate();
        for (number, _) in batches.filter(|(_, batch)| batch.kind == kind) {
            if left == 0 {
                break;
            }
            let writes = changes.load(number).await?.writes.into_iter().take(left);
            let before = samples.len();
            samples.extend(writes.map(|write| PreviewSample {
                kind,
                key: write.key,
                id: write.id,
                record: write.record,
            }));
            left -= samples.len() - before;
        }
    }
    Ok(samples)
}

/// What an entry sends, whatever the order of its batches.
async fn exact_of(folder: &Folder, entry: &Prepared) -> Result<ExactChanges, StoreError> {
    let DefinitionRef { version, .. } = entry.next.definition;
    let digest = digest(folder, entry.changes.as_ref()).await?;
    Ok(ExactChanges { base: entry.base, definition_version: version, digest })
}

/// Fails a run that would send something else than what its operator looked at, and takes the
/// decision back: the next run is an ordinary one.
pub(super) async fn check_exact(
    folder: &Folder,
    wanted: Option<&(u64, ExactChanges)>,
    entry: &Prepared,
) -> Result<(), Failure> {
    let run_id = &entry.owner.run_id;
    let Some((number, wanted)) = wanted else { return Ok(()) };
    if exact_of(folder, entry).await? == *wanted {
        return Ok(());
    }
    let why = "the source shows other changes than it did then";
    Err(refuse(folder, *number, run_id, why).await?)
}

/// The same before anything is read.
pub(super) async fn check_base(
    folder: &Folder,
    wanted: Option<&(u64, ExactChanges)>,
    start: &Start,
    run_id: &str,
) -> Result<(), Failure> {
    let Some((number, wanted)) = wanted else { return Ok(()) };
    let why = if wanted.base != start.base {
        "another run was committed since"
    } else if wanted.definition_version != start.definition_version {
        "the definition was edited since"
    } else {
        return Ok(());
    };
    Err(refuse(folder, *number, run_id, why).await?)
}

async fn refuse(
    folder: &Folder,
    number: u64,
    run_id: &str,
    why: &str,
) -> Result<Failure, StoreError> {
    decision::take_back(folder, number, run_id).await?;
    let message = format!("the connection has moved on from the preview: {why}; nothing was sent");
    Ok(Failure::new(FailureKind::Invalid, Side::Platform, message)
        .hint("look again: tidemark preview ID --save FILE"))
}

/// A sum over all changes that does not depend on their order.
async fn digest(folder: &Folder, changes: Option<&FileRef>) -> Result<String, StoreError> {
    let mut lanes = [0_u64; 4];
    if let Some(changes) = changes {
        let changes = ChangeSet::open(folder, changes).await?;
        let mut batches = pin!(changes.all());
        while let Some(batch) = batches.try_next().await? {
            for write in &batch.writes {
                let mut hasher = blake3::Hasher::new();
                for text in [&write.key, &write.id, &write.record] {
                    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
                }
                let hash = hasher.finalize();
                let (parts, _) = hash.as_bytes().as_chunks::<8>();
                for (lane, part) in lanes.iter_mut().zip(parts) {
                    *lane = lane.wrapping_add(u64::from_le_bytes(*part));
                }
            }
        }
    }
    Ok(lanes.map(|lane| format!("{lane:016x}")).concat())
}
