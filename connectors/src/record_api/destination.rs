//! A record API as a destination.

use async_trait::async_trait;
use reqwest::StatusCode;
use tidemark_engine::port::{
    Batch, BatchKind, BatchOutcome, Capabilities, Destination, ReadBack, Rejection, Slot,
    SystemClock, Write,
};
use tidemark_model::{
    check::DestinationCheck,
    definition::{Definition, DeleteRule, ReadRule, RecordApiDefinition, SourcePath},
    failure::{Failure, FailureKind, Side},
};

use super::{Client, wire};
use crate::http::Answer;

/// Records that are asked for at once when they are read back.
const READ_LIMIT: &str = "1000";

/// An HTTP API that takes JSON arrays of records by `POST`.
///
/// Writing a record again, and removing one again, leaves the same state: both name the record by
/// its id.
#[derive(Clone, Debug)]
pub struct RecordApiDestination {
    client: Client,
    delete: Option<DeleteRule>,
    read: Option<ReadRule>,
    id_prefix: String,
    rejected_path: SourcePath,
    /// The mapped fields besides the id.
    fields: Vec<String>,
    capabilities: Capabilities,
    clock: SystemClock,
}

impl RecordApiDestination {
    pub(crate) fn new(client: Client, definition: &Definition, api: &RecordApiDefinition) -> Self {
        let batch_records = api.batch_records().max(1) as usize;
        let removal_batch_records = match api.delete() {
            Some(DeleteRule::Tombstone { .. }) => batch_records,
            Some(DeleteRule::Request { .. }) | None => 1,
        };
        Self {
            client,
            delete: api.delete().cloned(),
            read: api.read().cloned(),
            id_prefix: definition.record().id_prefix().to_owned(),
            rejected_path: api.rejected_path().clone(),
            fields: definition.record().fields().iter().map(|(name, _)| name.clone()).collect(),
            capabilities: Capabilities {
                deletes: api.delete().is_some(),
                reads_back: api.read().is_some(),
                batch_records,
                removal_batch_records,
                batch_bytes: usize::try_from(api.batch_bytes()).unwrap_or(usize::MAX),
                simultaneous_batches: api.simultaneous_batches().max(1) as usize,
                request_timeout: api.request_timeout(),
                settle: api.settle(),
            },
            clock: SystemClock::default(),
        }
    }

    fn tombstone(&self) -> Option<&str> {
        match &self.delete {
            Some(DeleteRule::Tombstone { field }) => Some(field),
            Some(DeleteRule::Request { .. }) | None => None,
        }
    }

    /// Posts a body that carries `records`.
    async fn post(
        &self,
        slot: &mut Slot,
        body: String,
        records: &[Write],
    ) -> Result<BatchOutcome, Failure> {
        let answer = self.client.post(slot, body, &self.clock).await?;
        self.outcome(&answer, records)
    }

    fn outcome(&self, answer: &Answer, records: &[Write]) -> Result<BatchOutcome, Failure> {
        let subject = &self.client.subject;
        if !answer.status().is_success() {
            return Err(subject.refusal(answer, records));
        }
        let rejections = wire::rejections(answer.body(), &self.rejected_path, records)
            .map_err(|error| subject.unreadable(error))?;
        Ok(BatchOutcome { rejections, cost: answer.cost() })
    }

    /// Removes records one after the other: a batch has one place, and by the capabilities it is
    /// one record.
    async fn delete(
        &self,
        slot: &mut Slot,
        template: &str,
        removals: &[Write],
    ) -> Result<BatchOutcome, Failure> {
        let mut whole = BatchOutcome::default();
        for removal in removals {
            let BatchOutcome { rejections, cost } =
                self.delete_one(slot, template, removal).await?;
            whole.rejections.extend(rejections);
            whole.cost.add(cost);
        }
        Ok(whole)
    }

    async fn delete_one(
        &self,
        slot: &mut Slot,
        template: &str,
        removal: &Write,
    ) -> Result<BatchOutcome, Failure> {
        let Some(url) = self.client.address(template, &removal.id) else {
            let reason = "the id cannot stand in the path of a request".to_owned();
            let rejections = vec![Rejection { id: removal.id.clone(), reason }];
            return Ok(BatchOutcome { rejections, ..BatchOutcome::default() });
        };
        let answer = self.client.delete(slot, url, &self.clock).await?;
        // What is not there is removed.
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(BatchOutcome { cost: answer.cost(), ..BatchOutcome::default() });
        }
        self.outcome(&answer, std::slice::from_ref(removal))
    }
}

#[async_trait]
impl Destination for RecordApiDestination {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Posts an empty batch: it takes the way of every other batch and changes nothing.
    async fn check(&self) -> Result<DestinationCheck, Failure> {
        let mut slot = self.client.slot().await;
        let answer = self.client.post(&mut slot, "[]".to_owned(), &self.clock).await?;
        let status = answer.status();
        let answered = match status {
            status if status.is_success() => format!("took an empty batch: {status}"),
            // The way there and the key are good; it only sees no sense in an empty batch.
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
                format!("answered, and does not take empty batches: {status}")
            }
            _ => return Err(self.client.subject.refusal(&answer, &[])),
        };
        Ok(DestinationCheck { answer: answered, cost: answer.cost() })
    }

    async fn slot(&self) -> Slot {
        self.client.slot().await
    }

    async fn apply(&self, mut slot: Slot, batch: &Batch) -> Result<BatchOutcome, Failure> {
        let Batch { kind, writes } = batch;
        if writes.is_empty() {
            return Ok(BatchOutcome::default());
        }
        match (kind, &self.delete) {
            (BatchKind::Write, _) => {
                self.post(&mut slot, wire::writes(writes, self.tombstone()), writes).await
            }
            (BatchKind::Remove, Some(DeleteRule::Tombstone { field })) => {
                self.post(&mut slot, wire::tombstones(writes, field, &self.fields), writes).await
            }
            (BatchKind::Remove, Some(DeleteRule::Request { path })) => {
                self.delete(&mut slot, path, writes).await
            }
            (BatchKind::Remove, None) => {
                let message = "the destination's definition has no rule for removing records";
                Err(Failure::new(FailureKind::Invalid, Side::Destination, message)
                    .hint("give `delete` in the definition, then: tidemark apply FILE"))
            }
        }
    }

    async fn read_back(&self, after: &str) -> Result<ReadBack, Failure> {
        let Some(ReadRule { path }) = &self.read else {
            let message = "the destination's definition has no rule for reading records";
            return Err(Failure::new(FailureKind::Invalid, Side::Destination, message)
                .hint("give `read` in the definition, then: tidemark apply FILE"));
        };
        let parameters =
            [("prefix", self.id_prefix.as_str()), ("after", after), ("limit", READ_LIMIT)];
        let answer = self.client.get(path, &parameters, &self.clock).await?;
        let subject = &self.client.subject;
        if !answer.status().is_success() {
            return Err(subject.refusal(&answer, &[]));
        }
        let records = wire::records(answer.body(), &self.id_prefix, after, self.tombstone())
            .map_err(|error| subject.unreadable_records(error))?;
        Ok(ReadBack { records, cost: answer.cost() })
    }
}
