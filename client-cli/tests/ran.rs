//! A connection that ran: its commits lie in a store on disk, written by the engine itself.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_connectors::HttpConnectors;
use tidemark_engine::definitions::{self, Stored, StoredDefinition};
use tidemark_engine::log::Log;
use tidemark_engine::port::{
    Batch, BatchKind, Clock, Connectors as _, Host, Stop, SystemClock, Write,
};
use tidemark_engine::run::{self, Engine, Settings};
use tidemark_engine::store::{Folder, Store};
use tidemark_model::definition::{SourceText, parse};
use tidemark_model::entry::{Committed, Owner};
use tidemark_model::exception::{HeldRemovals, Verdict};
use tidemark_model::failure::{Failure, FailureKind};
use tidemark_model::ids::ConnectionId;
use tidemark_model::progress::Progress;
use tidemark_model::receipt::Receipt;
use tidemark_model::secret::SecretLookup;
use tidemark_model::step::{CommitRequest, ReadOutcome};
use tidemark_simulator::{MemberView, Mutation, RejectRule, Seed, Simulator, Status, World};
use tokio::runtime::Runtime;

use crate::call::{Answer, Place};

const KEY: &str = "demo-us1";
pub(crate) const RECORD_KEY: &str = "record-key";
pub(crate) const LIST: &str = "a1b2c3";
/// How many members the list has at first.
pub(crate) const COUNT: usize = 40;

