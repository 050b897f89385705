//! Refusals as tests show them: an answer that was never given, and what is made of it.

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use tidemark_model::failure::Failure;

use super::Answer;

/// An answer of a status with a body, and with the seconds of its `Retry-After`.
#[derive(Clone, Copy)]
pub(crate) struct Given(pub(crate) u16, pub(crate) &'static str, pub(crate) Option<u64>);

impl Given {
    pub(crate) fn answer(self) -> Answer {
        let Self(status, body, retry_after) = self;
        let mut headers = HeaderMap::new();
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            sent_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            duration: std::time::Duration::ZERO,
            bytes_sent: 0,
        }
    }

    /// The answer, and what is made of it.
    pub(crate) fn told(self, failure: &Failure) -> String {
        let Self(status, body, _) = self;
        let body = if body.is_empty() { "without a body" } else { body };
        told(&format!("{status} {body}"), failure)
    }
}

/// What happened, and what is made of it: the kind, who must act, and every text.
pub(crate) fn told(what: &str, failure: &Failure) -> String {
    let mut text =
        format!("{what}\n  {}, for the {}: {failure}", failure.kind.as_str(), failure.class());
    for cause in &failure.causes {
        text += &format!("\n  caused by: {cause}");
    }
    if let Some(hint) = &failure.hint {
        text += &format!("\n  hint: {hint}");
    }
    if let Some(wait) = failure.retry_after {
        text += &format!("\n  again after {wait:?}");
    }
    text
}
