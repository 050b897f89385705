//! The workflow `SyncConnection`.
//!
//! It decides nothing about data: it puts the steps in order, waits where the protocol says so,
//! and says at the end how the run ended. An unchanged run is two activities and one upsert.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temporalio_common::{
    ActivityDefinition, SearchAttributeKey,
    error::{ActivityExecutionError, ApplicationFailure, IncomingError},
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityOptions, TimerOptions, TimerResult, WorkflowContext, WorkflowResult,
    WorkflowTermination,
};
use tidemark_model::{
    entry::{Owner, RunNumber},
    failure::{Failure, FailureClass, FailureKind, Side},
    ids::ConnectionId,
    progress::Stage,
    receipt::{Outcome, Receipt},
    step::{
        CommitRequest, Computed, EndedRun, Known, ReadOutcome, ReadSummary, SyncRequest,
        SyncResult, Timing,
    },
};

use super::{
    details::{Details, grouped},
    options,
    step::{CommitStep, ComputeStep, EndStep, PushStep, ReadStep, StepFailure, SyncActivities},
};
use crate::names::OUTCOME;

/// The details of a failed workflow: what went wrong, who must act, and what to do next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedRun {
    pub stage: Stage,
    pub class: FailureClass,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub failure: Failure,
}

/// Keeps one connection in step: one run.
#[workflow]
#[derive(Default)]
pub struct SyncConnection;

#[workflow_methods]
impl SyncConnection {
    /// Runs the steps, and says how it ended.
    #[run(name = "SyncConnection")]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        request: SyncRequest,
    ) -> WorkflowResult<SyncResult> {
        let mut run = Run::new(ctx, request);
        match run.steps().await {
            Ok(SyncResult::Committed(receipt)) => {
                run.outcome(receipt.outcome);
                Ok(SyncResult::Committed(receipt))
            }
            Ok(skipped @ SyncResult::Skipped { .. }) => {
                run.end(Outcome::Skipped, None).await;
                Ok(skipped)
            }
            Err(Stopped::Cancelled) => {
                run.end(Outcome::Cancelled, None).await;
                Err(WorkflowTermination::cancelled())
            }
            Err(Stopped::Failed(failure)) => {
                run.end(failed(failure.failure.class()), Some(*failure.clone())).await;
                Err(run.failure(*failure).into())
            }
        }
    }
}

/// Why the steps did not end.
enum Stopped {
    Cancelled,
    Failed(Box<StepFailure>),
}

/// A run under way.
struct Run<'a> {
    ctx: &'a WorkflowContext<SyncConnection>,
    connection: ConnectionId,
    timing: Timing,
    known: Known,
    stage: Stage,
    number: Option<RunNumber>,
    details: Details,
}

impl<'a> Run<'a> {
    fn new(ctx: &'a WorkflowContext<SyncConnection>, request: SyncRequest) -> Self {
        Self {
            ctx,
            details: Details::new(&request.connection),
            connection: request.connection,
            timing: request.timing,
            known: request.known,
            stage: Stage::Read,
            number: None,
        }
    }

    async fn steps(&mut self) -> Result<SyncResult, Stopped> {
        let request = match self.read().await? {
            ReadOutcome::Skipped { reason } => return Ok(SyncResult::Skipped { reason }),
            ReadOutcome::Unchanged(read) => CommitRequest::Unchanged(read),
            ReadOutcome::Read(read) => {
                let computed = self.compute(read).await?;
                let number = computed.number;
                if computed.batch_count > 0 {
                    self.push(computed).await?;
                }
                CommitRequest::Pushed { number }
            }
        };
        self.commit(request).await.map(|receipt| SyncResult::Committed(Box::new(receipt)))
    }

