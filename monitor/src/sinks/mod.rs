//! Where notices go: receivers of several kinds, each with the accounts that it is told of.
//!
//! What each has got, and what has to be tried again, is in the [`Outbox`], a value without I/O
//! that is kept with the [memory](crate::rules::Memory) of the watch. [`Sinks`] does the sending:
//! [`hand_out`](Sinks::hand_out), write the outbox, [`deliver`](Sinks::deliver),
//! [`note`](Sinks::note), write the outbox again.

mod alertmanager;
mod error;
mod log;
mod outbox;
mod post;
mod receivers;
mod slack;
mod webhook;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_model::ids::ConnectionId;

pub use self::error::{Actor, SinkError};
pub use self::outbox::{Outbox, SinkState};
pub use self::receivers::{Delivery, Handout, Outcome, SinkProblem, SinkProblems, Sinks};
pub(crate) use self::words::visible;
use crate::rules::Notice;

/// Makes the address of a connection's page in Temporal's Web UI, if there is one.
pub type Link = Arc<dyn Fn(&ConnectionId) -> Option<String> + Send + Sync>;

/// A receiver of notices.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends a notice once. Whoever calls it tries again after an error, so the receiver may get
    /// it twice, with the same key; when it returns `Ok` the receiver has it.
    ///
    /// # Errors
    /// It is not known to be received. No error holds a secret.
    async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), SinkError>;

    /// Whether it forgets what is not said again and again.
    fn forgets(&self) -> bool {
        false
    }

    /// Says again everything that stands open, to one that [forgets](Self::forgets).
    ///
    /// # Errors
    /// As [`deliver`](Self::deliver).
    async fn refresh(&self, _standing: &[Notice], _now: Timestamp) -> Result<(), SinkError> {
        Ok(())
    }
}
