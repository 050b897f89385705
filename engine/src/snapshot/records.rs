//! The records of a snapshot, page by page.

use super::{Snapshot, blocking, columns::Standing, scan::Breadth};
use crate::store::StoreError;

/// A row's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRecord {
    /// The source's key.
    pub key: String,
    pub id: String,
    /// As canonical JSON.
    pub record: String,
}

impl Snapshot {
    /// The next `limit` records in the order of their keys, behind a key. Fewer are the last.
    ///
    /// # Errors
    /// As [`look_up`](Self::look_up).
    pub async fn records_behind(
        &self,
        key: &str,
        limit: usize,
    ) -> Result<Vec<KeyedRecord>, StoreError> {
        let this = self.clone();
        let from = key.to_owned();
        blocking(move |_| {
            let mut records = Vec::new();
            let mut view = this.view(Breadth::Full, &from, None)?;
            while records.len() < limit {
                let Some(head) = view.head() else { break };
                let row = head.row;
                if row.standing != Standing::Gone
                    && row.key > from.as_str()
                    && let (Some(id), Some(record)) = (row.id, row.record)
                {
                    let (key, id, record) = (row.key.to_owned(), id.to_owned(), record.to_owned());
                    records.push(KeyedRecord { key, id, record });
                }
                view.advance()?;
            }
            Ok(records)
        })
        .await
    }
}
