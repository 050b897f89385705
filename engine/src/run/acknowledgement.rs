//! What the destination said of each batch, durable: the point from which pushing goes on.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tidemark_model::{
    entry::{FORMAT, Prepared, RunNumber},
    receipt::Cost,
};

use super::parts::Split;
use crate::store::{Creation, Folder, StoreError};

/// Acknowledgements that are read at once.
const SIMULTANEOUS_READS: usize = 16;

/// `acks/<number>/<run id>/<batch>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acknowledgement {
    format: u32,
    pub(super) batch: usize,
    pub(super) record_count: u64,
    pub(super) refused: Vec<Refused>,
    pub(super) cost: Cost,
}

/// A record that the destination refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) reason: String,
}

/// What is durable of a push.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    /// In the order of their batches.
    pub(super) batches: Vec<Acknowledgement>,
    /// How far the others are that were sent in part.
    pub(super) begun: BTreeMap<usize, Split>,
    /// How often the step was begun.
    pub(super) attempt_count: usize,
}

const ATTEMPT: &str = "attempt-";

impl Acknowledgement {
    pub(super) fn new(batch: usize, record_count: u64, refused: Vec<Refused>, cost: Cost) -> Self {
        Self { format: FORMAT, batch, record_count, refused, cost }
    }

    /// Makes it durable. That of another attempt stands as well as this one.
    pub(super) async fn keep(self, folder: &Folder, acks: &str) -> Result<Self, StoreError> {
        let path = format!("{acks}/{:08}.json", self.batch);
        folder.establish(&path, &self).await
    }
}

impl Acknowledged {
    /// Everything that is durable.
    pub(super) async fn load(folder: &Folder, acks: &str) -> Result<Self, StoreError> {
        let names = folder.list(acks).await?;
        let attempt_count = names.iter().filter(|name| name.starts_with(ATTEMPT)).count();
        let paths = names
            .iter()
            .filter(|name| name.ends_with(".json"))
            .map(|name| format!("{acks}/{name}"));
        let batches: Vec<Acknowledgement> = stream::iter(paths)
            .map(|path| async move {
                let found = folder.document(&path).await?;
                found.ok_or(StoreError::Missing { path })
            })
            .buffered(SIMULTANEOUS_READS)
            .boxed()
            .try_collect()
            .await?;
        // Sorted by step: the last of a batch is the furthest.
        let mut furthest: BTreeMap<usize, u32> =
            names.iter().filter_map(|name| Split::of_name(name)).collect();
        for ack in &batches {
            furthest.remove(&ack.batch);
        }
        let mut begun = BTreeMap::new();
        for (batch, step) in furthest {
            begun.insert(batch, Split::load(folder, acks, (batch, step)).await?);
        }
        Ok(Self { batches, begun, attempt_count })
    }
}

/// Writes down that an attempt begins to send: after more than one, a request without an answer
/// may still be at work when the last has ended.
pub(super) async fn begin_attempt(folder: &Folder, acks: &str) -> Result<(), StoreError> {
    let path = format!("{acks}/{ATTEMPT}{}", uuid::Uuid::new_v4().simple());
    match folder.create(&path, bytes::Bytes::new()).await? {
        Creation::Created | Creation::Exists => Ok(()),
    }
}

/// The folder of what is durable of a push. It is named after the run as well as its number: in a
/// store that lost an entry, the number is taken once more.
pub(super) fn acks(entry: &Prepared) -> String {
    format!("{}/{}", of_number(entry.number), entry.owner.run_id)
}

/// The ids of the runs that began to send under a number.
pub(super) async fn senders(folder: &Folder, number: RunNumber) -> Result<Vec<String>, StoreError> {
    let names = folder.list(&of_number(number)).await?;
    Ok(names.iter().filter_map(|name| name.strip_suffix('/')).map(str::to_owned).collect())
}

fn of_number(number: RunNumber) -> String {
    format!("acks/{:012}", number.get())
}
