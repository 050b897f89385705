//! What the history of a run tells.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use temporalio_common::protos::temporal::api::history::v1::{
    HistoryEvent, history_event::Attributes,
};
use tidemark_model::{
    receipt::{Outcome, Receipt},
    step::SyncResult,
};

/// A run that has ended, by its events.
pub(crate) struct History(Vec<HistoryEvent>);

impl History {
    pub(crate) fn new(events: Vec<HistoryEvent>) -> Self {
        Self(events)
    }

    pub(crate) fn event_count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    /// Attempts of activities. Only the last attempt of each leaves an event, which carries its
    /// number.
    pub(crate) fn attempt_count(&self) -> u64 {
        self.sum(|event| match event {
            Attributes::ActivityTaskStartedEventAttributes(started) => {
                u64::try_from(started.attempt).unwrap_or(0)
            }
            _ => 0,
        })
    }

    pub(crate) fn upsert_count(&self) -> u64 {
        self.sum(|event| {
            matches!(event, Attributes::UpsertWorkflowSearchAttributesEventAttributes(_)).into()
        })
    }

    /// Signals to the run itself.
    pub(crate) fn signal_count(&self) -> u64 {
        self.sum(|event| {
            matches!(event, Attributes::WorkflowExecutionSignaledEventAttributes(_)).into()
        })
    }

    /// When its last event happened.
    pub(crate) fn closed_at(&self) -> anyhow::Result<Timestamp> {
        at(self.0.last().context("the history is empty")?)
    }

    /// From the start of the last attempt of an activity to its end.
    pub(crate) fn activity(&self, name: &str) -> anyhow::Result<Duration> {
        let mut scheduled = None;
        let mut started = None;
        for event in &self.0 {
            match &event.attributes {
                Some(Attributes::ActivityTaskScheduledEventAttributes(attributes))
                    if attributes.activity_type.as_ref().is_some_and(|kind| kind.name == name) =>
                {
                    scheduled = Some(event.event_id);
                }
                Some(Attributes::ActivityTaskStartedEventAttributes(attributes))
                    if Some(attributes.scheduled_event_id) == scheduled =>
                {
                    started = Some(at(event)?);
                }
                Some(Attributes::ActivityTaskCompletedEventAttributes(attributes))
                    if Some(attributes.scheduled_event_id) == scheduled =>
                {
                    let started = started.context("an activity ended before it started")?;
                    return Ok(Duration::try_from(at(event)?.duration_since(started))?);
                }
                _ => {}
            }
        }
        bail!("the run has no activity {name} that ended well")
    }

    /// The receipt of a run that ended in step; anything else would not be worth measuring.
    pub(crate) fn receipt(&self, wanted: Outcome) -> anyhow::Result<Receipt> {
        let last = self.0.last().and_then(|event| event.attributes.as_ref());
        let Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) = last else {
            bail!("the run did not end well: {last:?}");
        };
        let payloads = completed.result.as_ref().context("the run has no result")?;
        let payload = payloads.payloads.first().context("the run has an empty result")?;
        match serde_json::from_slice(&payload.data).context("the result is no receipt")? {
            SyncResult::Committed(receipt) => {
                ensure!(receipt.outcome == wanted, "it ended {:?}", receipt.outcome);
                Ok(*receipt)
            }
            SyncResult::Skipped { reason } => bail!("the run was skipped: {reason}"),
        }
    }

    fn sum(&self, count: impl Fn(&Attributes) -> u64) -> u64 {
        self.0.iter().filter_map(|event| event.attributes.as_ref()).map(count).sum()
    }
}

fn at(event: &HistoryEvent) -> anyhow::Result<Timestamp> {
    let time = event.event_time.as_ref().context("an event has no time")?;
    Ok(Timestamp::new(time.seconds, time.nanos)?)
}
