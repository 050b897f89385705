//! The port of whoever runs the engine: time, stops, progress, and other runs.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_model::{
    definition::Definition,
    entry::Owner,
    failure::{Failure, FailureKind, Side},
    progress::Progress,
};

use super::{Destination, Source};

/// Wall clock, monotonic clock and short sleeps, so that a simulation can own time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Time since some fixed instant of this process; does not jump, does not stand still while
    /// the machine sleeps if the platform can tell.
    fn monotonic(&self) -> Duration;

    /// Waits. Only for waits of five seconds and less; longer ones are [`FailureKind::Waiting`].
    async fn sleep(&self, duration: Duration);
}

/// The process's own clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: tokio::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Why a step must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The worker is going down: end at the next durable page or batch.
    Draining,
    /// The run was cancelled: end at the next durable page or batch.
    Cancelled,
    /// Another attempt of this step may be running: send nothing any more.
    Superseded,
}

/// Who runs a step of the engine.
#[async_trait]
pub trait Host: Send + Sync {
    fn clock(&self) -> &dyn Clock;

    /// The workflow run on whose behalf the step runs.
    fn owner(&self) -> &Owner;

    /// Whether the step must end, and why. Cheap: it is asked before every page and batch.
    fn stop(&self) -> Option<Stop>;

    /// Resolves when [`stop`](Self::stop) has something to say.
    async fn stopped(&self);

    /// Takes note of how far the step is. Cheap: the host decides what it passes on.
    fn report(&self, progress: Progress);

    /// Whether the workflow run that owns an entry may still be at work. No answer means yes.
    async fn is_open(&self, owner: &Owner) -> bool;

    /// The stop as a failure, for `?`.
    ///
    /// # Errors
    /// The stop, if there is one.
    fn check_stop(&self) -> Result<(), Failure> {
        let (kind, message) = match self.stop() {
            None => return Ok(()),
            Some(Stop::Draining) => (FailureKind::Draining, "the worker is stopping"),
            Some(Stop::Cancelled) => (FailureKind::Cancelled, "the run was cancelled"),
            Some(Stop::Superseded) => {
                (FailureKind::Conflict, "another attempt of this step may be running")
            }
        };
        Err(Failure::new(kind, Side::Platform, message))
    }
}

/// Waits for something that others may keep for long, unless the step has to end.
///
/// # Errors
/// The stop, also if it came together with what was waited for.
pub async fn unless_stopped<T>(
    host: &dyn Host,
    wait: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut wait = pin!(wait);
    let come = loop {
        tokio::select! {
            come = &mut wait => break come,
            () = host.stopped() => host.check_stop()?,
        }
    };
    host.check_stop()?;
    Ok(come)
}

/// Makes the source and the destination of a definition.
pub trait Connectors: Send + Sync {
    /// # Errors
    /// A secret that cannot be resolved, or a definition that this build cannot serve.
    fn source(&self, definition: &Definition) -> Result<Arc<dyn Source>, Failure>;

    /// # Errors
    /// As [`source`](Self::source).
    fn destination(&self, definition: &Definition) -> Result<Arc<dyn Destination>, Failure>;
}
