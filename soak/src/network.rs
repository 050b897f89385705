//! The way between a worker and the two systems: requests are lost on it, their answers are lost,
//! cut or late, and what was given up may still take effect.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use reqwest::{
    Method, Request, StatusCode,
    header::{HeaderMap, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;
use tidemark_connectors::{Broken, BrokenKind, Received, Transport};
use tower::ServiceExt;

use crate::{
    attempt::{Attempt, Dead, Place},
    scene::{Scene, Touch},
    source,
};

/// The network as one attempt sees it.
pub(crate) struct Wire(pub(crate) Arc<Attempt>);

/// What is sent, so that it can be carried out now or later.
#[derive(Clone)]
struct Letter {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    /// The number of the destination's address; `None` for the source.
    address: Option<u32>,
}

impl Letter {
    fn of(request: &Request) -> Self {
        let url = request.url();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let address = host.strip_prefix("destination-").and_then(|rest| rest.strip_suffix(".test"));
        Self {
            method: request.method().clone(),
            path: format!("{}{query}", url.path()),
            headers: request.headers().clone(),
            body: request
                .body()
                .and_then(reqwest::Body::as_bytes)
                .map_or_else(Bytes::new, Bytes::copy_from_slice),
            timeout: request.timeout().copied().unwrap_or(Duration::from_secs(120)),
            address: address.and_then(|number| number.parse().ok()),
        }
    }

    /// Carries the request out.
    async fn deliver(&self, scene: &Scene) -> Received {
        scene.set_world_clock();
        let mut request = axum::http::Request::builder().method(&self.method).uri(&self.path);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&self.headers);
        }
        let request = request.body(Body::from(self.body.clone())).expect("it was a request before");
        let served = scene.app.clone().oneshot(request).await;
        let Ok(response) = served;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("the simulator plays no faults here");
        Received { status: parts.status, headers: parts.headers, body }
    }

    /// The ids that it speaks of.
    fn ids(&self) -> Vec<String> {
        if let Some(id) = self.path.strip_prefix("/record/") {
            return vec![id.replace("%3A", ":")];
        }
        let records: Vec<Value> = serde_json::from_slice(&self.body).unwrap_or_default();
        let ids = records.iter().filter_map(|record| record.get("id")?.as_str());
        ids.map(str::to_owned).collect()
    }

    /// The member that it asks for.
    fn looked_up(&self) -> Option<&str> {
        let (_, name) = self.path.split_once("/members/")?;
        name.split('?').next()
    }

    /// For the journal: fields are of no interest, and there are many.
    fn words(&self) -> String {
        if self.address.is_some() {
            let records = String::from_utf8_lossy(&self.body);
            return format!("{} {} {records}", self.method, self.path);
        }
        let path = self.path.split("&fields=").next().unwrap_or(&self.path);
        format!("{} {}", self.method, path.trim_start_matches("/3.0/lists/a1b2c3/"))
    }
}

fn broken(kind: BrokenKind) -> Broken {
    Broken { kind, causes: Vec::new() }
}

