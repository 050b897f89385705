//! What stands open once a run is committed: exceptions one by one, and held removals.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use futures::TryStreamExt;
use tidemark_model::{
    defect::{self, Defect},
    definition::{Definition, Deletions},
    entry::{FileRef, Prepared},
    exception::{Exception, ExceptionKind, Hold},
    failure::Failure,
    receipt::{Outcome, ProofKind},
    row::RowState,
};

use super::{acknowledgement::Acknowledgement, exception, push::check_complete, unsent};
use crate::{
    diff::{BatchLimits, ChangeSet, DirtyKey},
    store::Folder,
};

/// What stands open.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) exceptions: Vec<Exception>,
    pub(super) hold: Option<Hold>,
    pub(super) waived_removals: Option<FileRef>,
    pub(super) kept: Option<FileRef>,
    pub(super) counts: Counts,
}

/// How many keys that are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All that nobody waived.
    pub(super) exceptions: u64,
    pub(super) rejected: u64,
    pub(super) held: u64,
    pub(super) waived: u64,
}

/// How a run ended that leaves so much open.
pub(super) fn outcome(exceptions: u64, held: u64) -> Outcome {
    match (exceptions, held) {
        (0, _) => Outcome::InStep,
        (_, 0) => Outcome::InStepExcept,
        _ => Outcome::Held,
    }
}

impl Standing {
    /// An exception ends by an acknowledged write or removal of its id, and by nothing else; under
    /// `deletions = "keep"` nothing is owed any more for a record without a row.
    pub(super) async fn of(
        folder: &Folder,
        entry: &Prepared,
        definition: &Definition,
        acknowledged: &[Acknowledgement],
        limits: BatchLimits,
    ) -> Result<Self, Failure> {
        let changes = match &entry.changes {
            Some(changes) => Some(ChangeSet::open(folder, changes).await?),
            None => None,
        };
        if let Some(changes) = &changes {
            check_complete(changes, entry, acknowledged)?;
        }
        let known = exception::of_manifest(folder, Some(&entry.next)).await?;
        let (mut rejected, invalid): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|exception| exception.kind == ExceptionKind::Rejected);
        rejected = still_rejected(rejected, changes.as_ref(), entry, acknowledged).await?;
        let mut counts = Counts::default();
        let mut left = Vec::new();
        if !rejected.is_empty() {
            let keys = rejected.iter().map(|exception| exception.key.as_str()).collect();
            let rows = exception::rows_of(folder, &entry.next.snapshot, &keys).await?;
            // A run that removes every record keeps none.
            let keeps = definition.policy().deletions() == Deletions::Keep
                && entry.proof.kind != ProofKind::Decision;
            // The row may be there under another id, after an edit.
            let stands = |exception: &Exception| {
                let row = rows.get(&exception.key);
                row.is_some_and(|row| row.id.as_deref() == Some(exception.id.as_str()))
            };
            if keeps {
                let removals = rejected.extract_if(.., |exception| !stands(exception));
                left.extend(removals.map(|one| DirtyKey { key: one.key, id: one.id }));
            }
            // One that is invalid as well counts as that.
            let valid = |exception: &&Exception| {
                let row = rows.get(&exception.key);
                row.is_none_or(|row| row.state != RowState::Invalid)
            };
            let (waived, open): (Vec<&Exception>, Vec<&Exception>) =
                rejected.iter().filter(valid).partition(|exception| exception.waiver.is_some());
            counts.rejected = distinct(open);
            counts.waived = distinct(waived);
        }
        let waived_rows = invalid.iter().filter(|exception| exception.waiver.is_some());
        let waived_rows = distinct(waived_rows.collect());
        counts.waived += waived_rows;
        counts.exceptions = counts.rejected + entry.rows.invalid.saturating_sub(waived_rows);

        let name = |what| {
            let nonce = uuid::Uuid::new_v4().simple();
            format!("{:012}-{nonce}/{what}", entry.number.get())
        };
        let unsent = async |removals: FileRef, what| match &changes {
            Some(sent) => unsent::without(folder, removals, sent, limits, &name(what)).await,
            None => Ok(Some(removals)),
        };
        let mut standing = None;
        if let Some(hold) = &entry.next.hold {
            let removals = unsent(hold.removals.clone(), "held").await?;
            standing = removals
                .filter(|_| !defect::on(Defect::ForgetHeld))
                .map(|removals| Hold { removals, ..hold.clone() });
        }
        let mut waived_removals = None;
        if let Some(removals) = &entry.next.waived_removals {
            waived_removals = unsent(removals.clone(), "waived").await?;
        }
        let mut kept = entry.next.kept.clone();
        // What is written there is new to the snapshot.
        if entry.push.added + entry.push.repeated_removals > 0
            && let Some(removals) = kept.take()
        {
            kept = unsent(removals, "kept").await?;
        }
        if !left.is_empty() {
            let left = ChangeSet::of_removals(folder, left, limits, &name("left")).await?;
            kept = unsent::with(folder, kept, left, limits, &name("kept")).await?;
        }
        counts.held = standing.as_ref().map_or(0, |hold| hold.removals.row_count);
        counts.exceptions += counts.held;
        counts.waived += waived_removals.as_ref().map_or(0, |removals| removals.row_count);
        let exceptions = rejected.into_iter().chain(invalid).collect();
        Ok(Self { exceptions, hold: standing, waived_removals, kept, counts })
    }
}

/// The rejected records: the known ones without those that this run sent, and those that it sent
/// and that were refused.
async fn still_rejected(
    known: Vec<Exception>,
    changes: Option<&ChangeSet>,
    entry: &Prepared,
    acknowledged: &[Acknowledgement],
) -> Result<Vec<Exception>, Failure> {
    let mut rejected: BTreeMap<String, Exception> =
        known.into_iter().map(|exception| (exception.id.clone(), exception)).collect();
    let mut answered = BTreeMap::new();
    if let Some(changes) = changes
        && !rejected.is_empty()
    {
        let mut sent = pin!(changes.keys());
        while let Some(batch) = sent.try_next().await? {
            for DirtyKey { id, .. } in batch {
                if let Some(exception) = rejected.remove(&id) {
                    answered.insert(id, exception);
                }
            }
        }
    }
    let refused = acknowledged.iter().flat_map(|ack| &ack.refused);
    for refused in refused.filter(|_| !defect::on(Defect::ForgetRejected)) {
        let earlier = answered.get(&refused.id);
        // One that is left here is for the row as it is now: before the push, those for another
        // row were taken off.
        let waiver = earlier
            .filter(|earlier| earlier.key == refused.key)
            .and_then(|earlier| earlier.waiver.clone());
        let exception = Exception {
            key: refused.key.clone(),
            id: refused.id.clone(),
            kind: ExceptionKind::Rejected,
            reason: refused.reason.clone(),
            attempt_count: earlier.map_or(0, |earlier| earlier.attempt_count) + 1,
            since: earlier.map_or(entry.number, |earlier| earlier.since),
            waiver,
        };
        rejected.insert(refused.id.clone(), exception);
    }
    Ok(rejected.into_values().collect())
}

fn distinct(exceptions: Vec<&Exception>) -> u64 {
    let keys: BTreeSet<&str> =
        exceptions.into_iter().map(|exception| exception.key.as_str()).collect();
    keys.len() as u64
}
