//! The third step: the change set is sent, batch by batch.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tidemark_model::{
    defect::{self, Defect},
    entry::{Prepared, RunNumber},
    failure::{Failure, Side},
    ids::ConnectionId,
    progress::Stage,
    receipt::{Cost, PushCounts},
    step::Pushed,
};
use tokio::sync::Semaphore;

use super::{
    Engine,
    acknowledgement::{self, Acknowledged, Acknowledgement, acks},
    definition,
    fence::Fence,
    overtaken, own,
    parts::{Parts, Split},
    reading::StoredReading,
    send::{Refusals, Sender},
};
use crate::{
    diff::ChangeSet,
    log::Log,
    pace::Pace,
    port::{Batch, BatchKind, Clock, Host},
    store::{Folder, StoreError},
};

/// A longer wait is the caller's: it must not hold a worker's slot.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Reasons of rejections that are passed on.
const REASONS: usize = 5;

impl Engine {
    /// Sends what the run's entry names and no acknowledgement covers. All removals are answered
    /// before the first write is sent, so an id that is written is never removed after.
    ///
    /// # Errors
    /// `Conflict` when the run is over or superseded, `Waiting` when nothing may be sent for more
    /// than five seconds, `Rejected` when too many records were refused, the destination's, the
    /// store's, or the stop.
    pub async fn push(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        number: RunNumber,
    ) -> Result<Pushed, Failure> {
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        let entry = own(host, log.prepared(number).await?.ok_or_else(|| overtaken(number))?)?;
        let Some(changes) = &entry.changes else {
            return Ok(pushed(&entry, &[]));
        };
        let changes = ChangeSet::open(&folder, changes).await?;
        let acks = acks(&entry);
        let done = Acknowledged::load(&folder, &acks).await?;
        let push = Push::new(host, &folder, &changes, (&acks, done));
        if !push.is_done() {
            wait_until(host.clock(), entry.send_from).await?;
            acknowledgement::begin_attempt(&folder, &acks).await?;
            self.send(host, &folder, &log, &entry, &push).await?;
        }
        let batches = push.finish(&entry)?;
        Ok(pushed(&entry, &batches))
    }

    async fn send(
        &self,
        host: &dyn Host,
        folder: &Folder,
        log: &Log,
        entry: &Prepared,
        push: &Push<'_>,
    ) -> Result<(), Failure> {
        let path = StoredReading::path(&entry.owner.run_id);
        let reading = StoredReading::load(folder, &path).await?;
        let definition = definition(folder, reading.start.definition_version).await?;
        let destination = self.connectors.destination(&definition)?;
        let share = definition.policy().fail_rejected_over();
        let sender = Sender {
            host,
            destination: &*destination,
            fence: Fence {
                clock: host.clock(),
                folder,
                log,
                number: entry.number,
                look_max_age: self.settings.fence.look_max_age,
                sending: reading.start.sending,
            },
            refusals: Box::pin(Refusals::of(folder, entry, push.changes, share)).await?,
        };
        for ack in push.acknowledged().values() {
            sender.refusals.add(&ack.refused)?;
        }
        for split in push.begun.values() {
            sender.refusals.add(&split.refused)?;
        }
        let simultaneous = destination.capabilities().simultaneous_batches.max(1);
        for kind in [BatchKind::Remove, BatchKind::Write] {
            push.all_of(kind, &sender, simultaneous).await?;
        }
        Ok(())
    }
}

/// A change set on its way.
struct Push<'p> {
    host: &'p dyn Host,
    folder: &'p Folder,
    changes: &'p ChangeSet,
    /// The folder of its acknowledgements.
    acks: &'p str,
    total: u64,
    acknowledged: Mutex<BTreeMap<usize, Acknowledgement>>,
    /// How far earlier attempts came with batches that are not acknowledged.
    begun: BTreeMap<usize, Split>,
    pace: Pace,
}

