//! Runs that are over, as visibility lists them.

use jiff::Timestamp;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;
use tidemark_model::ids::ConnectionId;
use tidemark_workflows::names;

use crate::list::quoted;
use crate::payload::timestamp;
use crate::{Operation, ScheduleClient, ScheduleError};

const PAGE_SIZE: i32 = 1_000;
const PAGES: usize = 10;

impl ScheduleClient {
    /// When workers brought runs of these connections to an end since an instant, whatever way, by
    /// Temporal's clock; `None` if there were more than 10,000. A run that timed out or was terminated
    /// needed no worker for that.
    ///
    /// # Errors
    /// Temporal cannot be reached or refuses the query.
    pub async fn ended_since(
        &self,
        connections: &[ConnectionId],
        since: Timestamp,
    ) -> Result<Option<Vec<Timestamp>>, ScheduleError> {
        if connections.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let ids: Vec<String> = connections.iter().map(|id| quoted(id.as_str())).collect();
        let query = format!(
            "WorkflowType = {} AND ExecutionStatus IN ('Completed', 'Failed', 'Canceled') AND \
             CloseTime > {} AND {} IN ({})",
            quoted(names::SYNC_WORKFLOW),
            quoted(&format!("{since:.3}")),
            names::CONNECTION_ID.name,
            ids.join(", "),
        );
        let (mut ended, mut next_page_token) = (Vec::new(), Vec::new());
        for _ in 0..PAGES {
            let request = ListWorkflowExecutionsRequest {
                namespace: self.namespace().to_owned(),
                page_size: PAGE_SIZE,
                next_page_token,
                query: query.clone(),
            };
            let page = self
                .call(WorkflowService::list_workflow_executions, request)
                .await
                .map_err(ScheduleError::of(Operation::general("list runs")))?;
            ended.extend(page.executions.iter().filter_map(|run| {
                let at = run.close_time.as_ref()?;
                timestamp(at.seconds, at.nanos)
            }));
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }
}
