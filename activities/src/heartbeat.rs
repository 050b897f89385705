//! Signs of life of an attempt: what it tells Temporal, and what Temporal tells it.
//!
//! The SDK's own heartbeat reports nothing back for a while, and with the server out of reach an
//! attempt has been seen at work beside the one that replaced it. So an attempt also sends its
//! heartbeats itself, learns from the answers, and counts how old the last answer is.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use temporalio_client::{
    Connection, RetryOptions,
    request_extensions::RetryConfigForCall,
    tonic::{Code, IntoRequest as _},
};
use temporalio_common::protos::temporal::api::{
    common::v1::Payloads, workflowservice::v1::RecordActivityTaskHeartbeatRequest,
};
use temporalio_sdk::activities::ActivityContext;
use tidemark_engine::port::Stop;
use tidemark_model::progress::Progress;
use tidemark_schedules::payload::json;
use tidemark_workflows::sync::HeartbeatDetails;
use tokio::time::Instant;

use crate::permission::{Moment, Permission};

/// When an attempt gives signs of life, and when it must stop for want of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// Between two heartbeats.
    pub interval: Duration,
    /// Nothing is written any more so long after the start of the last heartbeat that was
    /// answered. Shorter than the heartbeat timeout, after which another attempt may begin.
    pub patience: Duration,
}

impl Default for HeartbeatTimes {
    fn default() -> Self {
        Self { interval: Duration::from_secs(4), patience: Duration::from_secs(15) }
    }
}

/// The heart of one attempt.
pub(crate) struct Heart {
    connection: Connection,
    context: ActivityContext,
    times: HeartbeatTimes,
    permission: Permission,
    details: Mutex<Option<Progress>>,
    failure_count: AtomicU32,
    moved_at: Mutex<Timestamp>,
    row_count: AtomicU64,
}

impl Heart {
    pub(crate) fn new(context: ActivityContext, times: HeartbeatTimes) -> Arc<Self> {
        let earlier: Option<HeartbeatDetails> =
            context.heartbeat_details().deserialize().ok().flatten();
        Arc::new(Self {
            connection: context.client().connection().clone(),
            times,
            permission: Permission::new(times.patience),
            details: Mutex::new(None),
            failure_count: AtomicU32::new(
                earlier.as_ref().map_or(0, |details| details.failure_count),
            ),
            row_count: AtomicU64::new(earlier.as_ref().map_or(0, |details| details.row_count)),
            moved_at: Mutex::new(
                earlier.and_then(|details| details.moved_at).unwrap_or_else(Timestamp::now),
            ),
            context,
        })
    }

    /// Failures since the last durable page or batch, over all attempts.
    pub(crate) fn failure_count(&self) -> u32 {
        self.failure_count.load(Ordering::Relaxed)
    }

    /// Counts one more failure.
    pub(crate) fn failed(&self) {
        self.failure_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Rows or records that are durable, by all attempts.
    pub(crate) fn row_count(&self) -> u64 {
        self.row_count.load(Ordering::Relaxed)
    }

    /// A page or batch is durable, with it `row_count` rows or records: failures count from here.
    pub(crate) fn moved(&self, row_count: u64) {
        self.failure_count.store(0, Ordering::Relaxed);
        self.row_count.store(row_count, Ordering::Relaxed);
        *self.moved_at.lock().unwrap_or_else(PoisonError::into_inner) = Timestamp::now();
    }

    /// What the next heartbeat tells.
    pub(crate) fn tell(&self, progress: Progress) {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// What was told last.
    pub(crate) fn told(&self) -> Option<Progress> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the attempt may go on.
    pub(crate) fn permission(&self) -> &Permission {
        &self.permission
    }

    /// Takes the server's word that the attempt must end.
    fn withdraw(&self, stop: Stop) {
        if self.permission.withdrawn() != Some(stop) {
            tracing::info!(reason = ?stop, "temporal asks the step to end");
        }
        self.permission.withdraw(stop);
    }

    /// Beats until the attempt is over or the server has said its word.
    pub(crate) async fn beat(self: Arc<Self>) {
        loop {
            let next = Instant::now() + self.times.interval;
            tokio::select! {
                () = tokio::time::sleep_until(next) => {
                    self.once().await;
                }
                () = self.context.cancelled() => {
                    self.once().await;
                    // The SDK gives no reason. If the server does not ask for an end, it is the
                    // SDK itself that gave the attempt up.
                    if self.permission.withdrawn().is_none() {
                        self.withdraw(Stop::Superseded);
                    }
                }
            }
            if self.permission.withdrawn() == Some(Stop::Superseded) {
                return;
            }
            if self.context.is_cancelled() {
                // Whoever finishes a page or batch still has to show that he lives.
                tokio::time::sleep_until(next).await;
            }
        }
    }

    /// One heartbeat, and what the answer means; whether there was one.
    pub(crate) async fn once(&self) -> bool {
        let started = Moment::now();
        let details = HeartbeatDetails {
            progress: self.told(),
            failure_count: self.failure_count(),
            moved_at: Some(*self.moved_at.lock().unwrap_or_else(PoisonError::into_inner)),
            row_count: self.row_count(),
        };
        // Keeps the SDK's own time-outs from expiring. It sends few of them.
        if let Err(error) = self.context.record_heartbeat(details.clone()).await {
            tracing::warn!(%error, "heartbeat details cannot be encoded");
        }
        let mut request = RecordActivityTaskHeartbeatRequest {
            task_token: self.context.info().task_token.clone(),
            details: Some(Payloads { payloads: vec![json(&details)] }),
            identity: self.connection.identity().to_owned(),
            namespace: self.context.info().namespace.clone(),
            ..RecordActivityTaskHeartbeatRequest::default()
        }
        .into_request();
        // The next heartbeat is the second try.
        request.set_timeout(self.times.interval);
        request.extensions_mut().insert(RetryConfigForCall(RetryOptions::no_retries()));
        match self.connection.workflow_service().record_activity_task_heartbeat(request).await {
            Ok(answer) => {
                self.permission.renew(started);
                let answer = answer.into_inner();
                if answer.cancel_requested {
                    self.withdraw(Stop::Cancelled);
                } else if answer.activity_paused || answer.activity_reset {
                    self.withdraw(Stop::Draining);
                }
                true
            }
            Err(status) if status.code() == Code::NotFound => {
                self.withdraw(Stop::Superseded);
                true
            }
            Err(status) => {
                tracing::debug!(error = %status, "temporal did not answer a heartbeat");
                false
            }
        }
    }
}
