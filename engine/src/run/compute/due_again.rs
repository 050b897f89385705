//! Records that are sent again in a run although nothing changed.

use tidemark_model::exception::{Exception, ExceptionKind};

use super::Ground;
use crate::{diff::DirtyKey, run::exception, store::StoreError};

impl Ground<'_> {
    /// What operators ordered to be repaired or tried again, and all refused records if this is
    /// the run that tries them again.
    pub(super) async fn due_again(&self) -> Result<Vec<DirtyKey>, StoreError> {
        let repaired = self.orders.repaired.iter();
        let mut dirty: Vec<DirtyKey> = repaired
            .map(|record| DirtyKey { key: record.key.clone(), id: record.id.clone() })
            .collect();
        let all = exception::retry_is_due(self.definition.policy(), self.reading.start.number);
        let given_up = self.orders.remove_records;
        if self.edit.moved {
            return Ok(dirty);
        }
        if !all && !given_up && self.orders.retried.is_empty() {
            return Ok(dirty);
        }
        let exceptions = exception::of_manifest(self.folder, self.manifest()).await?;
        let due = exceptions.into_iter().filter(|exception| {
            let name = exception.name();
            // One that an operator accepts in this very run rests from this run on.
            let rests =
                !exception::is_retried(exception) || self.orders.ignored.contains_key(&name);
            exception.kind == ExceptionKind::Rejected
                && (given_up || self.orders.retried.contains(&name) || all && !rests)
        });
        dirty.extend(due.map(|Exception { key, id, .. }| DirtyKey { key, id }));
        Ok(dirty)
    }

    /// The records among those that are due again whose rows were gone already in the base: those of
    /// the others, if they are removed now, are removed for the first time.
    pub(super) async fn without_rows(
        &self,
        due: Vec<DirtyKey>,
    ) -> Result<Vec<DirtyKey>, StoreError> {
        let Some(manifest) = self.manifest().filter(|_| !due.is_empty()) else { return Ok(due) };
        let keys = due.iter().map(|record| record.key.as_str()).collect();
        let rows = exception::rows_of(self.folder, &manifest.snapshot, &keys).await?;
        let stands = |record: &DirtyKey| {
            rows.get(&record.key).is_some_and(|row| row.id.as_ref() == Some(&record.id))
        };
        Ok(due.into_iter().filter(|record| !stands(record)).collect())
    }
}
