//! Alertmanager, API v2: it routes, repeats and pages.
//!
//! An alert is known by its labels, so nothing that changes while it stands may be one. It
//! forgets: what is not sent again ends a few minutes later.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::error::SinkError;
use super::post::{Poster, Target};
use super::words::{self, Severity, visible};
use super::{Link, Sink};
use crate::rules::{Kind, Notice, Phase, Subject};

/// How long an alert stands that is not sent again.
const STANDS_FOR: SignedDuration = SignedDuration::from_mins(5);
/// The most alerts in a request.
const BATCH: usize = 200;
/// The most characters of a text.
const TEXT_LIMIT: usize = 1_000;

pub(super) struct Alertmanager {
    poster: Poster,
    target: Target,
    link: Option<Link>,
}

impl Alertmanager {
    pub(super) fn new(poster: Poster, url: reqwest::Url, link: Option<Link>) -> Self {
        let target = Target::new(url, None).below(&["api", "v2", "alerts"]);
        Self { poster, target, link }
    }

    async fn send(&self, notices: &[Notice], now: Timestamp) -> Result<(), SinkError> {
        let alerts: Value = notices.iter().map(|notice| self.alert(notice, now)).collect();
        self.poster.post(&self.target, HeaderMap::new(), alerts.to_string()).await
    }

    fn alert(&self, notice: &Notice, now: Timestamp) -> Value {
        let mut alert = Map::new();
        let mut say = |key: &str, value: Value| drop(alert.insert(key.to_owned(), value));
        say("labels", labels(&notice.subject));
        say("annotations", annotations(notice));
        if notice.phase == Phase::Closed {
            // Without a beginning it takes the one that it knows.
            say("endsAt", json!(notice.at));
        } else {
            say("startsAt", json!(notice.at));
            say("endsAt", json!(now.saturating_add(STANDS_FOR).unwrap_or(Timestamp::MAX)));
        }
        if let (Subject::Connection { connection, .. }, Some(link)) = (&notice.subject, &self.link)
            && let Some(link) = link(connection)
        {
            say("generatorURL", json!(link));
        }
        Value::Object(alert)
    }
}

#[async_trait]
impl Sink for Alertmanager {
    async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), SinkError> {
        self.send(std::slice::from_ref(notice), now).await
    }

    fn forgets(&self) -> bool {
        true
    }

    async fn refresh(&self, standing: &[Notice], now: Timestamp) -> Result<(), SinkError> {
        for batch in standing.chunks(BATCH) {
            self.send(batch, now).await?;
        }
        Ok(())
    }
}

fn labels(subject: &Subject) -> Value {
    let mut labels = Map::new();
    let mut say = |key: &str, value: &str| drop(labels.insert(key.to_owned(), json!(value)));
    match subject {
        Subject::Connection { connection, kind, .. } => {
            say("alertname", alertname(*kind));
            say("account", connection.account().as_str());
            say("connection", connection.as_str());
            say("kind", kind.as_str());
        }
        Subject::Group { kind, group, .. } => {
            say("alertname", alertname(*kind));
            say("group", &visible(group, TEXT_LIMIT));
            say("kind", kind.as_str());
        }
        Subject::Outage(outage) => {
            say("alertname", "TidemarkOutage");
            say("part", outage.part.as_str());
        }
        Subject::Sink { name, .. } => {
            say("alertname", "TidemarkSinkFailing");
            say("sink", name);
        }
        Subject::Test { sink } => {
            say("alertname", "TidemarkTest");
            say("sink", sink);
        }
    }
    say("severity", Severity::of(subject).as_str());
    Value::Object(labels)
}

fn alertname(kind: Kind) -> &'static str {
    match kind {
        Kind::Late => "TidemarkLate",
        Kind::Held => "TidemarkHeld",
        Kind::Rejecting => "TidemarkRejecting",
        Kind::Schedule => "TidemarkSchedule",
        Kind::Paused => "TidemarkPaused",
    }
}

fn annotations(notice: &Notice) -> Value {
    let (what, who) = words::title(&notice.subject);
    // Its templates put annotations into chat as they are, where `<…>` may mention everybody.
    let description = visible(&notice.to_string(), TEXT_LIMIT).replace('<', "‹").replace('>', "›");
    let mut annotations = Map::new();
    let mut say = |key: &str, value: String| drop(annotations.insert(key.to_owned(), json!(value)));
    say("summary", format!("{what}: {who}"));
    say("description", description);
    if let Some(next) = words::next(notice) {
        say("next", next);
    }
    Value::Object(annotations)
}
