//! The schedule of the sweep. `setup` makes it; it belongs to no connection and carries none of
//! their search attributes, so that nothing that looks for connections finds it.

use std::time::Duration;

use temporalio_client::{Client, NamespacedClient as _, grpc::WorkflowService, tonic::Code};
use temporalio_common::protos::temporal::api::{
    common::v1::{Payloads, WorkflowType},
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::{
        IntervalSpec, Schedule, ScheduleAction, SchedulePolicies, ScheduleSpec, ScheduleState,
        schedule_action,
    },
    taskqueue::v1::TaskQueue,
    workflow::v1::NewWorkflowExecutionInfo,
    workflowservice::v1::{CreateScheduleRequest, DescribeScheduleRequest, UpdateScheduleRequest},
};
use tidemark_schedules::{
    ProjectionSettings,
    patience::patiently,
    payload::{json, memo, started},
};
use tidemark_workflows::{
    names::{SWEEP_ID, SWEEP_WORKFLOW},
    sweep::SweepRequest,
};
use uuid::Uuid;

use crate::setup::{SetupError, error};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// After midnight UTC.
const PHASE: Duration = Duration::from_hours(2);

/// What [`ensure_schedule`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnsuredSchedule {
    Present,
    Created,
    /// It was another one: of another task queue, or made by another version.
    Updated,
}

impl EnsuredSchedule {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Created => "created",
            Self::Updated => "updated",
        }
    }
}

/// Makes the schedule of the sweep what it should be. Whether it is paused stays as it is.
///
/// # Errors
/// No such namespace, no answer, or a refusal.
pub async fn ensure_schedule(
    client: &Client,
    settings: &ProjectionSettings,
) -> Result<EnsuredSchedule, SetupError> {
    let namespace = client.namespace();
    let identity = client.connection().identity().to_owned();
    let service = || client.connection().workflow_service();
    let create = CreateScheduleRequest {
        namespace: namespace.clone(),
        schedule_id: SWEEP_ID.to_owned(),
        schedule: Some(schedule(settings, ScheduleState::default())),
        identity: identity.clone(),
        request_id: Uuid::new_v4().to_string(),
        memo: Some(memo(
            "Tidemark",
            "made by `tidemark setup`: deletes what no run needs any more",
        )),
        ..CreateScheduleRequest::default()
    };
    match patiently(&mut *service(), WorkflowService::create_schedule, create).await {
        Ok(_) => return Ok(EnsuredSchedule::Created),
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(error(&namespace, "create the schedule of the sweep", status)),
    }
    let describe =
        DescribeScheduleRequest { namespace: namespace.clone(), schedule_id: SWEEP_ID.to_owned() };
    let seen = patiently(&mut *service(), WorkflowService::describe_schedule, describe)
        .await
        .map_err(|status| error(&namespace, "describe the schedule of the sweep", status))?;
    let found = seen.schedule.unwrap_or_default();
    let wanted = schedule(settings, found.state.clone().unwrap_or_default());
    if does_the_same(&found, &wanted) {
        return Ok(EnsuredSchedule::Present);
    }
    let update = UpdateScheduleRequest {
        namespace: namespace.clone(),
        schedule_id: SWEEP_ID.to_owned(),
        schedule: Some(wanted),
        conflict_token: seen.conflict_token,
        identity,
        request_id: Uuid::new_v4().to_string(),
        ..UpdateScheduleRequest::default()
    };
    patiently(&mut *service(), WorkflowService::update_schedule, update)
        .await
        .map_err(|status| error(&namespace, "update the schedule of the sweep", status))?;
    Ok(EnsuredSchedule::Updated)
}

/// The command that does the same, for clusters where somebody else runs it.
#[must_use]
pub fn command(namespace: &str, settings: &ProjectionSettings) -> String {
    let hours = |duration: Duration| duration.as_secs() / HOUR.as_secs();
    let input = serde_json::to_string(&request(settings)).expect("texts are JSON");
    format!(
        "temporal schedule create --namespace {namespace} --schedule-id {SWEEP_ID} \\\n  \
         --interval {day}h/{phase}h --jitter {jitter}h --catchup-window {day}h \\\n  \
         --overlap-policy Skip --workflow-id {SWEEP_ID} --type {SWEEP_WORKFLOW} \\\n  \
         --task-queue {queue} --input '{input}'",
        day = hours(DAY),
        phase = hours(PHASE),
        jitter = hours(HOUR),
        queue = settings.task_queue,
    )
}

fn request(settings: &ProjectionSettings) -> SweepRequest {
    SweepRequest::new(settings.heartbeat_timeout)
}

fn schedule(settings: &ProjectionSettings, state: ScheduleState) -> Schedule {
    let action = NewWorkflowExecutionInfo {
        workflow_id: SWEEP_ID.to_owned(),
        workflow_type: Some(WorkflowType { name: SWEEP_WORKFLOW.to_owned() }),
        task_queue: Some(TaskQueue { name: settings.task_queue.clone(), ..TaskQueue::default() }),
        input: Some(Payloads { payloads: vec![json(&request(settings))] }),
        ..NewWorkflowExecutionInfo::default()
    };
    let interval = IntervalSpec { interval: Some(proto(DAY)), phase: Some(proto(PHASE)) };
    Schedule {
        spec: Some(ScheduleSpec {
            interval: vec![interval],
            jitter: Some(proto(HOUR)),
            ..ScheduleSpec::default()
        }),
        action: Some(ScheduleAction {
            action: Some(schedule_action::Action::StartWorkflow(action)),
        }),
        policies: Some(SchedulePolicies {
            overlap_policy: ScheduleOverlapPolicy::Skip.into(),
            // One that fell into an outage is made up for, once.
            catchup_window: Some(proto(DAY)),
            ..SchedulePolicies::default()
        }),
        state: Some(state),
    }
}

/// Whether a schedule ticks like another one and starts the same, whatever else the server adds.
fn does_the_same(found: &Schedule, wanted: &Schedule) -> bool {
    let ticks = match (&found.spec, &wanted.spec) {
        (Some(found), Some(wanted)) => {
            found.interval == wanted.interval
                && found.jitter == wanted.jitter
                && found.structured_calendar.is_empty()
        }
        _ => false,
    };
    let starts = match (started(found), started(wanted)) {
        (Some(found), Some(wanted)) => {
            found.workflow_type == wanted.workflow_type
                && queue(found) == queue(wanted)
                && input(found).eq(input(wanted))
        }
        _ => false,
    };
    ticks && starts && found.policies == wanted.policies
}

fn queue(info: &NewWorkflowExecutionInfo) -> Option<&str> {
    info.task_queue.as_ref().map(|queue| queue.name.as_str())
}

fn input(info: &NewWorkflowExecutionInfo) -> impl Iterator<Item = &[u8]> {
    info.input.iter().flat_map(|input| &input.payloads).map(|payload| payload.data.as_slice())
}

fn proto<D: TryFrom<Duration>>(duration: Duration) -> D {
    D::try_from(duration).ok().expect("a day has its place in protobuf")
}