    async fn read(&mut self) -> Result<ReadOutcome, Stopped> {
        let options = options::step(self.timing, format!("read {}", self.connection));
        let begin = self.details.begin("read", "…");
        let step = ReadStep { connection: self.connection.clone(), known: self.known };
        let outcome =
            self.step(Stage::Read, begin, SyncActivities::read_source, step, options).await?;
        match &outcome {
            ReadOutcome::Skipped { .. } => {}
            ReadOutcome::Unchanged(read) => self.has_read(read, false),
            ReadOutcome::Read(read) => self.has_read(read, true),
        }
        Ok(outcome)
    }

    fn has_read(&mut self, read: &ReadSummary, changed: bool) {
        self.number = Some(read.number);
        let details = self.details.read(read, changed);
        self.ctx.set_current_details(details);
    }

    async fn compute(&mut self, read: ReadSummary) -> Result<Computed, Stopped> {
        // As they were read, some of them twice.
        let rows = grouped(read.row_count);
        let summary = format!("compare {rows} rows read of {}", self.connection);
        let options = options::step(self.timing, summary);
        let begin = self.details.begin("compute", "…");
        let step = ComputeStep { connection: self.connection.clone(), read };
        let computed = self
            .step(Stage::Compute, begin, SyncActivities::compute_changes, step, options)
            .await?;
        let details = self.details.computed(&computed);
        self.ctx.set_current_details(details);
        Ok(computed)
    }

    async fn push(&mut self, computed: Computed) -> Result<(), Stopped> {
        self.stage = Stage::Push;
        if let Some(from) = computed.send_from {
            self.wait_until(from).await?;
        }
        let record_count = computed.push.sent();
        let summary = format!(
            "push {} records in {} batches of {}",
            grouped(record_count),
            grouped(computed.batch_count),
            self.connection
        );
        let options = options::step(self.timing, summary);
        let begin = self.details.begin("push", format!("{} records …", grouped(record_count)));
        let step = PushStep { connection: self.connection.clone(), number: computed.number };
        let pushed =
            self.step(Stage::Push, begin, SyncActivities::push_changes, step, options).await?;
        let details = self.details.pushed(&pushed);
        self.ctx.set_current_details(details);
        Ok(())
    }

    /// Waits with a timer until an earlier run's last requests can no longer take effect.
    async fn wait_until(&mut self, from: Timestamp) -> Result<(), Stopped> {
        let Some(wait) = self.time_until(from) else { return Ok(()) };
        let details = self.details.begin("push", format!("waits until {from}"));
        self.ctx.set_current_details(details);
        let timer = TimerOptions::builder(wait)
            .summary(format!("an earlier run's requests may take effect until {from}"))
            .build();
        match self.ctx.timer(timer).await {
            TimerResult::Fired => Ok(()),
            TimerResult::Cancelled => Err(Stopped::Cancelled),
        }
    }

    fn time_until(&self, instant: Timestamp) -> Option<Duration> {
        let now = Timestamp::try_from(self.ctx.workflow_time()?).ok()?;
        Duration::try_from(instant.duration_since(now)).ok().filter(|wait| !wait.is_zero())
    }

    async fn commit(&mut self, request: CommitRequest) -> Result<Receipt, Stopped> {
        let options = options::step(self.timing, format!("commit {}", self.connection));
        let begin = self.details.begin("commit", "…");
        let step = CommitStep { connection: self.connection.clone(), request };
        let receipt =
            self.step(Stage::Commit, begin, SyncActivities::commit, step, options).await?;
        let details = self.details.committed(&receipt);
        self.ctx.set_current_details(details);
        Ok(receipt)
    }

    /// One activity, and what its end means for the run. A run that was cancelled begins no
    /// other step, and what a step says that was stopped in the middle does not count.
    async fn step<A: ActivityDefinition>(
        &mut self,
        stage: Stage,
        details: String,
        activity: A,
        input: A::Input,
        options: ActivityOptions,
    ) -> Result<A::Output, Stopped> {
        self.stage = stage;
        if self.ctx.cancellation_token().is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        self.ctx.set_current_details(details);
        match self.ctx.execute_activity(activity, input, options).await {
            Ok(output) => Ok(output),
            Err(_) if self.ctx.cancellation_token().is_cancelled() => Err(Stopped::Cancelled),
            Err(error) => Err(Stopped::Failed(Box::new(self.step_failure(&error)))),
        }
    }

