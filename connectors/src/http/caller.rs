//! One attempt of one request.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use reqwest::{RequestBuilder, Response};
use tidemark_engine::port::Clock;
use tidemark_model::failure::{Failure, FailureKind, Side};

use super::{Answer, Slots};

/// The largest body that is taken in.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// Makes requests to one system.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) side: Side,
    /// The system's name in texts.
    pub(crate) system: &'static str,
    /// When a request without an answer is given up.
    pub(crate) timeout: Duration,
    pub(crate) slots: Option<SlotRule>,
}

/// How many requests may be under way at once.
#[derive(Clone, Debug)]
pub(crate) struct SlotRule {
    pub(crate) slots: Arc<Slots>,
    pub(crate) limit: u32,
    /// How long the server may work on a request that was given up.
    pub(crate) at_work: Duration,
}

impl Caller {
    /// Makes a request once and takes in the whole answer, whatever its status.
    pub(crate) async fn call(
        &self,
        request: RequestBuilder,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut slot = match &self.slots {
            Some(rule) => Some(rule.slots.take(rule.limit).await),
            None => None,
        };
        let (client, request) = request.timeout(self.timeout).build_split();
        let request = request.map_err(|error| self.unsendable(error))?;
        let bytes_sent = request.body().and_then(reqwest::Body::as_bytes).map_or(0, <[u8]>::len);
        if let (Some(slot), Some(rule)) = (&mut slot, &self.slots) {
            slot.sent(rule.at_work);
        }
        let sent_at = clock.now();
        let started = clock.monotonic();
        let outcome = match client.execute(request).await {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                self.take_in(response).await.map(|body| (status, headers, body))
            }
            Err(error) => Err(Broken::Request(error)),
        };
        let duration = clock.monotonic().saturating_sub(started);
        if let Some(slot) = slot
            && !matches!(&outcome, Err(Broken::Request(error)) if may_be_at_work(error))
        {
            slot.ended();
        }
        let (status, headers, body) = outcome.map_err(|broken| self.failure(broken))?;
        Ok(Answer { status, headers, body, sent_at, duration, bytes_sent: bytes_sent as u64 })
    }

    async fn take_in(&self, response: Response) -> Result<Bytes, Broken> {
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(Broken::Request)?;
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(Broken::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn failure(&self, broken: Broken) -> Failure {
        let Self { side, system, timeout, .. } = self;
        let error = match broken {
            Broken::TooLong => {
                let limit = BODY_LIMIT / 1024 / 1024;
                let message = format!("the answer of {system} is longer than {limit} MiB");
                return Failure::new(FailureKind::Invalid, *side, message)
                    .hint("lower `page_size` in the definition, then: tidemark apply FILE");
            }
            // The address may hold what is nobody's business.
            Broken::Request(error) => error.without_url(),
        };
        let message = if error.is_connect() {
            format!("cannot connect to {system}")
        } else if error.is_timeout() {
            let seconds = timeout.as_secs_f64();
            format!("{system} did not answer within {seconds} s; the request may have been applied")
        } else {
            format!("the connection to {system} broke off; the request may have been applied")
        };
        Failure::new(FailureKind::Transient, *side, message).caused_by_sources(&error)
    }

    fn unsendable(&self, error: reqwest::Error) -> Failure {
        let message = format!("no request can be made for {}", self.system);
        Failure::new(FailureKind::Invalid, self.side, message).caused_by(&error.without_url())
    }
}

/// Why there is no whole answer.
enum Broken {
    Request(reqwest::Error),
    TooLong,
}

/// Whether the server may still be working on a request that failed here.
fn may_be_at_work(error: &reqwest::Error) -> bool {
    error.is_timeout() && !error.is_connect()
}
