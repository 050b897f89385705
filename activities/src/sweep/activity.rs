//! The activity of a sweep: one connection after the other.
//!
//! A sweep may be cut short anywhere, so this needs none of what a run's steps need: it is dropped
//! when the worker goes down or the sweep is cancelled, and the next attempt goes on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use tidemark_engine::{definitions, run::sweep, store::Store};
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_workflows::sweep::{SweepProgress, SweepStep, SweepSummary, contract};
use tokio_util::sync::CancellationToken;

use crate::failure::{to_temporal, verdict};

/// The implementation of [`tidemark_workflows::sweep::SweepActivities`].
pub struct SweepActivities {
    store: Store,
    heartbeat_interval: Duration,
    draining: CancellationToken,
}

impl SweepActivities {
    /// `draining` is cancelled when the worker goes down.
    #[must_use]
    pub fn new(store: Store, heartbeat_interval: Duration, draining: CancellationToken) -> Self {
        Self { store, heartbeat_interval, draining }
    }

    /// Sweeps what no earlier attempt dealt with.
    async fn all(&self, progress: &Progress) -> Result<(), Failure> {
        let after = progress.now().after;
        let connections = definitions::connections(&self.store).await?.into_iter();
        for connection in connections.filter(|id| after.as_ref().is_none_or(|after| id > after)) {
            let swept = sweep(&self.store.connection(&connection), Timestamp::now()).await;
            let SweepProgress { mut summary, .. } = progress.now();
            match swept {
                Ok(swept) => {
                    let total = swept.total();
                    summary.connections += 1;
                    summary.objects += total.objects;
                    summary.bytes += total.bytes;
                    tracing::debug!(%connection, objects = total.objects, "connection swept");
                }
                Err(failure) if failure.kind.retryable() => return Err(failure),
                Err(failure) => {
                    summary.refuse(&connection, &failure);
                    tracing::error!(%connection, error = failure.message, "nothing swept");
                }
            }
            progress.set(SweepProgress { after: Some(connection), summary });
        }
        Ok(())
    }

    /// Tells how far it is, until it is dropped.
    async fn beat(&self, context: &ActivityContext, progress: &Progress) {
        let mut interval = tokio::time::interval(self.heartbeat_interval);
        loop {
            interval.tick().await;
            progress.tell(context).await;
        }
    }
}

/// How far an attempt is.
struct Progress(Mutex<SweepProgress>);

impl Progress {
    fn now(&self) -> SweepProgress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, progress: SweepProgress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    async fn tell(&self, context: &ActivityContext) {
        if let Err(error) = context.record_heartbeat(self.now()).await {
            tracing::warn!(%error, "heartbeat details cannot be encoded");
        }
    }
}

#[activities]
impl SweepActivities {
    #[activity(definition = contract::SweepConnections)]
    pub async fn sweep_connections(
        self: Arc<Self>,
        context: ActivityContext,
        _: SweepStep,
    ) -> Result<SweepSummary, ActivityError> {
        let earlier: Option<SweepProgress> =
            context.heartbeat_details().deserialize().ok().flatten();
        let progress = Progress(Mutex::new(earlier.unwrap_or_default()));
        let outcome = tokio::select! {
            swept = self.all(&progress) => swept,
            () = self.draining.cancelled() => Err(draining()),
            () = context.cancelled() => return Err(ActivityError::cancelled()),
            () = self.beat(&context, &progress) => Ok(()),
        };
        // The next attempt is given what this one told last.
        progress.tell(&context).await;
        let summary = progress.now().summary;
        match outcome {
            Ok(()) => {
                let SweepSummary { connections, objects, bytes, refused_count, .. } = summary;
                tracing::info!(connections, objects, bytes, refused_count, "store swept");
                Ok(summary)
            }
            Err(failure) => {
                let attempt = context.info().attempt;
                tracing::warn!(error = failure.message, "sweep ends, another attempt follows");
                let verdict = verdict(&failure, attempt.saturating_sub(1), 1.0);
                Err(to_temporal(failure, verdict, attempt))
            }
        }
    }
}

fn draining() -> Failure {
    Failure::new(FailureKind::Draining, Side::Platform, "the worker is stopping")
}
