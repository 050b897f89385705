//! The second step: what is to be sent, and the snapshot that holds once it was.

mod due_again;
mod ground;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidemark_model::{
    definition::{Definition, InvalidRecords},
    entry::{Coverage, DefinitionRef, FORMAT, Manifest, Prepared},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    progress::Stage,
    receipt::RowCounts,
    step::{Computed, ReadSummary},
};

use self::ground::Ground;
use super::{
    Engine,
    exception::{self, BeforePush},
    guard::Window,
    hold::{Guarded, Holds},
    overtaken, own,
    preview::check_exact,
    reading::StoredReading,
    start::{SendingTimes, Start},
};
use crate::{
    diff::{ChangeSet, DiffOutput, DiffRequest, DirtyKey, StagedPages, diff},
    log::{Log, Taken},
    mapping::InvalidReasons,
    pace::Pace,
    port::Host,
    snapshot::{Layout, Snapshot},
    staging::{InvalidRows, StagedReading},
    store::{Folder, StoreError},
};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl Engine {
    /// Compares the reading with the snapshot, makes change set and next snapshot durable, and
    /// takes the run's number in the log.
    ///
    /// # Errors
    /// `Conflict` when another run took the number, `Invalid` when rows cannot be mapped and the
    /// policy does not allow it, `Corrupt`, the store's, or the stop.
    pub async fn compute(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        read: &ReadSummary,
    ) -> Result<Computed, Failure> {
        host.check_stop()?;
        let folder = self.folder(connection);
        let reading = StoredReading::load(&folder, &read.reading).await?;
        let start = &reading.start;
        let log = Log::open(&folder).await?;
        if let Some(standing) = log.prepared(start.number).await? {
            return self.prepared(host, &folder, start, own(host, standing)?).await;
        }
        if log.next_number() != start.number {
            return Err(lost_entries(&log, start));
        }
        let ground = self.ground(host, &folder, &log, &reading).await?;
        let entry = Box::pin(self.entry(&ground)).await?;
        check_exact(&folder, ground.orders.exactly.as_ref(), &entry).await?;
        match log.create_prepared(&entry).await? {
            Taken::Ours(standing) => self.prepared(host, &folder, start, standing).await,
            Taken::Theirs(other) => Err(overtaken(other.number)),
        }
    }

    /// Compares, and draws up the entry that takes the run's number.
    pub(super) async fn entry(&self, ground: &Ground<'_>) -> Result<Prepared, Failure> {
        let pages = ground.reading.pages.clone();
        let pages = Arc::new(StagedReading::new(ground.folder.clone(), pages));
        let StoredReading { start, reading, cost, .. } = ground.reading;
        let base = ground.manifest();
        let prepared_at = ground.host.clock().now();
        let ward = ground.ward(prepared_at);
        let moved = ground.edit.moved;
        // Nothing is removed at an old address, and nothing at all where records are kept.
        let drops_hold = moved || ward.keeps;
        let holds = if moved { Holds::default() } else { ward.holds(base, &ground.orders).await? };
        let due = ground.due_again().await?;
        let output = self.compare(ground, &holds, &due, &pages).await?;
        let noted = pages.invalid_rows();
        check_invalid(&ground.definition, &output.rows, &noted)?;
        let window = Window::of(base, prepared_at);
        let due = ground.without_rows(due).await?;
        let Guarded { changes, push, hold, waived, kept, removals } =
            Box::pin(ward.guard(window, holds, due, &output)).await?;
        let snapshots = (base, &output.snapshot);
        let BeforePush { file: exceptions, waived: accepted } = exception::before_push(
            ground.folder,
            start.number,
            snapshots,
            &noted,
            &ground.orders,
            moved,
        )
        .await?;
        let (decided, stale_decisions) = ground.orders.dealt_with(base, &accepted, drops_hold);
        let sending = sending_times(ground.folder, start, &ground.owed).await?;
        let quiet_after =
            base.and_then(|base| base.quiet_after).filter(|quiet_after| *quiet_after > prepared_at);
        let superseded = start
            .supersedes()
            .then(|| sending.over_at(prepared_at, self.settings.fence.superseded_wait));
        // A run that sends nothing does not wait: the next one does.
        let quiet_after = superseded.max(quiet_after);
        let mut late_handled = base.map(|base| base.late_handled.clone()).unwrap_or_default();
        late_handled.extend(start.late.iter().map(|mark| mark.name.clone()));
        let full_read_as_of = match (reading.coverage, base) {
            (Coverage::Changes, Some(base)) => base.full_read_as_of,
            _ => reading.complete_as_of,
        };
        Ok(Prepared {
            format: FORMAT,
            number: start.number,
            base: start.base,
            owner: ground.host.owner().clone(),
            prepared_at,
            coverage: reading.coverage,
            next: Manifest {
                definition: DefinitionRef {
                    version: start.definition_version,
                    source_hash: ground.definition.source_hash(),
                    destination_hash: ground.definition.destination_hash(),
                },
                snapshot: output.snapshot,
                complete_as_of: reading.complete_as_of,
                full_read_as_of,
                exceptions,
                quiet_after,
                late_handled,
                hold,
                waived_removals: waived,
                kept,
                removals,
                decided,
                stale_decisions,
            },
            changes,
            send_from: quiet_after,
            rows: RowCounts { source_total: reading.proof.source_total, ..output.rows },
            records: output.records,
            push,
            proof: reading.proof,
            source_cost: *cost,
            unmatched_paths: reading.unmatched_paths.clone(),
            commit: None,
        })
    }

    async fn compare(
        &self,
        ground: &Ground<'_>,
        holds: &Holds,
        due: &[DirtyKey],
        pages: &Arc<StagedReading>,
    ) -> Result<DiffOutput, Failure> {
        let Ground { host, folder, reading, .. } = ground;
        let base = match ground.manifest() {
            Some(manifest) => Some(Snapshot::open(folder, &manifest.snapshot).await?),
            None => None,
        };
        let mut dirty = reading.start.dirty(folder, &ground.owed_here().await?).await?;
        dirty.sets.extend(holds.approved.clone());
        dirty.keys.extend_from_slice(due);
        let spill = self.settings.spill_folder.clone();
        std::fs::create_dir_all(&spill)
            .map_err(|source| StoreError::Folder { folder: spill.display().to_string(), source })?;
        let rows_read = Arc::new(AtomicU64::new(0));
        let request = DiffRequest {
            base,
            pages: Arc::clone(pages) as Arc<dyn StagedPages>,
            coverage: reading.reading.coverage,
            dirty,
            deletions: ground.deletions(),
            resend: ground.edit.resend,
            limits: ground.batches,
            budget: self.settings.memory_budget,
            threads: self.settings.threads,
            spill,
            name: ground.name.clone(),
            layout: Layout::default(),
            rows_read: Arc::clone(&rows_read),
        };
        let total = reading.pages.iter().map(|page| page.row_count).sum();
        let pace = Pace::begin(host.clock(), Stage::Compute, 0);
        let mut comparison = Box::pin(diff(folder, request));
        let mut tick = tokio::time::interval(PROGRESS_INTERVAL);
        loop {
            tokio::select! {
                output = &mut comparison => return output.map_err(Failure::from),
                () = host.stopped() => host.check_stop()?,
                _ = tick.tick() => {
                    let count = rows_read.load(Ordering::Relaxed);
                    host.report(pace.progress(host.clock(), count, Some(total)));
                }
            }
        }
    }

    /// The answer for an entry that stands.
    async fn prepared(
        &self,
        host: &dyn Host,
        folder: &Folder,
        start: &Start,
        entry: Prepared,
    ) -> Result<Computed, Failure> {
        let batch_count = match &entry.changes {
            Some(changes) => ChangeSet::open(folder, changes).await?.batches().len() as u64,
            None => 0,
        };
        // An old sender may have looked until the entry stood, and all that is known of that
        // instant is that it lies before now.
        let mut send_from = entry.send_from;
        if start.supersedes() && send_from.is_some() && batch_count > 0 {
            let log = Log::open(folder).await?;
            let owed = start.owed_entries(&log).await?;
            let sending = sending_times(folder, start, &owed).await?;
            let seen = sending.over_at(host.clock().now(), self.settings.fence.superseded_wait);
            send_from = send_from.max(Some(seen));
        }
        Ok(Computed { number: entry.number, push: entry.push, batch_count, send_from })
    }
}

