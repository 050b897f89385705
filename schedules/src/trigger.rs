//! Starting a run now, and finding the run that was started.

use std::time::Duration;

use temporalio_common::protos::temporal::api::{
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::{SchedulePatch, TriggerImmediatelyRequest},
};
use tidemark_model::ids::ConnectionId;

use crate::patience::Poll;
use crate::{Description, RunRef, ScheduleClient, ScheduleError, StartedRun, client::Change};

/// How often the server is asked whether a waiting run was started.
const WAIT_BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// A trigger that the schedule took.
#[derive(Clone, Debug)]
pub struct Trigger {
    connection: ConnectionId,
    /// Runs that had been started before it.
    earlier_count: u64,
    /// The run that goes first, if one was under way.
    pub waits_for: Option<RunRef>,
}

impl Trigger {
    /// The first run that the schedule started after the trigger was asked for.
    ///
    /// That is the trigger's own, or the run of a tick that came between: either began after
    /// somebody asked, and `BufferOne` drops the second of two that wait.
    fn run_in(&self, description: &Description) -> Option<StartedRun> {
        let later = description.action_count.checked_sub(self.earlier_count)?;
        let newest_first = usize::try_from(later).ok()?.checked_sub(1)?;
        description.recent.iter().rev().nth(newest_first).cloned()
    }
}

impl ScheduleClient {
    /// Starts a run: now, or as soon as the running one is over. Works on a paused schedule, which
    /// stays paused.
    ///
    /// # Errors
    /// No such schedule, no answer, or the server did not do it in time.
    pub async fn trigger(&self, connection: &ConnectionId) -> Result<Trigger, ScheduleError> {
        let before = self.describe(connection).await?;
        let trigger = Trigger {
            connection: connection.clone(),
            earlier_count: before.action_count,
            waits_for: before.running.first().cloned(),
        };
        let arrived_count = before.arrived_count();
        let patch = |_: &Description| SchedulePatch {
            trigger_immediately: Some(TriggerImmediatelyRequest {
                overlap_policy: ScheduleOverlapPolicy::BufferOne.into(),
                scheduled_time: None,
            }),
            ..SchedulePatch::default()
        };
        // A trigger that is sent twice costs nothing: of two that wait, one is dropped.
        self.until(connection, Change::Patch { operation: "trigger", patch: &patch }, |now| {
            now.arrived_count() > arrived_count
        })
        .await?;
        Ok(trigger)
    }

    /// The run that a trigger started; `None` while it waits for another one to end.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub async fn triggered(&self, trigger: &Trigger) -> Result<Option<StartedRun>, ScheduleError> {
        Ok(trigger.run_in(&self.describe(&trigger.connection).await?))
    }

    /// Waits, without a limit of its own, for the run that a trigger starts.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub async fn wait_triggered(&self, trigger: &Trigger) -> Result<StartedRun, ScheduleError> {
        let mut poll = Poll::default();
        loop {
            if let Some(run) = trigger.run_in(&self.describe(&trigger.connection).await?) {
                return Ok(run);
            }
            poll.pause(WAIT_BETWEEN_LOOKS).await;
        }
    }
}
