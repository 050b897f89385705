//! What a run compares, and under what.

use jiff::Timestamp;
use tidemark_model::{
    definition::{Definition, Deletions},
    entry::{Committed, Manifest, Prepared},
    failure::Failure,
};

use crate::{
    diff::BatchLimits,
    log::Log,
    port::Host,
    run::{
        Engine, base_commit,
        decision::Orders,
        definition,
        hold::Ward,
        reading::StoredReading,
        resend::{Edit, sent_elsewhere},
    },
    store::{Folder, StoreError},
};

/// The connection as one comparison sees it.
pub(in crate::run) struct Ground<'g> {
    pub(super) host: &'g dyn Host,
    pub(super) folder: &'g Folder,
    pub(super) reading: &'g StoredReading,
    pub(super) definition: Definition,
    pub(super) base: Option<Committed>,
    /// The entries of runs that may have left something else at the destination.
    pub(super) owed: Vec<Prepared>,
    pub(super) orders: Orders,
    pub(super) edit: Edit,
    pub(super) batches: BatchLimits,
    /// Two attempts may compute at once: each writes files of its own.
    pub(super) name: String,
}

impl Engine {
    pub(in crate::run) async fn ground<'g>(
        &self,
        host: &'g dyn Host,
        folder: &'g Folder,
        log: &Log,
        reading: &'g StoredReading,
    ) -> Result<Ground<'g>, Failure> {
        let start = &reading.start;
        let definition = definition(folder, start.definition_version).await?;
        let base = base_commit(log, start.base).await?;
        let manifest = base.as_ref().map(|base| &base.manifest);
        let run = (host.owner().run_id.as_str(), start.definition_version);
        let orders = Orders::load(folder, manifest, start.decided, run).await?;
        let version = start.definition_version;
        let edit = Edit::since(folder, base.as_ref(), &definition, version).await?;
        let capabilities = self.connectors.destination(&definition)?.capabilities();
        Ok(Ground {
            host,
            folder,
            reading,
            base,
            owed: start.owed_entries(log).await?,
            edit: edit.again(orders.send_again),
            orders,
            batches: BatchLimits::from(capabilities),
            name: format!("{:012}-{}", start.number.get(), uuid::Uuid::new_v4().simple()),
            definition,
        })
    }
}

impl Ground<'_> {
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        self.base.as_ref().map(|base| &base.manifest)
    }

    pub(super) fn deletions(&self) -> Deletions {
        if self.orders.remove_records {
            return Deletions::Propagate;
        }
        self.definition.policy().deletions()
    }

    /// The entries of runs that may have sent to the system that this one sends to.
    pub(super) async fn owed_here(&self) -> Result<Vec<Prepared>, StoreError> {
        if !self.edit.moved {
            return Ok(self.owed.clone());
        }
        let version = self.reading.start.definition_version;
        let mut here = Vec::new();
        for entry in &self.owed {
            let then = &entry.next.definition;
            if !sent_elsewhere(self.folder, self.manifest(), then, &self.definition, version)
                .await?
            {
                here.push(entry.clone());
            }
        }
        Ok(here)
    }

    pub(super) fn ward(&self, now: Timestamp) -> Ward<'_> {
        let StoredReading { start, reading, .. } = self.reading;
        Ward {
            folder: self.folder,
            number: start.number,
            now,
            limit: self.definition.policy().hold_deletions(),
            lost_keys: reading.stand_in_count,
            keeps: self.deletions() == Deletions::Keep,
            told_of_others: start.supersedes() || !self.orders.repaired.is_empty(),
            batches: self.batches,
            name: &self.name,
        }
    }
}