fn says(status: u16, body: &'static str) -> Received {
    let status = StatusCode::from_u16(status).expect("a status");
    Received { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
}

const HTML: &str = "<html><body>Service error</body></html>";

#[async_trait]
impl Transport for Wire {
    async fn exchange(&self, request: Request) -> Result<Received, Broken> {
        let letter = Letter::of(&request);
        let place = match letter.address {
            Some(_) => Place::Sending,
            None => Place::Elsewhere,
        };
        if letter.address.is_some() && self.0.is_about_to_die() {
            self.leave_behind(&letter);
        }
        let gone = |Dead| broken(BrokenKind::NoConnection);
        self.0.pass(place).await.map_err(gone)?;
        let answer = match letter.address {
            Some(address) => self.to_destination(&letter, address).await,
            None => self.to_source(&letter).await,
        };
        let said = match &answer {
            Ok(Received { status, .. }) => status.as_str().to_owned(),
            Err(broken) => format!("{:?}", broken.kind),
        };
        self.scene().note(&format!("{} {}: {said}", self.0.name(), letter.words()));
        self.0.pass(Place::Elsewhere).await.map_err(gone)?;
        answer
    }
}

impl Wire {
    fn scene(&self) -> &Arc<Scene> {
        &self.0.scene
    }

    /// How long a request is on its way.
    async fn travel(&self, longest: u64) {
        let scene = self.scene();
        let usual = scene.shape.latency;
        let milliseconds = scene.chance(|chance| {
            if chance.permille(20) { chance.below(longest) } else { chance.between(1, usual) }
        });
        scene.pass(milliseconds.min(longest)).await;
    }

    async fn to_source(&self, letter: &Letter) -> Result<Received, Broken> {
        let scene = self.scene();
        self.travel(20_000).await;
        if self.0.strikes(scene.shape.trouble.source) {
            match scene.chance(|chance| chance.below(8)) {
                0 => {
                    scene.count("trouble: source request lost");
                    return Err(broken(BrokenKind::NoConnection));
                }
                1 => {
                    scene.count("trouble: source answers 429");
                    return Ok(says(429, ""));
                }
                2 => {
                    scene.count("trouble: source answers 502 with a page");
                    return Ok(says(502, HTML));
                }
                3 => {
                    scene.count("trouble: source hangs");
                    tokio::time::sleep(letter.timeout).await;
                    return Err(broken(BrokenKind::TimedOut));
                }
                4 | 5 => {
                    scene.count("trouble: source answer lost");
                    self.serve(letter).await;
                    return Err(broken(BrokenKind::BrokenOff));
                }
                _ => {
                    scene.count("trouble: source page torn");
                    let mut page = self.serve(letter).await;
                    page.body.truncate(page.body.len() / 2);
                    return Ok(page);
                }
            }
        }
        let answer = self.serve(letter).await;
        self.travel(5_000).await;
        Ok(answer)
    }

    /// The list may change just before it answers and just after.
    async fn serve(&self, letter: &Letter) -> Received {
        let scene = self.scene();
        if scene.strikes(scene.shape.trouble.churn) {
            scene.count("trouble: list changes during a read");
            source::change(scene);
        }
        if let Some(member) = letter.looked_up() {
            scene.count("look-ups");
            if scene.strikes(scene.shape.trouble.doomed) {
                scene.count("trouble: member goes as it is looked up");
                source::doom(scene, member);
            }
        }
        let answer = letter.deliver(scene).await;
        if scene.strikes(scene.shape.trouble.churn / 3) {
            scene.count("trouble: list changes during a read");
            source::change(scene);
        }
        answer
    }

    async fn to_destination(&self, letter: &Letter, address: u32) -> Result<Received, Broken> {
        let scene = self.scene();
        let timeout = u64::try_from(letter.timeout.as_millis()).unwrap_or(u64::MAX);
        let sent_at = scene.now();
        self.travel(timeout / 3).await;
        if self.0.strikes(scene.shape.trouble.destination) {
            match scene.chance(|chance| chance.below(9)) {
                0 => {
                    scene.count("trouble: destination request lost");
                    return Err(broken(BrokenKind::NoConnection));
                }
                1 => {
                    scene.count("trouble: destination answers 429");
                    let mut answer = says(429, "");
                    answer.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
                    return Ok(answer);
                }
                2 => {
                    scene.count("trouble: destination answers 503");
                    return Ok(says(503, HTML));
                }
                3 => {
                    scene.count("trouble: destination hangs");
                    let left = timeout - (scene.now() - sent_at);
                    scene.pass(left).await;
                    return Err(broken(BrokenKind::TimedOut));
                }
                4 | 5 => {
                    scene.count("trouble: destination applies, not answered");
                    self.apply(letter, address).await;
                    return Err(broken(BrokenKind::BrokenOff));
                }
                6 => {
                    scene.count("trouble: destination applies, answers a page");
                    self.apply(letter, address).await;
                    return Ok(says(200, HTML));
                }
                _ => {
                    scene.count("trouble: destination applies late");
                    self.apply_late(letter, address, sent_at);
                    let left = timeout - (scene.now() - sent_at);
                    scene.pass(left).await;
                    return Err(broken(BrokenKind::TimedOut));
                }
            }
        }
        let answer = self.apply(letter, address).await;
        self.travel(timeout / 3).await;
        Ok(answer)
    }

    async fn apply(&self, letter: &Letter, address: u32) -> Received {
        let touch = self.touch();
        apply(self.scene(), letter, address, touch).await
    }

    fn touch(&self) -> Touch {
        let sent_at = self.scene().now();
        Touch {
            run: self.0.run.id.clone(),
            sent_at,
            at: sent_at,
            after_freeze: self.0.froze_at_send(),
        }
    }

    /// A worker dies with a request under way, which may take effect.
    fn leave_behind(&self, letter: &Letter) {
        let scene = self.scene();
        if let Some(address) = letter.address
            && scene.chance(|chance| chance.permille(500))
        {
            scene.count("trouble: request outlives its worker");
            self.apply_late(letter, address, scene.now());
        }
    }

    /// A request that nobody waits for any more takes effect while it may: within the longest
    /// request and the destination's settle, counted from when it was sent.
    fn apply_late(&self, letter: &Letter, address: u32, sent_at: u64) {
        let scene = Arc::clone(self.scene());
        let latest = u64::try_from(letter.timeout.as_millis()).unwrap_or(u64::MAX)
            + scene.shape.destination_settle * 1_000;
        let earliest = scene.now() - sent_at;
        // Most of what is late is as late as can be.
        let after = scene.chance(|chance| {
            let from = if chance.permille(700) { latest * 9 / 10 } else { 0 };
            chance.between(from.max(earliest), latest.max(earliest))
        });
        let (letter, touch) = (letter.clone(), self.touch());
        let name = self.0.name();
        tokio::spawn(async move {
            scene.pass((sent_at + after).saturating_sub(scene.now())).await;
            scene.note(&format!("{name} late: {}", letter.words()));
            apply(&scene, &letter, address, touch).await;
        });
    }
}

async fn apply(scene: &Scene, letter: &Letter, address: u32, mut touch: Touch) -> Received {
    let answer = letter.deliver(scene).await;
    touch.at = scene.now();
    let mut books = scene.books();
    for id in letter.ids() {
        books.touched.insert((address, id), touch.clone());
    }
    answer
}
