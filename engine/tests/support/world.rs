//! The connection, its ports, and a driver that does what the workflow does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use object_store::path::Path;
use tempfile::TempDir;
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    log::Log,
    port::{Clock, Connectors, Destination as DestinationPort, Source},
    run::{Engine, Settings, Swept, decide, sweep},
    store::{Folder, Store},
};
use tidemark_model::{
    definition::{Definition, DestinationDefinition, SourceText, parse},
    entry::Committed,
    exception::{HeldRemovals, Verdict},
    failure::Failure,
    ids::ConnectionId,
    receipt::Receipt,
    step::{CommitRequest, ReadOutcome},
};

use super::{
    clock::TestClock, destination::Destination, host::OpenRuns, host::TestHost, source::Listing,
    store::FaultyStore,
};

/// Attempts of one step before a test gives up on it.
const ATTEMPTS: usize = 20;

/// The definition of the tests' connection. `extra` goes into `[connection.policy]`.
pub(crate) fn definition_toml(destination: &str, extra: &str) -> String {
    format!(
        r#"
        [[connection]]
        id = "acme/newsletter"
        every = "1h"
        [connection.source]
        kind = "mailchimp"
        api_key = "env:KEY"
        list_id = "a1b2c3"
        settle = "0s"
        [connection.destination]
        kind = "record-api"
        url = "{destination}"
        api_key = "env:KEY"
        delete = {{ method = "DELETE", path = "/record/{{id}}" }}
        [connection.record]
        id = "contact_id"
        email = "email_address"
        [connection.policy]
        deletions = "propagate"
        full_read = "30d"
        {extra}
        "#
    )
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) listing: Listing,
    pub(crate) destinations: Arc<Destinations>,
    pub(crate) objects: FaultyStore,
    pub(crate) engine: Engine,
    pub(crate) connection: ConnectionId,
    open: OpenRuns,
    run_count: Mutex<u32>,
    _spill: TempDir,
}

/// Every address has a destination of its own.
#[derive(Default)]
pub(crate) struct Destinations {
    by_address: Mutex<BTreeMap<String, Destination>>,
}

struct Ports {
    listing: Listing,
    destinations: Arc<Destinations>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    Committed(Box<Receipt>),
    Skipped,
    Failed(Failure),
}

impl RunEnd {
    #[track_caller]
    pub(crate) fn receipt(self) -> Receipt {
        match self {
            Self::Committed(receipt) => *receipt,
            other => panic!("the run was to commit, but: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            other => panic!("the run was to fail, but: {other:?}"),
        }
    }
}

impl Connectors for Ports {
    fn source(&self, _: &Definition) -> Result<Arc<dyn Source>, Failure> {
        Ok(Arc::new(self.listing.clone()))
    }

    fn destination(&self, definition: &Definition) -> Result<Arc<dyn DestinationPort>, Failure> {
        let DestinationDefinition::RecordApi(api) = definition.destination();
        Ok(Arc::new(self.destinations.at(api.url().as_str())))
    }
}

impl Destinations {
    pub(crate) fn at(&self, address: &str) -> Destination {
        let mut by_address = self.by_address.lock().unwrap();
        by_address.entry(address.to_owned()).or_default().clone()
    }

    pub(crate) fn set(&self, address: &str, destination: Destination) {
        self.by_address.lock().unwrap().insert(address.to_owned(), destination);
    }
}

impl World {
    pub(crate) const ADDRESS: &str = "http://one.test/record";

    /// A connection that was applied and never ran, over an empty listing.
    pub(crate) async fn new() -> Self {
        let world = Self::unapplied();
        world.apply(&definition_toml(Self::ADDRESS, ""), false).await;
        world
    }

    /// With the policy's further lines.
    pub(crate) async fn with_policy(extra: &str) -> Self {
        let world = Self::unapplied();
        world.apply(&definition_toml(Self::ADDRESS, extra), false).await;
        world
    }

    pub(crate) fn unapplied() -> Self {
        let clock = Arc::new(TestClock::default());
        let listing = Listing::new(Arc::clone(&clock));
        let destinations = Arc::new(Destinations::default());
        let objects = FaultyStore::new(Arc::clone(&clock));
        let store = Store::over(Arc::new(objects.clone()), Path::default(), "memory:///");
        let spill = tempfile::tempdir().unwrap();
        let settings = Settings {
            spill_folder: spill.path().to_owned(),
            keys_in_memory: 4,
            threads: 2,
            ..Settings::default()
        };
        let ports = Ports { listing: listing.clone(), destinations: Arc::clone(&destinations) };
        Self {
            clock,
            listing,
            destinations,
            objects,
            engine: Engine::new(store, Arc::new(ports), settings),
            connection: ConnectionId::new("acme/newsletter").unwrap(),
            open: OpenRuns::default(),
            run_count: Mutex::default(),
            _spill: spill,
        }
    }

    pub(crate) fn folder(&self) -> Folder {
        self.engine.store().connection(&self.connection)
    }

    pub(crate) fn destination(&self) -> Destination {
        self.destinations.at(Self::ADDRESS)
    }

    /// Time passes until an instant.
    pub(crate) fn wait_until(&self, instant: Timestamp) {
        let wait = instant.duration_since(self.clock.now());
        self.clock.advance(Duration::try_from(wait).unwrap_or_default());
    }

    /// Stores the next version of the definition.
    pub(crate) async fn apply(&self, toml: &str, same_destination: bool) {
        let text = SourceText { name: "test.toml".to_owned(), text: toml.to_owned() };
        let definition = parse(&[text], &[]).unwrap().remove(0);
        self.store_version(Some(definition), same_destination).await;
    }

