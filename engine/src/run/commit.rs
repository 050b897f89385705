//! The last step: the receipt is drawn up, and the run becomes the newest commit if it balances.

use tidemark_model::{
    defect::{self, Defect},
    entry::{Committed, Coverage, DefinitionRef, FORMAT, Manifest, Prepared, RunNumber},
    exception::Hold,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    receipt::{Cost, PushCounts, Receipt, RecordCounts, RowCounts},
    step::{CommitRequest, ReadSummary},
};

use super::{
    Engine,
    acknowledgement::{Acknowledged, acks},
    base_commit, definition, exception, lost, overtaken, own,
    push::push_counts,
    reading::StoredReading,
    standing::{Standing, outcome},
    start::LateMark,
};
use crate::{
    log::{Log, Mark, Taken},
    port::Host,
    store::Folder,
};

impl Engine {
    /// Ends a run: its receipt must balance, or nothing is committed.
    ///
    /// # Errors
    /// `Bug` for a receipt that does not balance, `Conflict` when another run was first,
    /// `Corrupt`, or the store's.
    pub async fn commit(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        request: &CommitRequest,
    ) -> Result<Receipt, Failure> {
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        match request {
            CommitRequest::Unchanged(read) => commit_unchanged(host, &folder, &log, read).await,
            CommitRequest::Pushed { number } => {
                let entry =
                    own(host, log.prepared(*number).await?.ok_or_else(|| overtaken(*number))?)?;
                match log.committed(*number).await? {
                    Some(done) => Ok(done.receipt),
                    None => {
                        Box::pin(self.commit_pushed(host, connection, (&folder, &log), entry)).await
                    }
                }
            }
        }
    }

    async fn commit_pushed(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        (folder, log): (&Folder, &Log),
        entry: Prepared,
    ) -> Result<Receipt, Failure> {
        if log.stands(entry.number.next(), Mark::Prepared).await? {
            return Err(overtaken(entry.number.next()));
        }
        check_late(folder, log, &entry.next.late_handled, entry.number).await?;
        let path = StoredReading::path(&entry.owner.run_id);
        let reading = StoredReading::load(folder, &path).await?;
        let acknowledged = Acknowledged::load(folder, &acks(&entry)).await?;
        lost::check_entry(connection, folder, log, &entry).await?;
        let version = reading.start.definition_version;
        let definition = definition(folder, version).await?;
        let limits = self.connectors.destination(&definition)?.capabilities().into();
        let standing =
            Standing::of(folder, &entry, &definition, &acknowledged.batches, limits).await?;
        let counts = standing.counts;
        let now = host.clock().now();
        let quiet_after = (acknowledged.attempt_count > 1 && !defect::on(Defect::ForgetQuietTime))
            .then(|| reading.start.sending.over_at(now, self.settings.fence.superseded_wait))
            .max(entry.next.quiet_after.filter(|quiet_after| *quiet_after > now));
        let mut destination_cost = Cost::default();
        acknowledged.batches.iter().for_each(|ack| destination_cost.add(ack.cost));
        let receipt = Receipt {
            number: entry.number,
            outcome: outcome(counts.exceptions, counts.held),
            definition_version: entry.next.definition.version,
            full_read: entry.coverage == Coverage::Full,
            complete_as_of: entry.next.complete_as_of,
            rows: entry.rows,
            records: entry.records,
            push: push_counts(&entry, &acknowledged.batches),
            exception_count: counts.exceptions,
            rejected_count: counts.rejected,
            held_count: counts.held,
            hold_rule: rule(standing.hold.as_ref()),
            waived_count: counts.waived,
            proof: entry.proof,
            source_cost: entry.source_cost,
            destination_cost,
            unmatched_paths: entry.unmatched_paths,
        };
        check(&receipt)?;
        let exceptions = exception::write(folder, entry.number, standing.exceptions).await?;
        let commit = Committed {
            format: FORMAT,
            number: entry.number,
            owner: entry.owner,
            committed_at: now,
            manifest: Manifest {
                exceptions,
                quiet_after,
                hold: standing.hold,
                waived_removals: standing.waived_removals,
                kept: standing.kept,
                ..entry.next
            },
            receipt,
        };
        match log.create_committed(&commit).await? {
            Taken::Ours(standing) => Ok(standing.receipt),
            Taken::Theirs(other) => Err(overtaken(other.number)),
        }
    }
}

