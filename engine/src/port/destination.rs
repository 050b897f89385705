//! The port of destinations: how changes are carried out.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidemark_model::{check::DestinationCheck, failure::Failure, receipt::Cost};

use super::Slot;

/// A system that is kept in step.
#[async_trait]
pub trait Destination: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Asks whether the address answers and the credential is set, without changing a record.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    async fn check(&self) -> Result<DestinationCheck, Failure>;

    /// Waits for a place among the requests that may be under way at once, over all that the
    /// process sends with the same credential. Nothing is sent by it: the caller looks at the log
    /// once it has the place, since a look from before the wait would be too old.
    async fn slot(&self) -> Slot;

    /// Carries out a batch in its place, in one request where the destination can. Applying a batch
    /// again must leave the same state: a lost answer cannot be told from a lost request. One
    /// attempt; the caller splits what is refused and decides about retries.
    ///
    /// # Errors
    /// `Rejected` when the whole batch was refused for what it holds (the caller bisects);
    /// credentials, rate limits and passing failures under their own kinds. After a passing
    /// failure the batch may have been applied.
    async fn apply(&self, slot: Slot, batch: &Batch) -> Result<BatchOutcome, Failure>;

    /// The next records that it holds for this connection, in ascending order of their ids as
    /// bytes, all behind `after`; none means that there are no more. Only called where
    /// [`Capabilities::reads_back`] says so. One attempt.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), or `Invalid` for an answer that is not in order.
    async fn read_back(&self, after: &str) -> Result<ReadBack, Failure>;
}

/// What a destination can do, fixed by its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub deletes: bool,
    /// What it holds can be read.
    pub reads_back: bool,
    /// The largest batch of writes, in records.
    pub batch_records: usize,
    /// The largest batch of removals, in records: 1 where each removal is a request of its own.
    pub removal_batch_records: usize,
    /// The largest batch in bytes of the records' JSON.
    pub batch_bytes: usize,
    /// How many batches may be on their way at once, over all that the process sends with the same
    /// credential.
    pub simultaneous_batches: usize,
    /// The longest a request may take before it is given up.
    pub request_timeout: Duration,
    /// How long after an answer (or its absence) a request may still take effect.
    pub settle: Duration,
}

/// What a batch does with its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchKind {
    Write,
    Remove,
}

/// A record to be written or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The source's key, for the books; it is not sent.
    pub key: String,
    /// The record's id at the destination.
    pub id: String,
    /// The record as canonical JSON; empty for a removal.
    pub record: String,
}

/// Records of one kind that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub kind: BatchKind,
    pub writes: Vec<Write>,
}

/// What the destination said of a batch that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchOutcome {
    /// The records that it refused; all others are acknowledged.
    pub rejections: Vec<Rejection>,
    pub cost: Cost,
}

/// A record that the destination refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub id: String,
    /// The destination's words, cut to 200 characters, without the record's values.
    pub reason: String,
}

/// A record's id and its fields, `None` for one that is marked as deleted.
pub type HeldRecord = (String, Option<Map<String, Value>>);

/// Records that a destination holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadBack {
    /// A record has the mapped fields at least.
    pub records: Vec<HeldRecord>,
    pub cost: Cost,
}