impl<'p> Push<'p> {
    fn new(
        host: &'p dyn Host,
        folder: &'p Folder,
        changes: &'p ChangeSet,
        (acks, done): (&'p str, Acknowledged),
    ) -> Self {
        let acknowledged: BTreeMap<_, _> =
            done.batches.into_iter().map(|ack| (ack.batch, ack)).collect();
        let earlier = acknowledged.values().map(|ack| ack.record_count).sum();
        let push = Self {
            host,
            folder,
            changes,
            acks,
            total: changes.batches().iter().map(|batch| batch.record_count).sum(),
            acknowledged: Mutex::new(acknowledged),
            begun: done.begun,
            pace: Pace::begin(host.clock(), Stage::Push, earlier),
        };
        push.report(earlier);
        push
    }

    fn acknowledged(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Acknowledgement>> {
        self.acknowledged.lock().expect("no holder of this lock panics")
    }

    fn is_done(&self) -> bool {
        self.acknowledged().len() == self.changes.batches().len()
    }

    /// Sends the batches of a kind that have no acknowledgement. After a failure no further one
    /// is begun, and those on their way are seen to their end.
    async fn all_of(
        &self,
        kind: BatchKind,
        sender: &Sender<'_>,
        simultaneous: usize,
    ) -> Result<(), Failure> {
        let open: Vec<usize> = {
            let acknowledged = self.acknowledged();
            let batches = self.changes.batches().iter().enumerate();
            let open = batches
                .filter(|(index, batch)| batch.kind == kind && !acknowledged.contains_key(index));
            open.map(|(index, _)| index).collect()
        };
        // Of this push alone: the destination counts what is sent with its credential.
        let lanes = Semaphore::new(simultaneous);
        let mut first_failure = Ok(());
        // While some batches are on their way, the next ones are loaded and the answers to others
        // become durable. They are loaded in order, so that they are sent in order.
        let mut sent = stream::iter(open)
            .take_while(|_| futures::future::ready(!lanes.is_closed()))
            .map(|index| self.changes.load(index).map(move |batch| (index, batch)))
            .buffered(simultaneous)
            .map(|(index, batch)| Box::pin(self.one(index, batch, sender, &lanes)))
            .buffer_unordered(simultaneous * 2)
            .boxed();
        while let Some(outcome) = sent.next().await {
            if outcome.is_err() {
                lanes.close();
            }
            first_failure = first_failure.and(outcome);
        }
        first_failure
    }

    async fn one(
        &self,
        index: usize,
        batch: Result<Batch, StoreError>,
        sender: &Sender<'_>,
        lanes: &Semaphore,
    ) -> Result<(), Failure> {
        let batch = batch?;
        let record_count = batch.writes.len() as u64;
        if defect::on(Defect::AcknowledgeFirst) {
            let ack = Acknowledgement::new(index, record_count, Vec::new(), Cost::default());
            ack.keep(self.folder, self.acks).await?;
        }
        let mut parts = Parts::of(self.acks, index, batch, self.begun.get(&index))?;
        // They are closed after a failure, which is the one to be told.
        let Ok(lane) = lanes.acquire().await else { return Ok(()) };
        let answered = sender.apply(&mut parts).await;
        if answered.is_err() {
            lanes.close();
        }
        drop(lane);
        if let Err(failure) = answered {
            if failure.kind.retryable() {
                // It spares requests, and nothing more: the failure is the one to be told.
                parts.keep(self.folder, self.acks).await.ok();
            }
            return Err(failure);
        }
        let ack = Acknowledgement::new(index, record_count, parts.refused, parts.cost);
        let ack = ack.keep(self.folder, self.acks).await?;
        let count = {
            let mut acknowledged = self.acknowledged();
            acknowledged.insert(index, ack);
            acknowledged.values().map(|ack| ack.record_count).sum()
        };
        self.report(count);
        Ok(())
    }

    fn report(&self, count: u64) {
        self.host.report(self.pace.progress(self.host.clock(), count, Some(self.total)));
    }

    /// The acknowledgements of all batches.
    fn finish(self, entry: &Prepared) -> Result<Vec<Acknowledgement>, Failure> {
        let acknowledged = self.acknowledged.into_inner().expect("no holder of this lock panics");
        let batches: Vec<Acknowledgement> = acknowledged.into_values().collect();
        check_complete(self.changes, entry, &batches)?;
        Ok(batches)
    }
}

/// Every batch has its acknowledgement, over as many records as it holds.
pub(super) fn check_complete(
    changes: &ChangeSet,
    entry: &Prepared,
    acknowledged: &[Acknowledgement],
) -> Result<(), Failure> {
    let whole = changes.batches().len() == acknowledged.len()
        && changes.batches().iter().zip(acknowledged).enumerate().all(|(index, (batch, ack))| {
            ack.batch == index && ack.record_count == batch.record_count
        });
    if whole {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: format!("the acknowledgements of run {}", entry.number),
        reason: "they do not cover its batches".to_owned(),
    }
    .into())
}

/// What became of the records of an entry.
pub(super) fn push_counts(entry: &Prepared, batches: &[Acknowledgement]) -> PushCounts {
    let rejected = batches.iter().map(|ack| ack.refused.len() as u64).sum();
    let sent: u64 = batches.iter().map(|ack| ack.record_count).sum();
    PushCounts { acknowledged: sent.saturating_sub(rejected), rejected, ..entry.push }
}

fn pushed(entry: &Prepared, batches: &[Acknowledgement]) -> Pushed {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for refused in batches.iter().flat_map(|ack| &ack.refused) {
        *reasons.entry(&refused.reason).or_default() += 1;
    }
    let mut rejections: Vec<(String, u64)> =
        reasons.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
    rejections.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rejections.truncate(REASONS);
    Pushed {
        number: entry.number,
        push: push_counts(entry, batches),
        request_count: batches.iter().map(|ack| ack.cost.request_count).sum(),
        rejections,
    }
}

/// Waits for the instant from which on batches may be sent.
async fn wait_until(clock: &dyn Clock, send_from: Option<Timestamp>) -> Result<(), Failure> {
    let now = clock.now();
    let Some(send_from) = send_from.filter(|send_from| *send_from > now) else { return Ok(()) };
    let wait = Duration::try_from(send_from.duration_since(now)).unwrap_or_default();
    if wait > LONGEST_WAIT {
        let message = "requests of an earlier run may still be at work at the destination";
        return Err(Failure::waiting(Side::Destination, message, now, send_from));
    }
    clock.sleep(wait).await;
    Ok(())
}
