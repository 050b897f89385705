//! One attempt of one request.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Request;
use tidemark_engine::port::{Clock, Slot, Slots};
use tidemark_model::failure::{Failure, FailureKind, Side};

use super::{Answer, Broken, BrokenKind, Received, Transport, transport::BODY_LIMIT};

/// Makes requests to one system.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) side: Side,
    /// The system's name in texts.
    pub(crate) system: &'static str,
    /// When a request without an answer is given up.
    pub(crate) timeout: Duration,
    pub(crate) slots: SlotRule,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("system", &self.system).finish_non_exhaustive()
    }
}

/// How many requests may be under way at once.
#[derive(Clone, Debug)]
pub(crate) struct SlotRule {
    pub(crate) slots: Arc<Slots>,
    pub(crate) limit: u32,
    /// How long the server may work on a request that was given up, from when it was sent.
    pub(crate) at_work: Duration,
}

impl Caller {
    /// Waits for a place among the requests under way.
    pub(crate) async fn slot(&self) -> Slot {
        self.slots.slots.take(self.slots.limit).await
    }

    /// Waits for a place, makes a request once and takes in the whole answer, whatever its status.
    pub(crate) async fn call(
        &self,
        request: Request,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut slot = self.slot().await;
        self.call_in(&mut slot, request, clock).await
    }

    /// As [`call`](Self::call), in a place that was taken before.
    pub(crate) async fn call_in(
        &self,
        slot: &mut Slot,
        mut request: Request,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        *request.timeout_mut() = Some(self.timeout);
        let bytes_sent = request.body().and_then(reqwest::Body::as_bytes).map_or(0, <[u8]>::len);
        slot.sent(self.slots.at_work);
        let sent_at = clock.now();
        let started = clock.monotonic();
        let outcome = self.transport.exchange(request).await;
        let duration = clock.monotonic().saturating_sub(started);
        let timed_out = |broken: &Broken| broken.kind == BrokenKind::TimedOut;
        if !outcome.as_ref().is_err_and(timed_out) {
            slot.ended();
        }
        let Received { status, headers, body } = outcome.map_err(|broken| self.failure(broken))?;
        Ok(Answer { status, headers, body, sent_at, duration, bytes_sent: bytes_sent as u64 })
    }

    fn failure(&self, broken: Broken) -> Failure {
        let Self { side, system, timeout, .. } = self;
        let (kind, message) = match broken.kind {
            BrokenKind::TooLong => {
                let limit = BODY_LIMIT / 1024 / 1024;
                let message = format!("the answer of {system} is longer than {limit} MiB");
                (FailureKind::Invalid, message)
            }
            BrokenKind::NoConnection => {
                (FailureKind::Transient, format!("cannot connect to {system}"))
            }
            BrokenKind::TimedOut => {
                let seconds = timeout.as_secs_f64();
                let message = format!(
                    "{system} did not answer within {seconds} s; the request may have been applied"
                );
                (FailureKind::Transient, message)
            }
            BrokenKind::BrokenOff => {
                let message = format!(
                    "the connection to {system} broke off; the request may have been applied"
                );
                (FailureKind::Transient, message)
            }
        };
        let mut failure = Failure::new(kind, *side, message);
        failure.causes = broken.causes;
        if broken.kind == BrokenKind::TooLong {
            return failure.hint("lower `page_size` in the definition, then: tidemark apply FILE");
        }
        failure
    }
}
