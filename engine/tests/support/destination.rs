//! A destination that does what a test's script says, and keeps records.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_engine::port::{
    Batch, BatchKind, BatchOutcome, Capabilities, Destination as Port, ReadBack, Rejection, Slot,
    Slots,
};
use tidemark_model::{
    check::DestinationCheck,
    failure::{Failure, FailureKind, Side},
    receipt::Cost,
};
use tokio::sync::oneshot;

/// What happens to a request; those without one succeed.
pub(crate) enum Fault {
    /// It is lost on its way.
    Lost,
    /// It is carried out and its answer is lost.
    FailAfterWrite,
    /// It is carried out when the test says so.
    Hold(Hold),
    /// It succeeds.
    None,
}

pub(crate) struct Hold {
    arrived: oneshot::Sender<()>,
    release: oneshot::Receiver<()>,
}

/// The test's side of a held request.
pub(crate) struct Held {
    pub(crate) arrived: oneshot::Receiver<()>,
    pub(crate) release: oneshot::Sender<()>,
}

impl Fault {
    pub(crate) fn hold() -> (Self, Held) {
        let (arrived_sender, arrived) = oneshot::channel();
        let (release, release_receiver) = oneshot::channel();
        let hold = Hold { arrived: arrived_sender, release: release_receiver };
        (Self::Hold(hold), Held { arrived, release })
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) records: BTreeMap<String, String>,
    /// First come, first used; one for each request.
    pub(crate) script: VecDeque<Fault>,
    /// Requests that arrived, by kind and ids.
    pub(crate) ledger: Vec<(BatchKind, Vec<String>)>,
    /// Ids that are refused by name.
    pub(crate) refuses: BTreeSet<String>,
    /// Ids for which a whole batch is refused.
    pub(crate) refuses_whole: BTreeSet<String>,
    /// Refusals name another id than the one that was sent.
    pub(crate) misnames: bool,
    /// How often a place was asked for.
    pub(crate) asked_for_a_slot: u32,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Destination {
    state: Arc<Mutex<State>>,
    pub(crate) capabilities: Capabilities,
    pub(crate) slots: Arc<Slots>,
    /// Requests that may be under way at once. Any number, unless a test says otherwise: its runs
    /// are those of more than one worker.
    pub(crate) slot_limit: u32,
}

impl Default for Destination {
    fn default() -> Self {
        let capabilities = Capabilities {
            deletes: true,
            reads_back: true,
            batch_records: 2,
            removal_batch_records: 1,
            batch_bytes: 10_000,
            simultaneous_batches: 1,
            request_timeout: Duration::from_secs(60),
            settle: Duration::ZERO,
        };
        let slots = Arc::default();
        Self { state: Arc::default(), capabilities, slots, slot_limit: u32::MAX }
    }
}

impl Destination {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn records(&self) -> BTreeMap<String, String> {
        self.state().records.clone()
    }

    /// Requests since the last time it was asked.
    pub(crate) fn take_ledger(&self) -> Vec<(BatchKind, Vec<String>)> {
        std::mem::take(&mut self.state().ledger)
    }

    fn carry_out(&self, batch: &Batch) -> Result<BatchOutcome, Failure> {
        let mut state = self.state();
        if batch.writes.iter().any(|write| state.refuses_whole.contains(&write.id)) {
            let message = "the batch holds something that is not allowed";
            return Err(Failure::new(FailureKind::Rejected, Side::Destination, message));
        }
        let mut rejections = Vec::new();
        for write in &batch.writes {
            if state.refuses.contains(&write.id) {
                let id = if state.misnames { "?".to_owned() } else { write.id.clone() };
                rejections.push(Rejection { id, reason: "not wanted".to_owned() });
                continue;
            }
            match batch.kind {
                BatchKind::Write => {
                    state.records.insert(write.id.clone(), write.record.clone());
                }
                BatchKind::Remove => {
                    state.records.remove(&write.id);
                }
            }
        }
        Ok(BatchOutcome { rejections, cost: Cost { request_count: 1, ..Cost::default() } })
    }
}

#[async_trait]
impl Port for Destination {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn check(&self) -> Result<DestinationCheck, Failure> {
        unreachable!("no run checks its destination")
    }

    async fn slot(&self) -> Slot {
        self.state().asked_for_a_slot += 1;
        self.slots.take(self.slot_limit).await
    }

    async fn apply(&self, _slot: Slot, batch: &Batch) -> Result<BatchOutcome, Failure> {
        let fault = {
            let mut state = self.state();
            let ids = batch.writes.iter().map(|write| write.id.clone()).collect();
            state.ledger.push((batch.kind, ids));
            state.script.pop_front().unwrap_or(Fault::None)
        };
        let lost = || Failure::new(FailureKind::Transient, Side::Destination, "no answer");
        match fault {
            Fault::None => self.carry_out(batch),
            Fault::Lost => Err(lost()),
            Fault::FailAfterWrite => {
                self.carry_out(batch)?;
                Err(lost())
            }
            Fault::Hold(hold) => {
                // The test may have let go of its side.
                hold.arrived.send(()).ok();
                hold.release.await.ok();
                self.carry_out(batch)
            }
        }
    }

    /// Two records at once.
    async fn read_back(&self, after: &str) -> Result<ReadBack, Failure> {
        let state = self.state();
        let behind = state.records.iter().filter(|(id, _)| id.as_str() > after).take(2);
        let records =
            behind.map(|(id, record)| (id.clone(), Some(serde_json::from_str(record).unwrap())));
        let cost = Cost { request_count: 1, ..Cost::default() };
        Ok(ReadBack { records: records.collect(), cost })
    }
}
