//! JSON, signed: for receivers that are made for it.

use async_trait::async_trait;
use jiff::Timestamp;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::{Map, Value, json};

use super::Sink;
use super::error::SinkError;
use super::post::{Poster, Target};
use super::words::{self, Severity, visible};
use crate::rules::{Cause, Notice, Subject};

/// The version of the body's form. New keys may come without a new version.
const VERSION: u32 = 1;
/// The most characters of a text from elsewhere.
const TEXT_LIMIT: usize = 2_000;

const TIMESTAMP: HeaderName = HeaderName::from_static("tidemark-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("tidemark-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) struct Webhook {
    poster: Poster,
    target: Target,
    key: hmac::Key,
}

impl Webhook {
    pub(super) fn new(poster: Poster, url: reqwest::Url, secret: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Self { poster, target: Target::new(url, Some(secret)), key }
    }

    /// The signature of a body that is sent at `timestamp`, in seconds.
    fn sign(&self, timestamp: &str, body: &str) -> String {
        let mut signing = hmac::Context::with_key(&self.key);
        signing.update(timestamp.as_bytes());
        signing.update(b".");
        signing.update(body.as_bytes());
        let signature = signing.sign();
        let digits: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v1={digits}")
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), SinkError> {
        let body = body(notice).to_string();
        let timestamp = now.as_second().to_string();
        let signature = self.sign(&timestamp, &body);
        let key = utf8_percent_encode(&notice.key, CONTROLS).to_string();
        let value = |text: &str| HeaderValue::from_str(text).expect("it is made of visible ASCII");
        let headers = HeaderMap::from_iter([
            (TIMESTAMP, value(&timestamp)),
            (SIGNATURE, value(&signature)),
            (IDEMPOTENCY_KEY, value(&key)),
        ]);
        self.poster.post(&self.target, headers, body).await
    }
}

/// What is documented in `docs/monitor.md`.
fn body(notice: &Notice) -> Value {
    let mut body = Map::new();
    let mut say = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    say("version", json!(VERSION));
    say("key", json!(notice.key));
    say("at", json!(notice.at));
    say("phase", json!(words::phase(notice.phase)));
    let about = match &notice.subject {
        Subject::Connection { .. } => "connection",
        Subject::Group { .. } => "group",
        Subject::Outage(_) => "outage",
        Subject::Sink { .. } => "sink",
        Subject::Test { .. } => "test",
    };
    say("about", json!(about));
    say("severity", json!(Severity::of(&notice.subject).as_str()));
    match &notice.subject {
        Subject::Connection { connection, kind, cause: why, ending } => {
            say("account", json!(connection.account()));
            say("connection", json!(connection));
            say("kind", json!(kind));
            say("cause", cause(why));
            if let Some(ending) = ending {
                say("ending", json!(ending));
            }
        }
        Subject::Group { kind, counts, new, sample, group, joining: _ } => {
            say("kind", json!(kind));
            say("group", json!(group));
            say("counts", json!(counts));
            say("new", json!(new));
            let sample = sample
                .iter()
                .map(|(connection, why)| json!({ "connection": connection, "cause": cause(why) }));
            say("sample", sample.collect());
        }
        Subject::Outage(outage) => {
            say("part", json!(outage.part));
            say("since", json!(outage.since));
            say("until", json!(outage.until));
        }
        Subject::Sink { name, since, until, error, given_up } => {
            say("sink", json!(name));
            say("since", json!(since));
            say("until", json!(until));
            say("error", json!(error));
            say("given_up", json!(given_up));
        }
        Subject::Test { sink } => say("sink", json!(sink)),
    }
    say("text", json!(visible(&notice.to_string(), TEXT_LIMIT)));
    if let Some(next) = words::next(notice) {
        say("next", json!(next));
    }
    Value::Object(body)
}

/// A cause: its name, and what is particular to it.
fn cause(cause: &Cause) -> Value {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(cause) else { return Value::Null };
    let mut said = Map::new();
    said.insert("name".to_owned(), fields.shift_remove("cause").unwrap_or_default());
    for (key, value) in fields {
        let value = match value {
            Value::String(text) => Value::String(text.chars().take(TEXT_LIMIT).collect()),
            other => other,
        };
        said.insert(key, value);
    }
    Value::Object(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 has no case with a dot in it; this one was computed by
    /// `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac signing-key`.
    #[test]
    fn the_signature_is_hmac_sha256_of_the_timestamp_a_dot_and_the_body() {
        let _provider = rustls::crypto::ring::default_provider().install_default();
        let url = "http://127.0.0.1:1/".parse().unwrap();
        let webhook = Webhook::new(Poster::new().unwrap(), url, "signing-key");
        assert_eq!(
            webhook.sign("1700000000", r#"{"a":1}"#),
            "v1=71b3a974e6b52b2b7163a3c243ea3bcfe76ccd4f59c95ead65ce52968d34a0df"
        );
    }
}
