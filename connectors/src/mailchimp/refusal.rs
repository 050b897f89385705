//! What an answer that is no success means, and who must act.

use reqwest::StatusCode;
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    secret::SecretRef,
};

use super::{rows::Malformed, wire::Problem};
use crate::{http::Answer, quoted::without_addresses};

/// The longest title that is repeated.
const TITLE_LIMIT: usize = 80;

/// Whom a refusal is told about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) connection: ConnectionId,
    pub(crate) key: SecretRef,
}

impl Subject {
    /// Turns an answer that is no success into a failure.
    pub(super) fn refusal(&self, answer: &Answer) -> Failure {
        let status = answer.status();
        let problem: Option<Problem> = serde_json::from_slice(answer.body()).ok();
        let named = name(status, problem.as_ref());
        let failure = |kind, what: &str| {
            Failure::new(kind, Side::Source, format!("Mailchimp {what}: {named}"))
        };
        let failure = match (status, &problem) {
            (StatusCode::UNAUTHORIZED, _) => {
                failure(FailureKind::Unauthenticated, "refused the API key").hint(self.new_key())
            }
            (StatusCode::FORBIDDEN, Some(_)) => {
                failure(FailureKind::Forbidden, "does not let the key's user do this")
                    .hint(self.more_rights())
            }
            // Without a word of its own: a firewall or a brake in front of the API.
            (StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS, _) => {
                failure(FailureKind::RateLimited, "takes no more requests for now")
            }
            (StatusCode::NOT_FOUND, _) => {
                failure(FailureKind::Gone, "does not know what was asked for").hint(
                    "look at `list_id` and `base_url` in the definition, then: tidemark check FILE",
                )
            }
            (StatusCode::UPGRADE_REQUIRED, _) => failure(FailureKind::Invalid, "wants https")
                .hint("give `base_url` with https, then: tidemark apply FILE"),
            (status, _) if status.is_redirection() => {
                failure(FailureKind::Invalid, "sends requests elsewhere")
                    .hint("correct `base_url`, then: tidemark apply FILE")
            }
            (StatusCode::REQUEST_TIMEOUT, _) => {
                failure(FailureKind::Transient, "did not take the request in")
            }
            (status, _) if status.is_server_error() => {
                failure(FailureKind::Transient, "is in trouble")
            }
            _ => failure(FailureKind::Rejected, "refused the request").hint(
                "look whether the definition is right: tidemark check FILE; if it is, please report \
                 what Mailchimp said",
            ),
        };
        match answer.retry_after() {
            Some(wait) if failure.kind.retryable() => failure.retry_after(wait),
            _ => failure,
        }
    }

    fn new_key(&self) -> String {
        let Self { connection, key } = self;
        let restart = match key {
            SecretRef::Env(_) => " and restart the worker",
            SecretRef::File(_) => "",
        };
        format!("put a valid key at `{key}`{restart}, then: tidemark start {connection}")
    }

    fn more_rights(&self) -> String {
        let Self { connection, key } = self;
        format!(
            "let the user of the key at `{key}` see the audience (role, account, plan), \
             then: tidemark start {connection}"
        )
    }
}

/// A successful answer whose body cannot be read.
pub(super) fn unreadable(malformed: &Malformed) -> Failure {
    Failure::new(FailureKind::Transient, Side::Source, "the answer of Mailchimp cannot be read")
        .caused_by(malformed)
}

/// A successful answer that does not say when it was given.
pub(super) fn undated() -> Failure {
    let message = "the answer of Mailchimp carries no `Date`, so nothing can be said about when \
                   the list was as it shows";
    Failure::new(FailureKind::Transient, Side::Source, message)
}

/// The status, and the API's own title where it gave one. Details are left out: they may quote
/// anything of a member.
fn name(status: StatusCode, problem: Option<&Problem>) -> String {
    match problem {
        Some(problem) => {
            let title = without_addresses(&problem.title);
            let title = title.chars().filter(|c| !c.is_control());
            format!("{} {}", status.as_u16(), title.take(TITLE_LIMIT).collect::<String>())
        }
        None => format!("{status}, without an error in its own format"),
    }
}

#[cfg(test)]
mod tests;
