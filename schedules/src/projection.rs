//! A definition as a Temporal schedule: everything of it is computed, nothing is copied from what
//! the server holds, except whether it is paused.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, Payloads, SearchAttributes, WorkflowType},
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::{
        IntervalSpec, Schedule, ScheduleAction, SchedulePolicies, ScheduleSpec, ScheduleState,
        schedule_action,
    },
    sdk::v1::UserMetadata,
    taskqueue::v1::TaskQueue,
    workflow::v1::NewWorkflowExecutionInfo,
};
use tidemark_model::{
    definition::Definition,
    ids::ConnectionId,
    schedule::Schedule as Ticks,
    step::{SyncRequest, Timing},
};
use tidemark_workflows::names::{self, SYNC_WORKFLOW};

use crate::Standing;
use crate::fairness;
use crate::payload::{Attributes, json, memo, started};

/// The field of a run's memo that says which definition its schedule was made from.
pub(crate) const MEMO_FIELD: &str = "Definition";

/// The most that Temporal takes as a run's summary.
const SUMMARY_BYTES: usize = 400;

/// Where runs are sent and how soon a lost attempt is noticed. The same in every role: whoever
/// writes a schedule writes these into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionSettings {
    /// The queue that workers poll.
    pub task_queue: String,
    /// See [`Timing::heartbeat_timeout`].
    pub heartbeat_timeout: Duration,
}

impl Default for ProjectionSettings {
    fn default() -> Self {
        Self {
            task_queue: names::DEFAULT_TASK_QUEUE.to_owned(),
            heartbeat_timeout: Timing::default().heartbeat_timeout,
        }
    }
}

/// The definition that a schedule was made from, as its runs carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectedFrom {
    /// The definition's version in the store.
    pub version: u32,
    /// Over all that was projected. Two schedules with the same one are the same.
    pub digest: String,
}

/// A definition of some version, ready to be written as a schedule.
#[derive(Clone, Debug)]
pub struct Projection {
    connection: ConnectionId,
    ticks: Ticks,
    timing: Timing,
    task_queue: String,
    source_kind: &'static str,
    destination_kind: &'static str,
    summary: String,
    from: ProjectedFrom,
}

/// What the digest of a projection covers. `format` is raised when the same definition is to be
/// projected in another way.
#[derive(Serialize)]
struct Covered<'a> {
    format: u32,
    version: u32,
    ticks: &'a Ticks,
    timing: Timing,
    task_queue: &'a str,
    summary: &'a str,
}

impl Projection {
    /// Projects the definition that the store keeps as `version`.
    #[must_use]
    pub fn new(definition: &Definition, version: u32, settings: &ProjectionSettings) -> Self {
        let timing = Timing {
            deadline: definition.policy().deadline(),
            heartbeat_timeout: settings.heartbeat_timeout,
        };
        let mut summary = format!("definition {version}: {}", definition.summary());
        summary.truncate(summary.floor_char_boundary(SUMMARY_BYTES));
        let covered = Covered {
            format: 2,
            version,
            ticks: definition.schedule(),
            timing,
            task_queue: &settings.task_queue,
            summary: &summary,
        };
        let covered = serde_json::to_vec(&covered).expect("texts and numbers are JSON");
        let digest = blake3::hash(&covered).to_hex().chars().take(16).collect();
        Self {
            connection: definition.id().clone(),
            ticks: definition.schedule().clone(),
            timing,
            task_queue: settings.task_queue.clone(),
            source_kind: definition.source().kind(),
            destination_kind: definition.destination().kind(),
            summary,
            from: ProjectedFrom { version, digest },
        }
    }

    /// The connection.
    #[must_use]
    pub fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// The definition that it was made from.
    #[must_use]
    pub fn from(&self) -> &ProjectedFrom {
        &self.from
    }

    /// The schedule in full, in the given state.
    pub(crate) fn schedule(&self, state: ScheduleState, standing: &Standing) -> Schedule {
        Schedule {
            spec: Some(self.spec()),
            action: Some(ScheduleAction {
                action: Some(schedule_action::Action::StartWorkflow(self.action(standing))),
            }),
            policies: Some(self.policies()),
            state: Some(state),
        }
    }

    /// Whether a schedule that the server holds ticks and acts like this one. Anybody can edit it in
    /// the Web UI, so all that decides when which run is started where is compared; what runs are
    /// told of the newest commit differs from one publication to the next.
    pub(crate) fn describes(&self, from: Option<&ProjectedFrom>, schedule: &Schedule) -> bool {
        let (Some(spec), Some(policies)) = (&schedule.spec, &schedule.policies) else {
            return false;
        };
        let limited = schedule.state.as_ref().is_some_and(|state| state.limited_actions);
        from == Some(&self.from)
            && self.ticks_like(spec)
            && *policies == self.policies()
            && !limited
            && started(schedule).is_some_and(|action| self.acts_like(action))
    }

