//! One attempt of one step: its host, its heartbeats, its log lines, and what its end becomes.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use temporalio_common::ActivityError;
use temporalio_sdk::activities::ActivityContext;
use tidemark_engine::port::{Host, Stop};
use tidemark_model::{
    entry::Owner,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    progress::{Progress, Stage},
};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::{
    failure::{Verdict, counts, to_temporal, verdict},
    heartbeat::{Heart, HeartbeatTimes},
    host::ActivityHost,
    measure::Running,
};

/// How a worker goes down, as its attempts see it.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled at first: each attempt ends at its next durable page or batch.
    pub asked: CancellationToken,
    /// Cancelled when there is no more time for that: attempts under way are given up where they
    /// are, as by a crash, and the next ones begin at once.
    pub over: CancellationToken,
}

impl Drain {
    /// One that begins when `asked` is cancelled, and leaves all the time that steps need.
    #[must_use]
    pub fn new(asked: CancellationToken) -> Self {
        Self { asked, over: CancellationToken::new() }
    }
}

/// An attempt under way. Its heart stops when it is dropped.
pub(crate) struct Attempt {
    host: ActivityHost,
    heart: Arc<Heart>,
    over: CancellationToken,
    beating: JoinHandle<()>,
    number: u32,
    stage: Stage,
    started: Instant,
    running: Running,
    span: Span,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Attempt {
    pub(crate) fn begin(
        context: ActivityContext,
        connection: &ConnectionId,
        stage: Stage,
        times: HeartbeatTimes,
        drain: Drain,
    ) -> Self {
        let info = context.info();
        let number = info.attempt;
        let owner = Owner {
            namespace: info.namespace.clone(),
            workflow_id: info.workflow_id.clone().unwrap_or_default(),
            run_id: info.workflow_run_id.clone().unwrap_or_default(),
        };
        // Without the SDK's own span, which would say the same again at greater length.
        let span = tracing::info_span!(
            parent: None,
            "step",
            %connection,
            run = owner.run_id,
            step = info.activity_type,
            attempt = number,
        );
        let running = Running::begin(&info.activity_type);
        let temporal = context.client().connection().clone();
        let heart = Heart::new(context, times);
        let beating = tokio::spawn(Arc::clone(&heart).beat().instrument(span.clone()));
        let host = ActivityHost::new(owner, Arc::clone(&heart), drain.asked, temporal, stage);
        let over = drain.over;
        Self { host, heart, over, beating, number, stage, started: Instant::now(), running, span }
    }

    pub(crate) fn host(&self) -> &ActivityHost {
        &self.host
    }

    /// Asks the server whether this attempt still counts, before it writes anything. The task may
    /// have been under way to this worker for longer than the server waits for a sign of life.
    ///
    /// # Errors
    /// It does not count, or there is no answer.
    pub(crate) async fn confirm(&self) -> Result<(), Failure> {
        if self.heart.once().await {
            return self.host.check_stop();
        }
        Err(Failure::new(
            FailureKind::Transient,
            Side::Platform,
            "temporal did not answer, so it is not known whether this attempt still counts",
        ))
    }

    /// Runs the step to its end, and says it in Temporal's words.
    pub(crate) async fn run<T>(
        &self,
        step: BoxFuture<'_, Result<T, Failure>>,
    ) -> Result<T, ActivityError> {
        async {
            tracing::info!("step begins");
            let step = AssertUnwindSafe(step).catch_unwind();
            let failure = match self.over.run_until_cancelled(step).await {
                Some(Ok(Ok(output))) => {
                    tracing::info!("step done");
                    self.running.ended("done", self.started.elapsed());
                    return Ok(output);
                }
                Some(Ok(Err(failure))) => self.own(failure),
                Some(Err(_)) => panicked(),
                None => given_up(),
            };
            Err(self.failed(failure).await)
        }
        .instrument(self.span.clone())
        .await
    }

    /// An attempt that must not go on is no failure of the run: either another one is at work, or
    /// the next one will be.
    fn own(&self, failure: Failure) -> Failure {
        match (self.host.stop(), failure.kind) {
            (Some(Stop::Superseded), FailureKind::Conflict) => Failure {
                kind: FailureKind::Transient,
                message:
                    "temporal could not be heard, so another attempt may be at work: this one \
                          stopped writing"
                        .to_owned(),
                ..failure
            },
            _ => failure,
        }
    }

    async fn failed(&self, failure: Failure) -> ActivityError {
        self.running.ended(failure.kind.as_str(), self.started.elapsed());
        let count = self.heart.failure_count();
        let verdict = verdict(&failure, count, self.jitter());
        let error = with_causes(&failure);
        match verdict {
            Verdict::Cancelled => tracing::info!("step cancelled"),
            Verdict::Final => tracing::error!(
                error,
                kind = failure.kind.as_str(),
                class = failure.class().as_str(),
                hint = failure.hint,
                "step failed for good"
            ),
            Verdict::Retry { delay } => {
                if counts(&failure) {
                    self.heart.failed();
                }
                match failure.kind {
                    FailureKind::Draining => tracing::info!("step stopped, the worker goes down"),
                    FailureKind::Waiting | FailureKind::RateLimited => {
                        tracing::info!(reason = error, ?delay, "step waits");
                        self.heart.tell(self.waiting(&failure, delay));
                    }
                    _ => {
                        tracing::warn!(
                            error,
                            hint = failure.hint,
                            ?delay,
                            "step failed, another attempt follows"
                        );
                        self.heart.tell(self.waiting(&failure, delay));
                    }
                }
                // The next attempt is given what this one told last.
                if self.host.stop() != Some(Stop::Superseded) {
                    self.heart.once().await;
                }
            }
        }
        to_temporal(failure, verdict, self.number)
    }

    /// What the Web UI shows until the next attempt.
    fn waiting(&self, failure: &Failure, delay: std::time::Duration) -> Progress {
        let told = self.heart.told().unwrap_or_else(|| Progress::new(self.stage, 0, None));
        let until = SignedDuration::try_from(delay).ok();
        Progress {
            waiting_for: Some(failure.message.clone()),
            waiting_until: until.and_then(|delay| Timestamp::now().checked_add(delay).ok()),
            rows_per_second: None,
            expected_end_at: None,
            ..told
        }
    }

    /// From 0 to 1, another one for each run and attempt: no two need a source of chance for that.
    fn jitter(&self) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.host.owner().run_id.as_bytes());
        hasher.update(&self.number.to_le_bytes());
        let hash = hasher.finalize();
        f64::from(hash.as_bytes().first().copied().unwrap_or_default()) / f64::from(u8::MAX)
    }
}

/// Whatever it was waiting for may still happen, as after a crash: the next attempt expects that.
fn given_up() -> Failure {
    let message = "the worker stopped waiting for this step's next page or batch";
    Failure::new(FailureKind::Draining, Side::Platform, message)
}

/// A panic's own text may hold what was read, so it stays in the worker's log.
fn panicked() -> Failure {
    Failure::new(FailureKind::Bug, Side::Platform, "the step panicked")
        .hint("look into the worker's log at this time, and report what it says")
}

fn with_causes(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    for cause in &failure.causes {
        text.push_str(": ");
        text.push_str(cause);
    }
    text
}
