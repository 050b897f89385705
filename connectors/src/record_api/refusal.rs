//! What an answer that is no success means, and who must act.

use reqwest::StatusCode;
use serde_json::Value;
use tidemark_engine::port::Write;
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    secret::SecretRef,
};

use super::{wire, words::words};
use crate::http::Answer;

/// Whom a refusal is told about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) connection: ConnectionId,
    pub(super) key: SecretRef,
}

impl Subject {
    /// Turns an answer that is no success into a failure. `records` are those that were sent: their
    /// values are kept out of the text.
    pub(super) fn refusal(&self, answer: &Answer, records: &[Write]) -> Failure {
        let status = answer.status();
        let words = serde_json::from_slice(answer.body())
            .ok()
            .and_then(|value: Value| words(&value, records));
        let named = match words {
            Some(words) => format!("{} {words}", status.as_u16()),
            None => status.to_string(),
        };
        let failure = |kind, what: &str| {
            Failure::new(kind, Side::Destination, format!("the record API {what}: {named}"))
        };
        let failure = match status {
            StatusCode::UNAUTHORIZED => {
                failure(FailureKind::Unauthenticated, "refused the key").hint(self.new_key())
            }
            StatusCode::FORBIDDEN => {
                failure(FailureKind::Forbidden, "does not let the key do this").hint(format!(
                    "give the key at `{}` the right to write, then: tidemark start {}",
                    self.key, self.connection
                ))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                failure(FailureKind::Gone, "has nothing at the address").hint(CORRECT_URL)
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                failure(FailureKind::Invalid, "does not take records at the address")
                    .hint(CORRECT_URL)
            }
            status if status.is_redirection() => {
                failure(FailureKind::Invalid, "sends requests elsewhere").hint(CORRECT_URL)
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                failure(FailureKind::Rejected, "finds the batch too large")
                    .hint("lower `batch_records` or `batch_bytes`, then: tidemark apply FILE")
            }
            StatusCode::TOO_MANY_REQUESTS => {
                failure(FailureKind::RateLimited, "takes no more requests for now")
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                failure(FailureKind::Transient, "did not take the request in")
            }
            status if status.is_server_error() => {
                failure(FailureKind::Transient, "is in trouble; the batch may have been applied")
            }
            _ => failure(FailureKind::Rejected, "refused the batch").hint(
                "correct what it names in `record`, or have the destination take it, then: tidemark \
                 apply FILE",
            ),
        };
        match answer.retry_after() {
            Some(wait) if failure.kind.retryable() => failure.retry_after(wait),
            _ => failure,
        }
    }

    /// An answer of success that does not say what became of the records.
    pub(super) fn unreadable(&self, error: wire::UnreadableAnswer) -> Failure {
        let failure = |kind, what: &str| {
            let message = format!("the record API took the request, but {what}");
            Failure::new(kind, Side::Destination, message).caused_by(&error)
        };
        match error {
            wire::UnreadableAnswer::CutOff | wire::UnreadableAnswer::Page => failure(
                FailureKind::Transient,
                "its answer cannot be read; the batch may have been applied",
            ),
            wire::UnreadableAnswer::NotAList => {
                failure(FailureKind::Invalid, "its refusals cannot be read")
                    .hint("correct `rejected_path`, then: tidemark apply FILE")
            }
            wire::UnreadableAnswer::Foreign => {
                failure(FailureKind::Rejected, "speaks of other records than those of the batch")
                    .hint("correct `rejected_path`, then: tidemark apply FILE")
            }
        }
    }

    /// An answer of success that does not hold records as they are read back.
    pub(super) fn unreadable_records(&self, error: wire::UnusableRecords) -> Failure {
        let failure = |kind| {
            let message = "the record API's records cannot be read back";
            Failure::new(kind, Side::Destination, message).caused_by(&error)
        };
        if error == wire::UnusableRecords::CutOff {
            return failure(FailureKind::Transient);
        }
        failure(FailureKind::Invalid).hint(
            "see what `read` of the destination expects in docs/definitions.md, correct it, then: \
             tidemark apply FILE",
        )
    }

    fn new_key(&self) -> String {
        let Self { connection, key } = self;
        let restart = match key {
            SecretRef::Env(_) => " and restart the worker",
            SecretRef::File(_) => "",
        };
        format!("put a valid key at `{key}`{restart}, then: tidemark start {connection}")
    }
}

const CORRECT_URL: &str = "correct the destination's `url`, then: tidemark apply FILE";

#[cfg(test)]
mod tests;
