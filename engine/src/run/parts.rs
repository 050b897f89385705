//! A batch in parts: those that are still to be sent, and what the destination said of the others.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tidemark_model::{entry::FORMAT, receipt::Cost};

use super::acknowledgement::Refused;
use crate::{
    port::{Batch, Rejection},
    store::{Folder, StoreError},
};

/// `acks/<number>/<run id>/<batch>-<step>.split`: how far a batch was when one of its requests failed. The
/// next attempt goes on from there: a batch that takes many requests would never end at a
/// destination that fails some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Split {
    format: u32,
    batch: usize,
    /// 1, 2, 3…: each goes on from the one before.
    step: u32,
    /// Where the parts that are to be sent stand in the batch; the last one is the next.
    open: Vec<Range<usize>>,
    pub(super) refused: Vec<Refused>,
    cost: Cost,
}

impl Split {
    /// The batch and the step that the name of an object says.
    pub(super) fn of_name(name: &str) -> Option<(usize, u32)> {
        let (batch, step) = name.strip_suffix(".split")?.split_once('-')?;
        Some((batch.parse().ok()?, step.parse().ok()?))
    }

    pub(super) async fn load(
        folder: &Folder,
        acks: &str,
        (batch, step): (usize, u32),
    ) -> Result<Self, StoreError> {
        let path = path(acks, batch, step);
        let found = folder.document(&path).await?;
        found.ok_or(StoreError::Missing { path })
    }
}

fn path(acks: &str, batch: usize, step: u32) -> String {
    format!("{acks}/{batch:08}-{step:06}.split")
}

/// A batch on its way.
pub(super) struct Parts {
    batch: usize,
    /// Of the split from which it goes on; 0 without one.
    step: u32,
    /// Where the parts stood then.
    before: Vec<Range<usize>>,
    /// The last one is the next.
    open: Vec<Part>,
    pub(super) refused: Vec<Refused>,
    pub(super) cost: Cost,
}

struct Part {
    /// Where its first record stands in the batch.
    first: usize,
    records: Batch,
}

/// The refused records of an answer.
pub(super) enum Named {
    All(Vec<Refused>),
    /// Something in the part was refused, and nothing says what.
    Unknown(String),
}

impl Named {
    pub(super) fn of(batch: &Batch, rejections: &[Rejection]) -> Self {
        let mut found: Vec<Refused> = Vec::new();
        for rejection in rejections {
            // It refuses something that is not in the batch by that name: asked in halves, until
            // only one record can be meant.
            let Some(write) = batch.writes.iter().find(|write| write.id == rejection.id) else {
                return Self::Unknown(rejection.reason.clone());
            };
            if !found.iter().any(|known| known.id == rejection.id) {
                found.push(Refused {
                    key: write.key.clone(),
                    id: write.id.clone(),
                    reason: rejection.reason.clone(),
                });
            }
        }
        Self::All(found)
    }
}

impl Parts {
    /// The whole batch, or what is left of it after earlier attempts.
    ///
    /// # Errors
    /// `Damaged` for a split that does not fit the batch.
    pub(super) fn of(
        acks: &str,
        batch: usize,
        records: Batch,
        split: Option<&Split>,
    ) -> Result<Self, StoreError> {
        let Some(split) = split else {
            let open = vec![Part { first: 0, records }];
            let (refused, cost) = (Vec::new(), Cost::default());
            return Ok(Self { batch, step: 0, before: places(&open), open, refused, cost });
        };
        let mut open = Vec::new();
        for place in &split.open {
            let writes = records.writes.get(place.clone()).ok_or_else(|| StoreError::Damaged {
                path: path(acks, batch, split.step),
                reason: "it names records that its batch does not hold".to_owned(),
            })?;
            let records = Batch { kind: records.kind, writes: writes.to_vec() };
            open.push(Part { first: place.start, records });
        }
        Ok(Self {
            batch,
            step: split.step,
            before: split.open.clone(),
            open,
            refused: split.refused.clone(),
            cost: split.cost,
        })
    }

    /// What is to be sent next.
    pub(super) fn next(&self) -> Option<&Batch> {
        self.open.last().map(|part| &part.records)
    }

    /// Takes note of the answer to what was next, and says which records it refused. If nobody
    /// knows which, the part is halved until they are alone.
    pub(super) fn answered(&mut self, cost: Cost, named: Named) -> &[Refused] {
        let known = self.refused.len();
        self.cost.add(cost);
        if let Some(part) = self.open.pop() {
            match named {
                Named::All(found) => self.refused.extend(found),
                Named::Unknown(reason) => self.halve_or_refuse(part, reason),
            }
        }
        &self.refused[known..]
    }

    /// A single record is refused; more are put back in halves, the first on top.
    fn halve_or_refuse(&mut self, part: Part, reason: String) {
        let Part { first, mut records } = part;
        if records.writes.len() <= 1 {
            let write = records.writes.pop();
            let refused = write.map(|write| Refused { key: write.key, id: write.id, reason });
            self.refused.extend(refused);
            return;
        }
        let half = records.writes.len() / 2;
        let second = Batch { kind: records.kind, writes: records.writes.split_off(half) };
        self.open.push(Part { first: first + half, records: second });
        self.open.push(Part { first, records });
    }

    /// Makes durable how far it is, if that is further than before. What another attempt wrote
    /// stands as well as this.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn keep(&self, folder: &Folder, acks: &str) -> Result<(), StoreError> {
        let open = places(&self.open);
        if open == self.before {
            return Ok(());
        }
        let split = Split {
            format: FORMAT,
            batch: self.batch,
            step: self.step + 1,
            open,
            refused: self.refused.clone(),
            cost: self.cost,
        };
        let path = path(acks, split.batch, split.step);
        folder.establish(&path, &split).await.map(drop)
    }
}

fn places(parts: &[Part]) -> Vec<Range<usize>> {
    parts.iter().map(|part| part.first..part.first + part.records.writes.len()).collect()
}