/// The longest that a request of this run or of one that it supersedes may take effect.
async fn sending_times(
    folder: &Folder,
    start: &Start,
    owed: &[Prepared],
) -> Result<SendingTimes, StoreError> {
    let mut longest = start.sending;
    for entry in owed {
        let path = Start::path(&entry.owner.run_id);
        if let Some(other) = folder.document::<Start>(&path).await? {
            longest = longest.longer(other.sending);
        }
    }
    Ok(longest)
}

fn check_invalid(
    definition: &Definition,
    rows: &RowCounts,
    noted: &InvalidRows,
) -> Result<(), Failure> {
    if rows.invalid == 0 || definition.policy().invalid_records() != InvalidRecords::Fail {
        return Ok(());
    }
    let mut message = format!(
        "{} of {} rows cannot be mapped to a record, and policy.invalid_records is \"fail\"",
        rows.invalid, rows.next
    );
    let reasons: InvalidReasons = noted.values().flatten().map(AsRef::as_ref).collect();
    if reasons != InvalidReasons::default() {
        message.push_str(&format!(": {reasons}"));
    }
    Err(Failure::new(FailureKind::Invalid, Side::Source, message).hint(format!(
        "run `tidemark check` on the definition of {} to see what they lack; mend them at the \
         source, change the mapping, or write invalid_records = \"quarantine\"",
        definition.id()
    )))
}

/// The log ends below the number that this run saw as the next one.
fn lost_entries(log: &Log, start: &Start) -> Failure {
    let found = log.highest().map_or(0, |number| number.get());
    StoreError::Damaged {
        path: "log".to_owned(),
        reason: format!("its newest entry is {found}, and run {} began after it", start.number),
    }
    .into()
}
