//! One batch on its way: through the fence, and in halves if it is refused as a whole.

use std::{
    collections::HashSet,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
};

use futures::TryStreamExt;
use tidemark_model::{
    entry::Prepared,
    exception::{Exception, ExceptionKind},
    failure::{Failure, FailureKind, Side},
    receipt::Cost,
};

use super::{acknowledgement::Refused, exception, fence::Fence};
use crate::{
    diff::ChangeSet,
    port::{Batch, BatchOutcome, Destination, Host, Rejection, Slot},
    store::{Folder, StoreError},
};

/// So many refused records are never too many, however small the change set is, unless none may be.
const HANDFUL: u64 = 5;

/// What all batches of a push share.
pub(super) struct Sender<'s> {
    pub(super) host: &'s dyn Host,
    pub(super) destination: &'s dyn Destination,
    pub(super) fence: Fence<'s>,
    pub(super) refusals: Refusals,
}

/// How many records were refused, and how many may be. Those that are exceptions already count
/// neither here nor there: that they are refused again says nothing new about the destination.
pub(super) struct Refusals {
    /// The ids of those.
    known: HashSet<String>,
    count: AtomicU64,
    total: u64,
    limit: u64,
}

impl Refusals {
    /// More than `share` of what an entry sends fail the run.
    ///
    /// # Errors
    /// `Missing`, `Damaged`, or the store's.
    pub(super) async fn of(
        folder: &Folder,
        entry: &Prepared,
        changes: &ChangeSet,
        share: f64,
    ) -> Result<Self, StoreError> {
        let exceptions = exception::of_manifest(folder, Some(&entry.next)).await?.into_iter();
        let rejected = exceptions.filter(|exception| exception.kind == ExceptionKind::Rejected);
        let known: HashSet<String> = rejected.map(|Exception { id, .. }| id).collect();
        let mut total = changes.record_count();
        if !known.is_empty() {
            let mut sent = pin!(changes.keys());
            while let Some(keys) = sent.try_next().await? {
                let again = keys.iter().filter(|record| known.contains(&record.id)).count();
                total = total.saturating_sub(again as u64);
            }
        }
        Ok(Self::new(known, total, share))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count, rounded down"
    )]
    fn new(known: HashSet<String>, total: u64, share: f64) -> Self {
        let limit = (total as f64 * share) as u64;
        let limit = if share > 0.0 { limit.max(HANDFUL) } else { 0 };
        Self { known, count: AtomicU64::new(0), total, limit }
    }

    /// Takes note of refused records.
    ///
    /// # Errors
    /// `Rejected` when they are too many.
    pub(super) fn add(&self, refused: &[Refused]) -> Result<(), Failure> {
        let fresh: Vec<&Refused> =
            refused.iter().filter(|refused| !self.known.contains(&refused.id)).collect();
        let added = fresh.len() as u64;
        let count = self.count.fetch_add(added, Ordering::SeqCst) + added;
        if count <= self.limit {
            return Ok(());
        }
        let reason = fresh.first().map_or("", |refused| refused.reason.as_str());
        Err(Failure::new(
            FailureKind::Rejected,
            Side::Destination,
            format!(
                "the destination refused {count} of {} records that were no exceptions yet, more \
                 than the {} that policy.fail_rejected_over allows; one of its reasons: {reason}",
                self.total, self.limit
            ),
        )
        .hint(
            "mend what it refuses, or allow more in policy.fail_rejected_over if these records \
             are to be exceptions; then start the connection: the run begins anew",
        ))
    }
}

impl Sender<'_> {
    /// Carries a batch out. What is refused as a whole is halved until the refused records are
    /// alone.
    ///
    /// # Errors
    /// The stop, the fence, or the destination's; the batch may have been applied in part.
    pub(super) async fn apply(&self, batch: Batch) -> Result<(Vec<Refused>, Cost), Failure> {
        let mut refused = Vec::new();
        let mut cost = Cost::default();
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let outcome = match self.request(&part).await {
                Ok(outcome) => outcome,
                Err(failure) if failure.kind == FailureKind::Rejected => {
                    cost.request_count += 1;
                    let found = halve_or_refuse(part, failure.message, &mut parts);
                    self.refusals.add(found.as_slice())?;
                    refused.extend(found);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            cost.add(outcome.cost);
            let found = match named_records(&part, &outcome.rejections) {
                Named::All(found) => found,
                // It refuses something that is not in the batch by that name: asked in halves,
                // until only one record can be meant.
                Named::Unknown(reason) => {
                    halve_or_refuse(part, reason, &mut parts).into_iter().collect()
                }
            };
            self.refusals.add(&found)?;
            refused.extend(found);
        }
        Ok((refused, cost))
    }

    async fn request(&self, batch: &Batch) -> Result<BatchOutcome, Failure> {
        // Before the look: after a wait for it, the look would be too old.
        let slot = self.slot().await?;
        self.host.check_stop()?;
        let look = self.fence.pass().await?;
        let outcome = self.destination.apply(slot, batch).await;
        self.fence.close(look, batch).await?;
        outcome
    }

    /// The place of a request. Others may keep it for long, so the wait ends with the stop.
    async fn slot(&self) -> Result<Slot, Failure> {
        loop {
            tokio::select! {
                slot = self.destination.slot() => return Ok(slot),
                () = self.host.stopped() => self.host.check_stop()?,
            }
        }
    }
}

/// The refused records of an answer.
enum Named {
    All(Vec<Refused>),
    Unknown(String),
}

fn named_records(batch: &Batch, rejections: &[Rejection]) -> Named {
    let mut found: Vec<Refused> = Vec::new();
    for rejection in rejections {
        let Some(write) = batch.writes.iter().find(|write| write.id == rejection.id) else {
            return Named::Unknown(rejection.reason.clone());
        };
        if !found.iter().any(|known| known.id == rejection.id) {
            found.push(Refused {
                key: write.key.clone(),
                id: write.id.clone(),
                reason: rejection.reason.clone(),
            });
        }
    }
    Named::All(found)
}

/// A single record is refused; more are put back in halves, the first on top.
fn halve_or_refuse(mut batch: Batch, reason: String, parts: &mut Vec<Batch>) -> Option<Refused> {
    if batch.writes.len() <= 1 {
        let write = batch.writes.pop()?;
        return Some(Refused { key: write.key, id: write.id, reason });
    }
    let second = batch.writes.split_off(batch.writes.len() / 2);
    parts.push(Batch { kind: batch.kind, writes: second });
    parts.push(batch);
    None
}
