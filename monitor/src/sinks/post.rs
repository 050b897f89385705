//! Requests to receivers, and what is told of them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::error::SinkError;
use super::words::visible;

/// When a request is given up.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const ANSWER_LIMIT: usize = 4 * 1024;
/// How much of an answer, or of a cause, is told.
const REASON_LIMIT: usize = 200;
/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// An address that requests go to. Nobody sees it.
pub(super) struct Target {
    url: Url,
    /// What no text may hold, the longest first.
    secrets: Vec<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

impl Target {
    /// An address that may be a secret, with another secret that requests are made with.
    pub(super) fn new(url: Url, secret: Option<&str>) -> Self {
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut secrets = vec![url.to_string()];
        secrets.extend(secret.map(str::to_owned));
        secrets.extend(url.host_str().map(str::to_owned));
        secrets.extend([url.username(), url.password().unwrap_or_default()].map(decoded));
        secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        for part in url.path().split('/').chain(url.query()) {
            secrets.extend([part.to_owned(), decoded(part)]);
        }
        // Shorter ones are words, not secrets.
        secrets.retain(|secret| secret.len() >= 6);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { url, secrets }
    }

    /// Another path below it.
    pub(super) fn below(mut self, path: &[&str]) -> Self {
        if let Ok(mut segments) = self.url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        self
    }

    /// Text of the other side as it may be told: on one line, short, without what is secret.
    fn tellable(&self, text: &str) -> String {
        let told =
            self.secrets.iter().fold(text.to_owned(), |text, part| text.replace(part, "REDACTED"));
        visible(told.trim(), REASON_LIMIT)
    }
}

/// Makes requests. Shared by all sinks.
#[derive(Clone, Debug)]
pub(super) struct Poster(reqwest::Client);

impl Poster {
    /// Must be called after the process's TLS provider was installed.
    ///
    /// # Errors
    /// The machine has no certificates, for example.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        reqwest::Client::builder()
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            // A redirect would take a notice, and perhaps a credential, to another address.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self)
    }

    /// Posts JSON once.
    ///
    /// # Errors
    /// It is not known to be received.
    pub(super) async fn post(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: String,
    ) -> Result<(), SinkError> {
        let request = self
            .0
            .post(target.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .headers(headers)
            .body(body);
        let mut response = request.send().await.map_err(|error| broken(target, error))?;
        let status = response.status();
        let retry_after = pause(&response);
        // What follows an answer of success changes nothing about it.
        let answer = beginning(&mut response).await;
        if status.is_success() {
            return Ok(());
        }
        let reason = target.tellable(&String::from_utf8_lossy(&answer));
        Err(refusal(status, retry_after, reason))
    }
}

fn refusal(status: StatusCode, retry_after: Option<Duration>, reason: String) -> SinkError {
    let code = status.as_u16();
    match code {
        300..400 => SinkError::Redirected { status: code },
        401 | 403 | 404 | 405 | 407 | 410 => SinkError::Refused { status: code, reason },
        408 | 425 | 429 | 503 => SinkError::Busy { status: code, retry_after },
        400..500 => SinkError::NotTaken { status: code, reason },
        _ => SinkError::Failed { status: code, reason },
    }
}

/// The first bytes of an answer.
async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while answer.len() < ANSWER_LIMIT
        && let Ok(Some(chunk)) = response.chunk().await
    {
        answer.extend_from_slice(&chunk);
    }
    answer.truncate(ANSWER_LIMIT);
    answer
}

/// The pause in seconds that an answer asks for.
fn pause(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

fn broken(target: &Target, error: reqwest::Error) -> SinkError {
    // The address is a secret.
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let reason = target.tellable(&causes.join(": "));
    if error.is_timeout() {
        SinkError::TimedOut { limit: TIMEOUT }
    } else if error.is_connect() {
        SinkError::NoConnection { reason }
    } else {
        SinkError::BrokenOff { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_address_is_told() {
        let url =
            "https://u:pass-word@hooks.example.com/services/T0%2Bsecret/B1secret?key=q1secret";
        let target = Target::new(url.parse().unwrap(), Some("signing-key"));
        let text = format!(
            "cannot POST {url} at hooks.example.com: /services/T0%2Bsecret or T0+secret, B1secret, \
             q1secret, pass-word, signing-key\nno_service"
        );
        let told = target.tellable(&text);
        for secret in ["secret", "example", "word", "signing"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert_eq!(format!("{target:?}"), "Target { .. }");
    }

    #[test]
    fn what_an_answer_means() {
        let told = |status: u16| {
            refusal(StatusCode::from_u16(status).unwrap(), None, "why".to_owned()).line()
        };
        insta::assert_snapshot!([301, 400, 401, 404, 429, 500, 503].map(told).join("\n"), @r"
    it answered 301, a redirect, which is not followed (the operators of Tidemark must act)
    it answered 400: it does not take what was sent: why (the operators of Tidemark must act)
    it answered 401: the address or a credential is wrong: why (the operators of Tidemark must act)
    it answered 404: the address or a credential is wrong: why (the operators of Tidemark must act)
    it answered 429: it wants to be left alone for now (the operators of the receiver must act)
    it answered 500: it does not work: why (the operators of the receiver must act)
    it answered 503: it wants to be left alone for now (the operators of the receiver must act)
    ");
    }
}