    pub(crate) async fn store_version(
        &self,
        definition: Option<Definition>,
        same_destination: bool,
    ) {
        let newest = definitions::newest(&self.folder()).await.unwrap();
        let version = StoredDefinition {
            version: newest.map_or(0, |newest| newest.version) + 1,
            applied_at: self.clock.now(),
            definition,
            same_destination,
        };
        let stored = definitions::put(&self.folder(), version).await.unwrap();
        assert_eq!(stored, definitions::Stored::Stored);
    }

    /// An hour passes.
    pub(crate) fn hour(&self) {
        self.clock.advance(Duration::from_hours(1));
    }

    /// A new workflow run, open until it is closed.
    pub(crate) fn host(&self) -> TestHost {
        let mut count = self.run_count.lock().unwrap();
        *count += 1;
        let clock = Arc::clone(&self.clock);
        TestHost::new(clock, &format!("run-{count}"), Arc::clone(&self.open))
    }

    /// A run from begin to end, as the workflow drives it.
    pub(crate) async fn run(&self) -> RunEnd {
        let host = self.host();
        let end = match self.steps(&host).await {
            Ok(end) => end,
            Err(failure) => RunEnd::Failed(failure),
        };
        host.close();
        end
    }

    async fn steps(&self, host: &TestHost) -> Result<RunEnd, Failure> {
        let (engine, connection) = (&self.engine, &self.connection);
        let read = self.attempts(async || engine.read(host, connection).await).await?;
        let request = match read {
            ReadOutcome::Skipped { .. } => return Ok(RunEnd::Skipped),
            ReadOutcome::Unchanged(summary) => CommitRequest::Unchanged(summary),
            ReadOutcome::Read(summary) => {
                let computed = self
                    .attempts(async || engine.compute(host, connection, &summary).await)
                    .await?;
                let number = computed.number;
                if computed.batch_count > 0 {
                    self.attempts(async || engine.push(host, connection, number).await).await?;
                }
                CommitRequest::Pushed { number }
            }
        };
        let receipt =
            self.attempts(async || engine.commit(host, connection, &request).await).await?;
        Ok(RunEnd::Committed(Box::new(receipt)))
    }

    /// Repeats a step as Temporal does.
    pub(crate) async fn attempts<T>(
        &self,
        step: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        for _ in 0..ATTEMPTS {
            match step().await {
                Err(failure) if failure.kind.retryable() => {
                    let wait = failure.retry_after.unwrap_or(Duration::from_secs(1));
                    self.clock.advance(wait);
                }
                outcome => return outcome,
            }
        }
        panic!("a step failed {ATTEMPTS} times");
    }

    /// Reads, computes and, if asked to, pushes; then the run dies.
    pub(crate) async fn run_that_dies(&self, push: bool) {
        let host = self.host();
        let (engine, id) = (&self.engine, &self.connection);
        let read = self.attempts(async || engine.read(&host, id).await).await.unwrap();
        let ReadOutcome::Read(read) = read else { panic!("nothing was new: {read:?}") };
        let computed =
            self.attempts(async || engine.compute(&host, id, &read).await).await.unwrap();
        if push {
            let number = computed.number;
            self.attempts(async || engine.push(&host, id, number).await).await.unwrap();
        }
        host.close();
    }

    /// An operator decides about what the newest commit says.
    pub(crate) async fn decide(&self, verdict: Verdict) {
        let commit = self.newest_commit().await.number;
        let now = self.clock.now();
        decide(&self.folder(), "olga", now, Some(commit), verdict).await.unwrap();
    }

    /// The hold of the newest commit, all of it or some ids.
    pub(crate) async fn held(&self, ids: Option<&[&str]>) -> HeldRemovals {
        let hold = self.newest_commit().await.manifest.hold.unwrap().removals;
        let ids = ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        HeldRemovals { hold, ids }
    }

    /// A run that ends green; what it holds is approved of, and the next run removes it.
    pub(crate) async fn run_and_approve(&self) {
        let receipt = self.run().await.receipt();
        self.objects.forget_fault();
        if receipt.held_count > 0 {
            self.decide(Verdict::Approve(self.held(None).await)).await;
            assert_eq!(self.run().await.receipt().held_count, 0);
        }
    }

    pub(crate) async fn newest_commit(&self) -> Committed {
        Log::open(&self.folder()).await.unwrap().newest_commit().unwrap().clone()
    }

    /// Both sides are equal.
    #[track_caller]
    pub(crate) fn assert_in_step(&self) {
        assert_eq!(self.destination().records(), self.listing.records());
    }

    /// The log's objects, without their folders.
    pub(crate) async fn log_names(&self) -> Vec<String> {
        let names = self.objects.names().await;
        let log = names.iter().filter(|name| name.contains("/log/"));
        log.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
    }

    pub(crate) async fn delete(&self, path: &str) {
        let (objects, path) = self.folder().locate(path);
        object_store::ObjectStoreExt::delete(&objects, &path).await.unwrap();
    }

    /// Deletes what is not needed any more.
    pub(crate) async fn sweep(&self) -> Result<Swept, Failure> {
        sweep(&self.folder(), self.clock.now()).await
    }

    /// Rewrites an object of the connection's folder.
    pub(crate) async fn tamper(&self, path: &str, with: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let content = self.folder().get(path).await.unwrap().unwrap();
        let changed = with(content.to_vec());
        self.folder().write(path, changed.into(), 0).await.unwrap();
    }

    /// The paths of the connection's objects whose path contains a text.
    pub(crate) async fn paths_with(&self, text: &str) -> Vec<String> {
        let prefix = "connections/acme/newsletter/";
        let names = self.objects.names().await;
        let own = names.iter().filter_map(|name| name.strip_prefix(prefix));
        own.filter(|name| name.contains(text)).map(str::to_owned).collect()
    }
}