    /// What an activity reported, looked for behind what Temporal added to it.
    fn step_failure(&self, error: &ActivityExecutionError) -> StepFailure {
        let mut cause = error.cause();
        while let Some(this) = cause {
            if let IncomingError::Application(application) = this
                && let Ok(Some(reported)) = application.details::<StepFailure>()
            {
                return reported;
            }
            cause = this.cause();
        }
        let failure = match error.as_timeout() {
            Some(_) => Failure::new(
                FailureKind::Transient,
                Side::Platform,
                format!(
                    "no worker brought the step `{}` to its end within {:?}",
                    self.stage.as_str(),
                    self.timing.deadline
                ),
            )
            .hint("look at the workers: do they run, and do they poll the task queue?"),
            None => Failure::new(
                FailureKind::Bug,
                Side::Platform,
                format!(
                    "the step `{}` ended in a way that nobody planned for",
                    self.stage.as_str()
                ),
            )
            .hint("look at the workers' logs around this time")
            .caused_by(error),
        };
        StepFailure { failure, attempt: 0 }
    }

    /// Says how the run ended, where runs are searched.
    fn outcome(&self, outcome: Outcome) {
        let key = SearchAttributeKey::<String>::keyword(OUTCOME.name);
        self.ctx.upsert_search_attributes([key.value_set(outcome.as_str().to_owned())]);
    }

    /// Ends a run that did not commit. A note that cannot be written changes nothing about that.
    async fn end(&mut self, outcome: Outcome, failure: Option<StepFailure>) {
        let now = self.ctx.workflow_time().and_then(|now| Timestamp::try_from(now).ok());
        let ended = EndedRun {
            owner: Owner {
                namespace: self.ctx.namespace().to_owned(),
                workflow_id: self.ctx.workflow_id().to_owned(),
                run_id: self.ctx.run_id().to_owned(),
            },
            number: self.number,
            outcome,
            stage: self.stage,
            ended_at: now.unwrap_or(Timestamp::UNIX_EPOCH),
            attempt_count: failure.as_ref().map_or(0, |failure| failure.attempt),
            failure: failure.map(|failure| failure.failure),
        };
        let details = self.details.ended(&ended);
        self.ctx.set_current_details(details);
        let options = options::end(format!("end {}: {}", self.connection, outcome.as_str()));
        let step = EndStep { connection: self.connection.clone(), ended };
        // The failure that matters is the run's own; the activity logs its own one.
        drop(self.ctx.execute_activity(SyncActivities::end_run, step, options).await);
        self.outcome(outcome);
    }

    /// The run's failure as the Web UI shows it: the kind as its type, what to do in its text.
    fn failure(&self, failed: StepFailure) -> ApplicationFailure {
        let failure = failed.failure;
        let class = failure.class();
        let mut text = format!("{} {}: {}", self.stage.as_str(), self.connection, failure.message);
        if let Some(hint) = &failure.hint {
            text.push_str(&format!(" ({class} must act: {hint})"));
        }
        ApplicationFailure::builder(text)
            .type_name(failure.kind.as_str().to_owned())
            .non_retryable(true)
            .details(FailedRun { stage: self.stage, class, next: failure.hint.clone(), failure })
            .build()
    }
}

fn failed(class: FailureClass) -> Outcome {
    match class {
        FailureClass::User => Outcome::FailedUser,
        FailureClass::Source => Outcome::FailedSource,
        FailureClass::Destination => Outcome::FailedDestination,
        FailureClass::Platform => Outcome::FailedPlatform,
    }
}
