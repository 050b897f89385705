//! Receivers of notices that write down what they get, and answer as they are told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;
use tidemark_model::definition::SourceText;
use tidemark_model::secret::SecretLookup;
use tidemark_monitor::config;
use tidemark_monitor::sinks::{Link, Sinks};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a receiver got.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// The request as it stands on the wire, without what depends on the port or the version.
    pub(crate) fn text(&self) -> String {
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !["host", "user-agent"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        headers.sort();
        // What turns the direction of writing must not do it here.
        let body =
            serde_json::to_string_pretty(&self.json()).unwrap().replace('\u{202e}', "U+202E");
        format!("{} {}\n{}\n{body}", self.method, self.path, headers.concat())
    }
}

/// How a receiver answers.
pub(crate) enum Answer {
    Status(u16, &'static str),
    With(u16, &'static str, String),
    /// The answer has no end.
    Endless(u16),
    Never,
}

/// A receiver at a port of its own.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    requests: Mutex<Vec<Request>>,
    /// The next answers; afterwards all is well.
    answers: Mutex<VecDeque<Answer>>,
    /// Bytes of endless answers.
    poured: Arc<AtomicUsize>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let desk = Arc::new(Desk::default());
        let app = Router::new().fallback(take).with_state(Arc::clone(&desk));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { port, desk, serving }
    }

    /// Answers the next request so, after those that it was told of before.
    pub(crate) fn answers(&self, answer: Answer) {
        self.desk.answers.lock().unwrap().push_back(answer);
    }

    /// What it got since this was asked last.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.desk.requests.lock().unwrap())
    }

    /// The one request that it got.
    pub(crate) fn one(&self) -> Request {
        let mut requests = self.take();
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }

    /// The keys of the notices that a webhook got.
    pub(crate) fn keys(&self) -> Vec<String> {
        let requests = self.take();
        requests.iter().map(|request| request.json()["key"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn poured(&self) -> usize {
        self.desk.poured.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn take(
    State(desk): State<Arc<Desk>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let path = uri.path_and_query().unwrap().to_string();
    desk.requests.lock().unwrap().push(Request { method, path, headers, body });
    let answer = desk.answers.lock().unwrap().pop_front();
    let status = |status: u16| axum::http::StatusCode::from_u16(status).unwrap();
    match answer.unwrap_or(Answer::Status(200, "ok")) {
        Answer::Status(code, text) => (status(code), text).into_response(),
        Answer::With(code, header, value) => {
            (status(code), [(header, value)], "told").into_response()
        }
        Answer::Endless(code) => {
            let poured = Arc::clone(&desk.poured);
            let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
            let chunks = stream::repeat_with(move || {
                poured.fetch_add(chunk.len(), Ordering::SeqCst);
                Ok::<_, std::convert::Infallible>(chunk.clone())
            });
            (status(code), Body::from_stream(chunks)).into_response()
        }
        Answer::Never => std::future::pending().await,
    }
}

/// The secrets of a test: `env:` names with what they hold.
pub(crate) struct Secrets<'a>(pub(crate) &'a [(&'a str, &'a str)]);

impl SecretLookup for Secrets<'_> {
    fn env(&self, name: &str) -> Option<String> {
        let known = self.0.iter().find(|(known, _)| *known == name);
        known.map(|(_, secret)| (*secret).to_owned())
    }

    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// The key that webhooks sign with.
pub(crate) const SIGNING_KEY: &str = "a-signing-key-of-the-tests";

/// Connects what a file says. `env:KEY` is the signing key.
pub(crate) fn connect(toml: &str, secrets: &[(&str, &str)]) -> Sinks {
    connect_linked(toml, secrets, None)
}

pub(crate) fn connect_linked(toml: &str, secrets: &[(&str, &str)], link: Option<&Link>) -> Sinks {
    install_tls();
    let secrets = [secrets, &[("KEY", SIGNING_KEY)]].concat();
    let file = SourceText { name: "monitor.toml".to_owned(), text: toml.to_owned() };
    Sinks::connect(&config::sinks(&file).unwrap(), &Secrets(&secrets), link).unwrap()
}

pub(crate) fn install_tls() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
    });
}

/// The table of a webhook.
pub(crate) fn webhook(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url("/hook");
    format!(
        "[[sink]]\nname = '{name}'\nkind = 'webhook'\nurl = '{url}'\nsecret = 'env:KEY'\n{more}\n"
    )
}