    fn ticks_like(&self, spec: &ScheduleSpec) -> bool {
        let wanted = self.spec();
        let ticks = match &self.ticks {
            Ticks::Every(_) => {
                spec.structured_calendar.is_empty() && spec.interval == wanted.interval
            }
            // The server keeps a cron expression as calendars, with our copy of it as comment.
            Ticks::Cron(cron) => {
                spec.interval.is_empty()
                    && spec.timezone_name == wanted.timezone_name
                    && !spec.structured_calendar.is_empty()
                    && spec
                        .structured_calendar
                        .iter()
                        .all(|calendar| calendar.comment == cron.expression())
            }
        };
        let jitter = |spec: &ScheduleSpec| spec.jitter.unwrap_or_default();
        let always = spec.start_time.is_none()
            && spec.end_time.is_none()
            && spec.exclude_structured_calendar.is_empty();
        ticks && always && jitter(spec) == jitter(&wanted)
    }

    fn acts_like(&self, action: &NewWorkflowExecutionInfo) -> bool {
        let queue = action.task_queue.as_ref().map(|queue| queue.name.as_str());
        let kind = action.workflow_type.as_ref().map(|kind| kind.name.as_str());
        let told = request(action).is_some_and(|request| {
            (&request.connection, request.timing) == (&self.connection, self.timing)
        });
        action.workflow_id == names::workflow_id(&self.connection)
            && kind == Some(SYNC_WORKFLOW)
            && queue == Some(self.task_queue.as_str())
            && action.priority == Some(fairness::priority(&self.connection.account()))
            && told
            && [action.workflow_execution_timeout, action.workflow_run_timeout]
                .into_iter()
                .all(|limit| limit.is_none_or(|limit| (limit.seconds, limit.nanos) == (0, 0)))
    }

    fn spec(&self) -> ScheduleSpec {
        let jitter = Some(proto(self.ticks.jitter()));
        match &self.ticks {
            Ticks::Every(interval) => ScheduleSpec {
                interval: vec![IntervalSpec {
                    interval: Some(proto(interval.duration())),
                    phase: Some(proto(self.ticks.phase(&self.connection))),
                }],
                jitter,
                ..ScheduleSpec::default()
            },
            Ticks::Cron(cron) => ScheduleSpec {
                cron_string: vec![format!("{0} # {0}", cron.expression())],
                timezone_name: cron.timezone().to_owned(),
                jitter,
                ..ScheduleSpec::default()
            },
        }
    }

    fn policies(&self) -> SchedulePolicies {
        SchedulePolicies {
            overlap_policy: ScheduleOverlapPolicy::BufferOne.into(),
            catchup_window: Some(proto(self.ticks.catchup_window())),
            ..SchedulePolicies::default()
        }
    }

    fn action(&self, standing: &Standing) -> NewWorkflowExecutionInfo {
        let request = SyncRequest {
            connection: self.connection.clone(),
            timing: self.timing,
            known: standing.known,
        };
        NewWorkflowExecutionInfo {
            workflow_id: names::workflow_id(&self.connection),
            workflow_type: Some(WorkflowType { name: SYNC_WORKFLOW.to_owned() }),
            task_queue: Some(TaskQueue { name: self.task_queue.clone(), ..TaskQueue::default() }),
            input: Some(Payloads { payloads: vec![json(&request)] }),
            memo: Some(memo(MEMO_FIELD, &self.from)),
            search_attributes: Some(self.run_attributes().build()),
            user_metadata: Some(UserMetadata { summary: Some(json(&self.summary)), details: None }),
            priority: Some(fairness::priority(&self.connection.account())),
            ..NewWorkflowExecutionInfo::default()
        }
    }

    /// The attributes by which runs are found while they are under way.
    fn run_attributes(&self) -> Attributes {
        Attributes::default()
            .keyword(names::CONNECTION_ID, self.connection.as_str())
            .keyword(names::ACCOUNT_ID, self.connection.account().as_str())
    }

    /// All attributes of the schedule: an update replaces the whole set.
    pub(crate) fn search_attributes(&self, standing: &Standing) -> SearchAttributes {
        let attributes = self
            .run_attributes()
            .keyword(names::SOURCE_KIND, self.source_kind)
            .keyword(names::DESTINATION_KIND, self.destination_kind)
            .keyword(names::HEALTH, standing.health.as_str())
            .datetime(names::LAG_DEADLINE, standing.lag_deadline);
        match standing.synced_through {
            Some(through) => attributes.datetime(names::SYNCED_THROUGH, through),
            None => attributes,
        }
        .build()
    }

    /// What the schedule says about itself for good; it cannot be changed by an update.
    pub(crate) fn memo() -> Memo {
        memo(
            "Tidemark",
            "made from a definition: change it with `tidemark apply`; what is edited here is overwritten",
        )
    }
}

/// The input of the runs, if it can be read.
pub(crate) fn request(action: &NewWorkflowExecutionInfo) -> Option<SyncRequest> {
    serde_json::from_slice(&action.input.as_ref()?.payloads.first()?.data).ok()
}

/// Definitions hold no durations that protobuf could not.
fn proto<D: TryFrom<Duration>>(duration: Duration) -> D {
    D::try_from(duration).ok().expect("a definition's durations are shorter than 10,000 years")
}
