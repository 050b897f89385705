//! Both ends of some connections, the store between them, and a gateway over it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tidemark_connectors::HttpConnectors;
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    port::{Clock, Host, Stop, SystemClock},
    run::{Engine, Settings},
    store::Store,
};
use tidemark_gateway::{Doors, GatewayConfig, GatewayFlags, Tokens, run};
use tidemark_model::{
    definition::{SourceText, parse},
    entry::Owner,
    failure::{Failure, FailureKind},
    ids::ConnectionId,
    progress::Progress,
    receipt::Receipt,
    secret::SecretLookup,
    step::{CommitRequest, ReadOutcome},
};
use tidemark_simulator::{RejectRule, Seed, Simulator};
use tokio::{sync::oneshot, task::JoinHandle};

const SOURCE_KEY: &str = "demo-us1";
const RECORD_KEY: &str = "record-key";
const LIST: &str = "a1b2c3";

/// For the accounts `acme` and `empty`.
pub(crate) const TOKEN: &str = "the-token-of-acme-1";

/// For the account `globex`.
pub(crate) const OTHER_TOKEN: &str = "the-token-of-globex";

pub(crate) struct World {
    simulator: Simulator,
    pub(crate) folder: TempDir,
    engine: Engine,
    http: Client,
    doors: Doors,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// An answer: its status and what its body says.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        let known = [
            ("SOURCE", SOURCE_KEY),
            ("RECORDS", RECORD_KEY),
            ("REPORTS", TOKEN),
            ("GLOBEX", OTHER_TOKEN),
        ];
        known.iter().find(|(known, _)| *known == name).map(|(_, secret)| (*secret).to_owned())
    }

    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Runs a step as a worker would that nobody stops.
struct Quiet {
    clock: SystemClock,
    owner: Owner,
}

#[async_trait]
impl Host for Quiet {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        None
    }

    async fn stopped(&self) {
        std::future::pending().await
    }

    fn report(&self, _progress: Progress) {}

    async fn is_open(&self, _owner: &Owner) -> bool {
        false
    }
}

const TOKENS: &str = "
[[token]]
secret = 'env:REPORTS'
accounts = ['acme', 'empty']
[[token]]
secret = 'env:GLOBEX'
accounts = ['globex']
";

impl World {
    /// A gateway over a store that was set up and has no connections.
    pub(crate) async fn new() -> Self {
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
        });
        let simulator = Simulator::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let ends = simulator.world();
        ends.add_account(SOURCE_KEY);
        ends.add_list(SOURCE_KEY, LIST, "Newsletter").unwrap();
        ends.seed(LIST, &Seed::of(5)).unwrap();
        ends.add_destination(RECORD_KEY);

        let folder = TempDir::new().unwrap();
        let store = Store::make(&format!("file://{}/store", folder.path().display())).unwrap();
        std::fs::write(folder.path().join("store/store.json"), "{}").unwrap();
        let connectors = Arc::new(HttpConnectors::new(Secrets).unwrap());
        let engine = Engine::new(store.clone(), connectors, Settings::default());

        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, TOKENS).unwrap();
        let mut flags = GatewayFlags::default()
            .with("store", store.url())
            .with("listen", "127.0.0.1:0")
            .with("ops_address", "127.0.0.1:0");
        flags.config = Some(path);
        let config = GatewayConfig::load(&flags, &|_| None).unwrap();
        let tokens = Tokens::resolve(&config.tokens, &Secrets).unwrap();
        let (open, opened) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let open = |doors| open.send(doors).unwrap();
            run(&config, store, tokens, open, async { drop(stopped.await) }).await
        });
        let doors = opened.await.unwrap();
        let http = Client::new();
        Self { simulator, folder, engine, http, doors, stop: Some(stop), serving }
    }

    /// The gateway ends in good order, if it is asked to.
    pub(crate) async fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.simulator.shutdown().await;
    }

    /// Defines a connection that has not run yet.
    pub(crate) async fn connect(&self, id: &str) {
        let url = self.simulator.url();
        let text = format!(
            r#"
[[connection]]
id    = "{id}"
every = "1h"
[connection.source]
kind     = "mailchimp"
api_key  = "env:SOURCE"
list_id  = "{LIST}"
base_url = "{url}"
settle   = "0s"
[connection.destination]
kind    = "record-api"
url     = "{url}/record"
api_key = "env:RECORDS"
[connection.record]
id    = "contact_id"
email = "email_address"
[connection.policy]
deletions = "keep"
"#
        );
        let file = SourceText { name: "test.toml".to_owned(), text };
        let definition = parse(&[file], &[]).unwrap().remove(0);
        self.store_version(id, 1, Some(definition)).await;
    }

    /// Removes a connection.
    pub(crate) async fn remove(&self, id: &str) {
        self.store_version(id, 2, None).await;
    }

    async fn store_version(
        &self,
        id: &str,
        version: u32,
        definition: Option<tidemark_model::definition::Definition>,
    ) {
        let stored = StoredDefinition {
            version,
            applied_at: Timestamp::now(),
            definition,
            same_destination: false,
        };
        let folder = self.engine.store().connection(&id.parse().unwrap());
        definitions::put(&folder, stored).await.unwrap();
    }

    /// A run that must commit.
    pub(crate) async fn run(&self, id: &str) -> Receipt {
        let owner = Owner {
            namespace: "default".to_owned(),
            workflow_id: format!("sync/{id}"),
            run_id: uuid::Uuid::new_v4().to_string(),
        };
        let host = Quiet { clock: SystemClock::default(), owner };
        let id: ConnectionId = id.parse().unwrap();
        let read = patiently(async || self.engine.read(&host, &id).await).await;
        let request = match read {
            ReadOutcome::Skipped { reason } => panic!("{reason}"),
            ReadOutcome::Unchanged(read) => CommitRequest::Unchanged(read),
            ReadOutcome::Read(read) => {
                let computed = self.engine.compute(&host, &id, &read).await.unwrap();
                let number = computed.number;
                patiently(async || self.engine.push(&host, &id, number).await).await;
                CommitRequest::Pushed { number }
            }
        };
        self.engine.commit(&host, &id, &request).await.unwrap()
    }

    /// The destination refuses the record of one contact of a connection from now on.
    pub(crate) fn refuse_one(&self, connection: &str) {
        let mut keys = Vec::new();
        self.simulator.world().each_member(LIST, |one| keys.push(one.contact_id())).unwrap();
        let rule = RejectRule::records([format!("{connection}:{}", keys[0])], 200);
        self.simulator.world().reject_when(RECORD_KEY, rule).unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.doors.api))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// A GET with the token of `acme`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(TOKEN)).await
    }

    /// A GET at the operators' door.
    pub(crate) async fn ops(&self, path: &str) -> Answer {
        let address = self.doors.ops.unwrap();
        self.send(self.http.get(format!("http://{address}{path}"))).await
    }
}

/// What waits is waited for.
async fn patiently<T>(step: impl AsyncFn() -> Result<T, Failure>) -> T {
    loop {
        match step().await {
            Ok(done) => return done,
            Err(failure) if failure.kind == FailureKind::Waiting => {
                tokio::time::sleep(failure.retry_after.unwrap_or_default()).await;
            }
            Err(failure) => panic!("{failure}"),
        }
    }
}
