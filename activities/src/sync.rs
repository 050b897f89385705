//! The activities of a run: each hands one step to the engine.

use std::sync::Arc;

use futures::FutureExt as _;
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use tidemark_engine::{port::unless_stopped, run::Engine};
use tidemark_model::{
    ids::ConnectionId,
    progress::Stage,
    receipt::Receipt,
    step::{Computed, Pushed, ReadOutcome},
};
use tidemark_workflows::{
    health::Health,
    sync::{CommitStep, ComputeStep, EndStep, PushStep, ReadStep, contract},
};
use tokio::sync::{Semaphore, watch};

use crate::{
    attempt::{Attempt, Drain},
    heartbeat::HeartbeatTimes,
    measure,
    publish::Publisher,
};

/// Comparisons share the memory that a worker may use, so only so many are made at once.
pub const COMPARISONS_AT_ONCE: u16 = 2;

/// The implementation of [`tidemark_workflows::sync::SyncActivities`].
pub struct SyncActivities {
    engine: Engine,
    publisher: Publisher,
    times: HeartbeatTimes,
    drain: Drain,
    begun_count: watch::Sender<u64>,
    comparisons: Semaphore,
}

impl SyncActivities {
    /// `drain` says when the worker goes down. `begun_count` counts the attempts.
    #[must_use]
    pub fn new(
        engine: Engine,
        publisher: Publisher,
        times: HeartbeatTimes,
        drain: Drain,
        begun_count: watch::Sender<u64>,
    ) -> Self {
        let comparisons = Semaphore::new(COMPARISONS_AT_ONCE.into());
        Self { engine, publisher, times, drain, begun_count, comparisons }
    }

    fn begin(&self, context: ActivityContext, connection: &ConnectionId, stage: Stage) -> Attempt {
        self.begun_count.send_modify(|count| *count += 1);
        Attempt::begin(context, connection, stage, self.times, self.drain.clone())
    }
}

#[activities]
impl SyncActivities {
    #[activity(definition = contract::ReadSource)]
    pub async fn read_source(
        self: Arc<Self>,
        context: ActivityContext,
        step: ReadStep,
    ) -> Result<ReadOutcome, ActivityError> {
        let attempt = self.begin(context, &step.connection, Stage::Read);
        let read = async {
            self.engine.confirm_log(&step.connection, step.known).await?;
            self.engine.read(attempt.host(), &step.connection).await
        };
        attempt.run(read.boxed()).await
    }

    #[activity(definition = contract::ComputeChanges)]
    pub async fn compute_changes(
        self: Arc<Self>,
        context: ActivityContext,
        step: ComputeStep,
    ) -> Result<Computed, ActivityError> {
        let attempt = self.begin(context, &step.connection, Stage::Compute);
        let compute = async {
            let host = attempt.host();
            let _turn = unless_stopped(host, self.comparisons.acquire()).await?;
            self.engine.compute(host, &step.connection, &step.read).await
        };
        attempt.run(compute.boxed()).await
    }

    #[activity(definition = contract::PushChanges)]
    pub async fn push_changes(
        self: Arc<Self>,
        context: ActivityContext,
        step: PushStep,
    ) -> Result<Pushed, ActivityError> {
        let attempt = self.begin(context, &step.connection, Stage::Push);
        let push = async {
            attempt.confirm().await?;
            self.engine.push(attempt.host(), &step.connection, step.number).await
        };
        attempt.run(push.boxed()).await
    }

    #[activity(definition = contract::Commit)]
    pub async fn commit(
        self: Arc<Self>,
        context: ActivityContext,
        step: CommitStep,
    ) -> Result<Receipt, ActivityError> {
        let attempt = self.begin(context, &step.connection, Stage::Commit);
        let commit = async {
            let receipt =
                self.engine.commit(attempt.host(), &step.connection, &step.request).await?;
            measure::committed(&receipt);
            self.publisher.committed(&step.connection, &receipt).await;
            Ok(receipt)
        };
        attempt.run(commit.boxed()).await
    }

    #[activity(definition = contract::EndRun)]
    pub async fn end_run(
        self: Arc<Self>,
        context: ActivityContext,
        step: EndStep,
    ) -> Result<(), ActivityError> {
        let attempt = self.begin(context, &step.connection, step.ended.stage);
        let end = async {
            self.engine.end(&step.connection, &step.ended).await?;
            if let Some(health) = Health::of_end(step.ended.outcome) {
                self.publisher.ended(&step.connection, health, step.ended.stage).await;
            }
            Ok(())
        };
        attempt.run(end.boxed()).await
    }
}
