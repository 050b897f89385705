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

use super::{
    acknowledgement::Refused,
    exception,
    fence::Fence,
    parts::{Named, Parts},
};
use crate::{
    diff::ChangeSet,
    port::{Batch, BatchOutcome, Destination, Host, unless_stopped},
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
    /// alone. After a failure, the parts say how far it came.
    ///
    /// # Errors
    /// The stop, the fence, or the destination's; the part that is next may have been applied.
    pub(super) async fn apply(&self, parts: &mut Parts) -> Result<(), Failure> {
        while let Some(part) = parts.next() {
            let (cost, named) = match self.request(part).await {
                Ok(outcome) => (outcome.cost, Named::of(part, &outcome.rejections)),
                Err(failure) if failure.kind == FailureKind::Rejected => {
                    let cost = Cost { request_count: 1, ..Cost::default() };
                    (cost, Named::Unknown(failure.message))
                }
                Err(failure) => return Err(failure),
            };
            self.refusals.add(parts.answered(cost, named))?;
        }
        Ok(())
    }

    async fn request(&self, batch: &Batch) -> Result<BatchOutcome, Failure> {
        // Before the look: after a wait for it, the look would be too old.
        let slot = unless_stopped(self.host, self.destination.slot()).await?;
        let look = self.fence.pass().await?;
        let outcome = self.destination.apply(slot, batch).await;
        self.fence.close(look, batch).await?;
        outcome
    }
}
