//! The last step: the receipt is drawn up, and the run becomes the newest commit if it balances.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use futures::TryStreamExt;
use tidemark_model::{
    definition::Deletions,
    entry::{Committed, Coverage, DefinitionRef, FORMAT, Manifest, Prepared},
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    receipt::{Cost, Outcome, PushCounts, Receipt, RecordCounts, RowCounts},
    row::RowState,
    step::{CommitRequest, ReadSummary},
};

use super::{
    Engine,
    acknowledgement::{Acknowledged, Acknowledgement},
    base_commit, definition,
    exception::{self, Exception, ExceptionKind},
    overtaken, own,
    push::{check_complete, push_counts},
    reading::StoredReading,
};
use crate::{
    diff::{ChangeSet, DirtyKey},
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
                    None => self.commit_pushed(host, &folder, &log, entry).await,
                }
            }
        }
    }

    async fn commit_pushed(
        &self,
        host: &dyn Host,
        folder: &Folder,
        log: &Log,
        entry: Prepared,
    ) -> Result<Receipt, Failure> {
        if log.stands(entry.number.next(), Mark::Prepared).await? {
            return Err(overtaken(entry.number.next()));
        }
        let path = StoredReading::path(&entry.owner.run_id);
        let reading = StoredReading::load(folder, &path).await?;
        let acknowledged = Acknowledged::load(folder, entry.number).await?;
        let (exceptions, exception_count) =
            standing_exceptions(folder, &entry, &reading, &acknowledged.batches).await?;
        let now = host.clock().now();
        let quiet_after = (acknowledged.attempt_count > 1)
            .then(|| reading.start.sending.over_at(now, self.settings.fence.superseded_wait))
            .max(entry.next.quiet_after.filter(|quiet_after| *quiet_after > now));
        let mut destination_cost = Cost::default();
        acknowledged.batches.iter().for_each(|ack| destination_cost.add(ack.cost));
        let receipt = Receipt {
            number: entry.number,
            outcome: outcome(exception_count),
            definition_version: entry.next.definition.version,
            full_read: entry.coverage == Coverage::Full,
            complete_as_of: entry.next.complete_as_of,
            rows: entry.rows,
            records: entry.records,
            push: push_counts(&entry, &acknowledged.batches),
            exception_count,
            proof: entry.proof,
            source_cost: entry.source_cost,
            destination_cost,
            unmatched_paths: entry.unmatched_paths,
        };
        check(&receipt)?;
        let exceptions = exception::write(folder, entry.number, exceptions).await?;
        let commit = Committed {
            format: FORMAT,
            number: entry.number,
            owner: entry.owner,
            committed_at: now,
            manifest: Manifest { exceptions, quiet_after, ..entry.next },
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
    let exception_count = base.receipt.exception_count;
    let receipt = Receipt {
        number: start.number,
        outcome: outcome(exception_count),
        definition_version: start.definition_version,
        full_read: false,
        complete_as_of: reading.reading.complete_as_of,
        rows,
        records,
        push: PushCounts::default(),
        exception_count,
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

/// The exceptions that stand once this run is committed, and how many keys they are.
///
/// One ends by an acknowledged write or removal of its id, and by nothing else; under
/// `deletions = "keep"` nothing is owed any more for a row that vanished.
async fn standing_exceptions(
    folder: &Folder,
    entry: &Prepared,
    reading: &StoredReading,
    acknowledged: &[Acknowledgement],
) -> Result<(Vec<Exception>, u64), Failure> {
    let known = exception::of_manifest(folder, Some(&entry.next)).await?;
    let (rejected, invalid): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|exception| exception.kind == ExceptionKind::Rejected);
    let mut rejected: BTreeMap<String, Exception> =
        rejected.into_iter().map(|exception| (exception.id.clone(), exception)).collect();
    let mut answered = BTreeMap::new();
    if let Some(changes) = &entry.changes {
        let changes = ChangeSet::open(folder, changes).await?;
        check_complete(&changes, entry, acknowledged)?;
        if !rejected.is_empty() {
            let mut sent = pin!(changes.keys());
            while let Some(batch) = sent.try_next().await? {
                for DirtyKey { id, .. } in batch {
                    if let Some(exception) = rejected.remove(&id) {
                        answered.insert(id, exception);
                    }
                }
            }
        }
    }
    for refused in acknowledged.iter().flat_map(|ack| &ack.refused) {
        let earlier = answered.get(&refused.id);
        let exception = Exception {
            key: refused.key.clone(),
            id: refused.id.clone(),
            kind: ExceptionKind::Rejected,
            reason: refused.reason.clone(),
            attempt_count: earlier.map_or(0, |earlier| earlier.attempt_count) + 1,
            since: earlier.map_or(entry.number, |earlier| earlier.since),
        };
        rejected.insert(refused.id.clone(), exception);
    }
    let version = reading.start.definition_version;
    let keeps = definition(folder, version).await?.policy().deletions() == Deletions::Keep;
    let mut exceptions: Vec<Exception> = rejected.into_values().collect();
    let mut count = entry.rows.invalid;
    if !exceptions.is_empty() {
        let keys = exceptions.iter().map(|exception| exception.key.as_str()).collect();
        let rows = exception::rows_of(folder, &entry.next.snapshot, &keys).await?;
        exceptions.retain(|exception| !keeps || rows.contains_key(&exception.key));
        let is_invalid =
            |key: &&str| rows.get(*key).is_some_and(|row| row.state == RowState::Invalid);
        let keys: BTreeSet<&str> = exceptions
            .iter()
            .map(|exception| exception.key.as_str())
            .filter(|key| !is_invalid(key))
            .collect();
        count += keys.len() as u64;
    }
    exceptions.extend(invalid);
    Ok((exceptions, count))
}

fn outcome(exception_count: u64) -> Outcome {
    if exception_count == 0 { Outcome::InStep } else { Outcome::InStepExcept }
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
