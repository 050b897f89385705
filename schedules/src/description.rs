//! What the server says about a schedule.

use jiff::Timestamp;
use temporalio_common::protos::temporal::api::{
    common::v1::{SearchAttributes, WorkflowExecution},
    enums::v1::WorkflowExecutionStatus,
    schedule::v1::{Schedule, ScheduleActionResult, ScheduleListEntry, ScheduleState},
    workflowservice::v1::DescribeScheduleResponse,
};
use tidemark_model::{
    ids::{AccountId, ConnectionId},
    step::Known,
};
use tidemark_workflows::{health::Health, names};

use crate::payload::{attribute, memo_field, started, timestamp};
use crate::{
    pause::{self, Pause},
    projection::{self, MEMO_FIELD, ProjectedFrom, Projection},
};

/// A workflow run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunRef {
    pub workflow_id: String,
    pub run_id: String,
}

impl From<&WorkflowExecution> for RunRef {
    fn from(execution: &WorkflowExecution) -> Self {
        Self { workflow_id: execution.workflow_id.clone(), run_id: execution.run_id.clone() }
    }
}

impl From<&RunRef> for WorkflowExecution {
    fn from(run: &RunRef) -> Self {
        Self { workflow_id: run.workflow_id.clone(), run_id: run.run_id.clone() }
    }
}

/// How a run that a schedule started is doing, as far as the schedule noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    Running,
    Completed,
    Failed,
    Cancelled,
    Terminated,
    TimedOut,
    /// The schedule does not say, or this version has no word for it.
    Unknown,
}

impl RunStatus {
    fn of(status: i32) -> Self {
        match WorkflowExecutionStatus::try_from(status) {
            Ok(WorkflowExecutionStatus::Running) => Self::Running,
            Ok(WorkflowExecutionStatus::Completed) => Self::Completed,
            Ok(WorkflowExecutionStatus::Failed) => Self::Failed,
            Ok(WorkflowExecutionStatus::Canceled) => Self::Cancelled,
            Ok(WorkflowExecutionStatus::Terminated) => Self::Terminated,
            Ok(WorkflowExecutionStatus::TimedOut) => Self::TimedOut,
            _ => Self::Unknown,
        }
    }
}

/// A run that a schedule started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedRun {
    pub run: RunRef,
    /// The tick or trigger that it answers.
    pub scheduled_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub status: RunStatus,
}

impl StartedRun {
    fn of(action: &ScheduleActionResult) -> Option<Self> {
        Some(Self {
            run: action.start_workflow_result.as_ref()?.into(),
            scheduled_at: action
                .schedule_time
                .as_ref()
                .and_then(|at| timestamp(at.seconds, at.nanos)),
            started_at: action.actual_time.as_ref().and_then(|at| timestamp(at.seconds, at.nanos)),
            status: RunStatus::of(action.start_workflow_status),
        })
    }
}

/// The search attributes of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleAttributes {
    pub account: Option<AccountId>,
    pub source_kind: Option<String>,
    pub destination_kind: Option<String>,
    pub health: Option<Health>,
    pub synced_through: Option<Timestamp>,
    pub lag_deadline: Option<Timestamp>,
}

impl ScheduleAttributes {
    fn of(from: Option<&SearchAttributes>) -> Self {
        Self {
            account: attribute(from, names::ACCOUNT_ID),
            source_kind: attribute(from, names::SOURCE_KIND),
            destination_kind: attribute(from, names::DESTINATION_KIND),
            health: attribute::<String>(from, names::HEALTH).and_then(|text| text.parse().ok()),
            synced_through: attribute(from, names::SYNCED_THROUGH),
            lag_deadline: attribute(from, names::LAG_DEADLINE),
        }
    }
}

/// A schedule in full, as it was at one instant. Its search attributes may be older than the rest.
#[derive(Clone, Debug)]
pub struct Description {
    pub paused: bool,
    /// The note as the Web UI shows it.
    pub note: String,
    /// Which definition it was made from; `None` if somebody else made it.
    pub from: Option<ProjectedFrom>,
    pub attributes: ScheduleAttributes,
    /// What its runs are told of the commit log.
    pub known: Known,
    pub created_at: Option<Timestamp>,
    /// Runs started so far.
    pub action_count: u64,
    /// Ticks and triggers that wait for the running one.
    pub buffered_count: u64,
    /// Ticks and triggers that were dropped because one waited already.
    pub skipped_count: u64,
    pub running: Vec<RunRef>,
    /// The newest ten at most, oldest first.
    pub recent: Vec<StartedRun>,
    /// The next ticks, also of a paused schedule.
    pub next_at: Vec<Timestamp>,
    schedule: Schedule,
    token: Vec<u8>,
}