/// Both ends, a store, and a connection between them that ran once.
pub(crate) struct Ran {
    runtime: Runtime,
    simulator: Simulator,
    place: Place,
    id: ConnectionId,
    engine: Engine,
    /// Of the members, in order.
    pub(crate) keys: Vec<String>,
}

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "ACME_KEY" => Some(KEY.to_owned()),
            "RECORD_KEY" => Some(RECORD_KEY.to_owned()),
            _ => None,
        }
    }

    fn file(&self, _path: &std::path::Path) -> std::io::Result<String> {
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

impl Ran {
    /// A first sync of 40 members.
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same, with lines that are added to `[connection.policy]`.
    pub(crate) fn with(policy: &str) -> Self {
        let ran = Self::defined(policy, "delete = { tombstone = \"deleted\" }");
        ran.run();
        ran
    }

    /// A connection that has not run yet.
    pub(crate) fn defined(policy: &str, delete: &str) -> Self {
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
        });
        let runtime = Runtime::new().unwrap();
        let simulator = runtime.block_on(Simulator::start("127.0.0.1:0".parse().unwrap())).unwrap();
        let world = simulator.world();
        world.add_account(KEY);
        world.add_list(KEY, LIST, "Newsletter").unwrap();
        let mut seed = Seed::of(u32::try_from(COUNT).unwrap());
        seed.ties = 0;
        world.seed(LIST, &seed).unwrap();
        world.add_destination(RECORD_KEY);
        let place = Place::new()
            .with_store()
            .claimed()
            .with("ACME_KEY", KEY)
            .with("RECORD_KEY", RECORD_KEY);
        let store = Store::make(&place.store_url()).unwrap();
        let connectors = HttpConnectors::new(Secrets).unwrap();
        let engine = Engine::new(store, Arc::new(connectors), Settings::default());
        let mut ran = Self {
            runtime,
            simulator,
            place,
            id: "acme/news".parse().unwrap(),
            engine,
            keys: Vec::new(),
        };
        let mut keys = Vec::new();
        ran.world().each_member(LIST, |member| keys.push(member.contact_id())).unwrap();
        keys.sort_unstable();
        ran.keys = keys;
        ran.define(1, policy, delete);
        ran
    }

    /// Stores a version of the definition.
    pub(crate) fn define(&self, version: u32, policy: &str, delete: &str) {
        let url = self.simulator.url();
        let text = format!(
            r#"
[[connection]]
id    = "acme/news"
every = "1h"
[connection.source]
kind     = "mailchimp"
api_key  = "env:ACME_KEY"
list_id  = "{LIST}"
base_url = "{url}"
settle   = "0s"
statuses = ["subscribed"]
[connection.destination]
kind    = "record-api"
url     = "{url}/record"
api_key = "env:RECORD_KEY"
{delete}
[connection.record]
id        = "contact_id"
firstname = "merge_fields.FNAME"
email     = "email_address"
[connection.policy]
deletions = "{}"
{policy}
"#,
            if delete.is_empty() { "keep" } else { "propagate" }
        );
        let file = SourceText { name: "news.toml".to_owned(), text };
        let definition = parse(&[file], &[]).unwrap().remove(0);
        let stored = StoredDefinition {
            version,
            applied_at: Timestamp::now(),
            definition: Some(definition),
            same_destination: false,
        };
        let put = self.runtime.block_on(definitions::put(&self.folder(), stored)).unwrap();
        assert_eq!(put, Stored::Stored);
    }

    /// Removes the connection.
    pub(crate) fn remove(&self) {
        let newest = self.block_on(definitions::newest(&self.folder())).unwrap().unwrap();
        let stored = StoredDefinition { version: newest.version + 1, definition: None, ..newest };
        let put = self.block_on(definitions::put(&self.folder(), stored)).unwrap();
        assert_eq!(put, Stored::Stored);
    }

    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    pub(crate) fn store(&self) -> &Store {
        self.engine.store()
    }

    pub(crate) fn world(&self) -> &World {
        self.simulator.world()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn folder(&self) -> Folder {
        self.engine.store().connection(&self.id)
    }

    /// Calls the program.
    pub(crate) fn call(&self, args: &[&str]) -> Answer {
        self.place.call(args)
    }

    /// A run of the engine that must commit.
    pub(crate) fn run(&self) -> Receipt {
        self.runtime.block_on(async {
            let run_id = uuid::Uuid::new_v4().to_string();
            let owner = Owner {
                namespace: "default".to_owned(),
                workflow_id: "sync/acme/news".to_owned(),
                run_id,
            };
            let host = Quiet { clock: SystemClock::default(), owner };
            let request = self.push(&host).await;
            self.engine.commit(&host, &self.id, &request).await.unwrap()
        })
    }

    /// A run that ends after it pushed.
    pub(crate) fn run_that_dies(&self) {
        self.runtime.block_on(async {
            let owner = Owner {
                namespace: "default".to_owned(),
                workflow_id: "sync/acme/news-died".to_owned(),
                run_id: uuid::Uuid::new_v4().to_string(),
            };
            let host = Quiet { clock: SystemClock::default(), owner };
            self.push(&host).await;
        });
    }

    async fn push(&self, host: &Quiet) -> CommitRequest {
        let outcome = patiently(async || self.engine.read(host, &self.id).await).await;
        let read = match outcome {
            ReadOutcome::Skipped { reason } => panic!("{reason}"),
            ReadOutcome::Unchanged(read) => return CommitRequest::Unchanged(read),
            ReadOutcome::Read(read) => read,
        };
        let computed = self.engine.compute(host, &self.id, &read).await.unwrap();
        patiently(async || self.engine.push(host, &self.id, computed.number).await).await;
        CommitRequest::Pushed { number: computed.number }
    }

    pub(crate) fn newest(&self) -> Committed {
        let log = self.runtime.block_on(Log::open(&self.folder())).unwrap();
        log.newest_commit().unwrap().clone()
    }

    /// Writes a decision down, as an operator on another machine would.
    pub(crate) fn decide(&self, verdict: Verdict) {
        let commit = Some(self.newest().number);
        let at = Timestamp::now();
        self.runtime.block_on(run::decide(&self.folder(), "eve", at, commit, verdict)).unwrap();
    }

    /// All that is held now.
    pub(crate) fn held(&self) -> HeldRemovals {
        HeldRemovals { hold: self.newest().manifest.hold.unwrap().removals, ids: None }
    }

    /// The decisions in the store.
    pub(crate) fn decision_count(&self) -> usize {
        self.runtime.block_on(run::decisions(&self.folder(), 0)).unwrap().len()
    }

    pub(crate) fn archive(&self, members: std::ops::Range<usize>) {
        for member in &self.keys[members] {
            self.world().mutate(LIST, &Mutation::Archive { member: member.clone() }).unwrap();
        }
    }

    pub(crate) fn unsubscribe(&self, member: usize) {
        let mutation = Mutation::Change {
            member: self.keys[member].clone(),
            merge_fields: serde_json::Map::new(),
            status: Some(Status::Unsubscribed),
        };
        self.world().mutate(LIST, &mutation).unwrap();
    }

    pub(crate) fn change(&self, member: usize) {
        self.world().mutate(LIST, &Mutation::set(&self.keys[member], "FNAME", "Changed")).unwrap();
    }

    /// Makes a member one that cannot be mapped.
    pub(crate) fn break_member(&self, member: usize) {
        let (member, field) = (self.keys[member].clone(), "FNAME".to_owned());
        let value = serde_json::json!({ "not": "text" });
        self.world().mutate(LIST, &Mutation::SetRaw { member, field, value }).unwrap();
    }

    /// The destination refuses the member's record from now on.
    pub(crate) fn refuse(&self, member: usize) {
        let mut rule = RejectRule::records([self.record_id(member)], 200);
        rule.message = "the e-mail address is not valid".to_owned();
        self.world().reject_when(RECORD_KEY, rule).unwrap();
    }

    /// Somebody else writes the member's record.
    pub(crate) fn write_elsewhere(&self, member: usize, first_name: &str) {
        let newest = self.runtime.block_on(definitions::newest(&self.folder())).unwrap().unwrap();
        let connectors = HttpConnectors::new(Secrets).unwrap();
        let destination = connectors.destination(&newest.definition.unwrap()).unwrap();
        let id = self.record_id(member);
        let record = serde_json::json!({ "id": id, "firstname": first_name }).to_string();
        let writes = vec![Write { key: self.keys[member].clone(), id, record }];
        let batch = Batch { kind: BatchKind::Write, writes };
        let written = async {
            let slot = destination.slot().await;
            destination.apply(slot, &batch).await
        };
        self.runtime.block_on(written).unwrap();
    }

    pub(crate) fn record_id(&self, member: usize) -> String {
        format!("news:{}", self.keys[member])
    }

    pub(crate) fn email(&self, member: usize) -> String {
        self.of_member(member, |one| one.email().to_owned())
    }

    pub(crate) fn first_name(&self, member: usize) -> String {
        self.of_member(member, |one| {
            one.merge_field("FNAME").as_str().unwrap_or_default().to_owned()
        })
    }

    fn of_member(&self, member: usize, read: impl Fn(&MemberView<'_>) -> String) -> String {
        let mut found = None;
        self.world()
            .each_member(LIST, |one| {
                if one.contact_id() == self.keys[member] {
                    found = Some(read(one));
                }
            })
            .unwrap();
        found.unwrap()
    }

    /// Live records at the destination.
    pub(crate) fn records(&self) -> usize {
        self.world().live_records(RECORD_KEY, "deleted").unwrap().len()
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

impl Drop for Ran {
    fn drop(&mut self) {
        drop(self.runtime.enter());
    }
}