/// Ends a run that found nothing to do: one object takes its number and carries its commit.
async fn commit_unchanged(
    host: &dyn Host,
    folder: &Folder,
    log: &Log,
    read: &ReadSummary,
) -> Result<Receipt, Failure> {
    let reading = StoredReading::load(folder, &read.reading).await?;
    let start = &reading.start;
    let base = base_commit(log, start.base).await?.filter(|_| reading.unchanged);
    let Some(base) = base else {
        let message = "a reading that found something new cannot be committed as unchanged";
        return Err(Failure::new(FailureKind::Bug, Side::Platform, message));
    };
    check_late(folder, log, &base.manifest.late_handled, start.number).await?;
    let definition = definition(folder, start.definition_version).await?;
    let now = host.clock().now();
    let source_total = reading.reading.proof.source_total;
    let snapshot = &base.manifest.snapshot;
    let rows = RowCounts {
        previous: snapshot.row_count,
        appeared: 0,
        vanished: 0,
        next: snapshot.row_count,
        source_total,
        sent: snapshot.sent_count,
        filtered: snapshot.filtered_count,
        invalid: snapshot.invalid_count,
    };
    let records = RecordCounts {
        previous: snapshot.record_count,
        next: snapshot.record_count,
        ..RecordCounts::default()
    };
    let receipt = Receipt {
        number: start.number,
        outcome: outcome(base.receipt.exception_count, base.receipt.held_count),
        definition_version: start.definition_version,
        full_read: false,
        complete_as_of: reading.reading.complete_as_of,
        rows,
        records,
        push: PushCounts::default(),
        exception_count: base.receipt.exception_count,
        rejected_count: base.receipt.rejected_count,
        held_count: base.receipt.held_count,
        hold_rule: rule(base.manifest.hold.as_ref()),
        waived_count: base.receipt.waived_count,
        proof: reading.reading.proof,
        source_cost: reading.cost,
        destination_cost: Cost::default(),
        unmatched_paths: Vec::new(),
    };
    check(&receipt)?;
    let manifest = Manifest {
        definition: DefinitionRef {
            version: start.definition_version,
            source_hash: definition.source_hash(),
            destination_hash: definition.destination_hash(),
        },
        complete_as_of: reading.reading.complete_as_of,
        quiet_after: base.manifest.quiet_after.filter(|quiet_after| *quiet_after > now),
        ..base.manifest
    };
    let commit = Committed {
        format: FORMAT,
        number: start.number,
        owner: host.owner().clone(),
        committed_at: now,
        manifest: manifest.clone(),
        receipt: receipt.clone(),
    };
    let entry = Prepared {
        format: FORMAT,
        number: start.number,
        base: start.base,
        owner: host.owner().clone(),
        prepared_at: now,
        coverage: Coverage::Changes,
        next: manifest,
        changes: None,
        send_from: None,
        rows,
        records,
        push: PushCounts::default(),
        proof: reading.reading.proof,
        source_cost: reading.cost,
        unmatched_paths: Vec::new(),
        commit: Some(Box::new(commit)),
    };
    match log.create_prepared(&entry).await? {
        Taken::Ours(Prepared { commit: Some(standing), .. }) => Ok(standing.receipt),
        Taken::Ours(other) | Taken::Theirs(other) => Err(overtaken(other.number)),
    }
}

/// Why removals wait for an operator, for a reader who has only the receipt.
fn rule(hold: Option<&Hold>) -> Option<String> {
    hold.map(|hold| hold.rule.to_string())
}

/// A sender of an earlier run that stood still, and sent once it woke, may have done so after this
/// run read the marks. Then only the next run can say what stands at the destination.
async fn check_late(
    folder: &Folder,
    log: &Log,
    handled: &[String],
    number: RunNumber,
) -> Result<(), Failure> {
    let marks = LateMark::open(folder, log, handled).await?;
    // A sender of this run's own sends what this run does.
    let known = |mark: &&LateMark| mark.number < number && !defect::on(Defect::SkipLastLook);
    let Some(mark) = marks.iter().find(known) else { return Ok(()) };
    let message = format!("run {} sent records while run {number} was at work", mark.number);
    Err(Failure::new(FailureKind::Conflict, Side::Platform, message).hint(
        "nothing: a worker of that run had stood still; the next run sends those records again, \
         as they stand then",
    ))
}

/// No receipt, no success.
fn check(receipt: &Receipt) -> Result<(), Failure> {
    receipt.check().map_err(|unbalanced| {
        Failure::new(FailureKind::Bug, Side::Platform, unbalanced.to_string()).hint(
            "nothing was committed and the next run begins anew; please report it with the \
             run's receipt",
        )
    })
}