impl Description {
    pub(crate) fn of(response: DescribeScheduleResponse) -> Self {
        let schedule = response.schedule.unwrap_or_default();
        let info = response.info.unwrap_or_default();
        let state = schedule.state.clone().unwrap_or_default();
        let action = started(&schedule);
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        Self {
            paused: state.paused,
            note: state.notes,
            from: action.and_then(|action| memo_field(action.memo.as_ref(), MEMO_FIELD)),
            attributes: ScheduleAttributes::of(response.search_attributes.as_ref()),
            known: action
                .and_then(projection::request)
                .map_or_else(Known::default, |request| request.known),
            created_at: info.create_time.and_then(|at| timestamp(at.seconds, at.nanos)),
            action_count: count(info.action_count),
            buffered_count: count(info.buffer_size),
            skipped_count: count(info.overlap_skipped),
            running: info.running_workflows.iter().map(RunRef::from).collect(),
            recent: info.recent_actions.iter().filter_map(StartedRun::of).collect(),
            next_at: info
                .future_action_times
                .iter()
                .filter_map(|at| timestamp(at.seconds, at.nanos))
                .collect(),
            schedule,
            token: response.conflict_token,
        }
    }

    /// The pauses in force; empty for a schedule that runs.
    #[must_use]
    pub fn pauses(&self) -> Vec<Pause> {
        if self.paused { pause::parse(&self.note) } else { Vec::new() }
    }

    /// As lists will show it, once they do.
    #[must_use]
    pub fn listed(&self, connection: &ConnectionId) -> Listed {
        Listed {
            connection: connection.clone(),
            paused: self.paused,
            note: self.note.clone(),
            attributes: self.attributes.clone(),
            recent: self.recent.iter().skip(self.recent.len().saturating_sub(5)).cloned().collect(),
            next_at: self.next_at.clone(),
        }
    }

    /// When the last pause was undone, if the note of a running schedule says so.
    #[must_use]
    pub fn resumed_at(&self) -> Option<Timestamp> {
        if self.paused { None } else { pause::parse(&self.note).iter().find_map(|one| one.since) }
    }

    /// Whether it ticks and acts as the projection says.
    #[must_use]
    pub fn matches(&self, projection: &Projection) -> bool {
        projection.describes(self.from.as_ref(), &self.schedule)
    }

    /// Ticks and triggers that arrived so far, whatever became of them. Grows with each.
    pub(crate) fn arrived_count(&self) -> u64 {
        self.action_count + self.buffered_count + self.skipped_count
    }

    /// The state that an update keeps.
    pub(crate) fn state(&self) -> ScheduleState {
        ScheduleState { paused: self.paused, notes: self.note.clone(), ..ScheduleState::default() }
    }

    /// What an update sends along, to be dropped if the schedule was changed since.
    pub(crate) fn token(&self) -> Vec<u8> {
        self.token.clone()
    }
}

/// A schedule as lists show it: a second old, sometimes more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub connection: ConnectionId,
    pub paused: bool,
    pub note: String,
    pub attributes: ScheduleAttributes,
    /// The newest five at most, oldest first.
    pub recent: Vec<StartedRun>,
    pub next_at: Vec<Timestamp>,
}

impl Listed {
    /// `None` for a schedule that is no connection's.
    pub(crate) fn of(entry: &ScheduleListEntry) -> Option<Self> {
        let connection: ConnectionId = entry.schedule_id.parse().ok()?;
        let info = entry.info.clone().unwrap_or_default();
        Some(Self {
            connection,
            paused: info.paused,
            note: info.notes,
            attributes: ScheduleAttributes::of(entry.search_attributes.as_ref()),
            recent: info.recent_actions.iter().filter_map(StartedRun::of).collect(),
            next_at: info
                .future_action_times
                .iter()
                .filter_map(|at| timestamp(at.seconds, at.nanos))
                .collect(),
        })
    }

    /// The pauses in force; empty for a schedule that runs.
    #[must_use]
    pub fn pauses(&self) -> Vec<Pause> {
        if self.paused { pause::parse(&self.note) } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lists_do_not_show_yet_looks_as_they_show_it() {
        let run = |number: u8| StartedRun {
            run: RunRef { workflow_id: "acme/news".to_owned(), run_id: number.to_string() },
            scheduled_at: None,
            started_at: None,
            status: RunStatus::Completed,
        };
        let mut described = Description::of(DescribeScheduleResponse::default());
        described.paused = true;
        described.note = "moving house".to_owned();
        described.recent = (1..=10).map(run).collect();
        let connection: ConnectionId = "acme/news".parse().unwrap();
        let listed = described.listed(&connection);
        assert_eq!((&listed.connection, listed.paused), (&connection, true));
        assert_eq!(listed.pauses(), described.pauses());
        assert_eq!(listed.recent, (6..=10).map(run).collect::<Vec<_>>());
    }
}
