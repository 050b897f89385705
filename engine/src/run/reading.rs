//! What a run read: the object that ends the first step.

use serde::{Deserialize, Serialize};
use tidemark_model::{
    receipt::Cost,
    step::{ReadOutcome, ReadSummary},
};

use super::start::Start;
use crate::{
    port::Reading,
    staging::PageRef,
    store::{Folder, StoreError},
};

/// `runs/<run id>/reading.json`. Only the pages that it lists count, whatever else an earlier
/// attempt staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredReading {
    pub(super) format: u32,
    pub(super) start: Start,
    pub(super) reading: Reading,
    /// By the time at which they were asked for.
    pub(super) pages: Vec<PageRef>,
    /// Of all requests.
    pub(super) cost: Cost,
    /// Nothing new in hand, nothing owed: the run commits at once.
    pub(super) unchanged: bool,
}

impl StoredReading {
    pub(super) fn path(run_id: &str) -> String {
        format!("runs/{run_id}/reading.json")
    }

    /// The reading of a finished first step.
    pub(super) async fn load(folder: &Folder, path: &str) -> Result<Self, StoreError> {
        let found = folder.document(path).await?;
        found.ok_or_else(|| StoreError::Missing { path: path.to_owned() })
    }

    /// The first step's answer.
    pub(super) fn outcome(&self, path: String) -> ReadOutcome {
        let summary = ReadSummary {
            number: self.start.number,
            reading: path,
            coverage: self.reading.coverage,
            definition_version: self.start.definition_version,
            page_count: self.pages.len() as u64,
            row_count: self.pages.iter().map(|page| page.row_count).sum(),
            source_total: self.reading.proof.source_total,
            complete_as_of: self.reading.complete_as_of,
            request_count: self.cost.request_count,
        };
        if self.unchanged { ReadOutcome::Unchanged(summary) } else { ReadOutcome::Read(summary) }
    }
}
