//! Who answers: the cluster, and the workers that poll a task queue.

use jiff::Timestamp;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::{
    enums::v1::TaskQueueType,
    taskqueue::v1::TaskQueue,
    workflowservice::v1::{DescribeTaskQueueRequest, GetClusterInfoRequest},
};

use crate::payload::timestamp;
use crate::{Operation, ScheduleClient, ScheduleError};

impl ScheduleClient {
    /// The id of the cluster that the client is connected to: what a store is claimed for.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn cluster_id(&self) -> Result<String, ScheduleError> {
        self.call(WorkflowService::get_cluster_info, GetClusterInfoRequest::default())
            .await
            .map(|answered| answered.cluster_id)
            .map_err(ScheduleError::of(Operation::general("name its cluster")))
    }

    /// When a worker last asked for work of both kinds, workflow tasks and activities, by
    /// Temporal's clock; `None` if none is remembered for one of them. An idle worker asks at least
    /// once a minute; the server remembers one that is gone for five.
    ///
    /// # Errors
    /// No answer.
    pub async fn polled_at(&self, task_queue: &str) -> Result<Option<Timestamp>, ScheduleError> {
        let mut both: Option<Timestamp> = None;
        for kind in [TaskQueueType::Workflow, TaskQueueType::Activity] {
            let request = DescribeTaskQueueRequest {
                namespace: self.namespace().to_owned(),
                task_queue: Some(TaskQueue { name: task_queue.to_owned(), ..TaskQueue::default() }),
                task_queue_type: kind.into(),
                ..DescribeTaskQueueRequest::default()
            };
            let described = self
                .call(WorkflowService::describe_task_queue, request)
                .await
                .map_err(ScheduleError::of(Operation::general("look for workers")))?;
            let pollers = described.pollers.iter();
            let last = pollers
                .filter_map(|poller| poller.last_access_time.as_ref())
                .filter_map(|at| timestamp(at.seconds, at.nanos))
                .max();
            let Some(last) = last else { return Ok(None) };
            both = Some(both.map_or(last, |one| one.min(last)));
        }
        Ok(both)
    }
}
