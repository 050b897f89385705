//! A sync without Temporal and in this process: the engine over the real connectors and a store
//! on the disk. Compared with a run of the worker it shows what Temporal and a second process add.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use async_trait::async_trait;
use jiff::Timestamp;
use tempfile::TempDir;
use tidemark_connectors::HttpConnectors;
use tidemark_engine::{
    definitions::{self, StoredDefinition},
    port::{Clock, Host, Stop, SystemClock},
    run::{Engine, Settings},
    store::Store,
};
use tidemark_model::{
    definition::Definition,
    entry::Owner,
    failure::Failure,
    ids::ConnectionId,
    progress::Progress,
    receipt::Receipt,
    secret::SecretLookup,
    step::{CommitRequest, ReadOutcome},
};

use crate::definition::{SOURCE_KEY, SOURCE_VARIABLE, Space};

/// What a sync took.
pub(crate) struct Sync {
    pub(crate) receipt: Receipt,
    pub(crate) read: Duration,
    pub(crate) compute: Duration,
    pub(crate) push: Duration,
    pub(crate) commit: Duration,
}

impl Sync {
    pub(crate) fn seconds(&self) -> f64 {
        (self.read + self.compute + self.push + self.commit).as_secs_f64()
    }
}

/// The first sync of a connection, into a store of its own.
pub(crate) async fn first_sync(definition: &Definition) -> anyhow::Result<Sync> {
    let folder = TempDir::with_prefix("tidemark-bench-")?;
    let store = Store::make(&format!("file://{}/store", folder.path().display()))?;
    let engine = engine(&store, folder.path())?;
    first_sync_into(&engine, definition).await
}

/// An engine over a store, which spills into a folder.
pub(crate) fn engine(store: &Store, spill_folder: &Path) -> anyhow::Result<Engine> {
    let connectors = Arc::new(HttpConnectors::new(Secrets).map_err(told)?);
    let settings = Settings { spill_folder: spill_folder.to_owned(), ..Settings::default() };
    Ok(Engine::new(store.clone(), connectors, settings))
}

/// The first sync of a connection that is new to the engine's store.
pub(crate) async fn first_sync_into(
    engine: &Engine,
    definition: &Definition,
) -> anyhow::Result<Sync> {
    let stored = StoredDefinition {
        version: 1,
        applied_at: Timestamp::now(),
        definition: Some(definition.clone()),
        same_destination: false,
    };
    definitions::put(&engine.store().connection(definition.id()), stored).await?;
    let (host, id) = (Alone::new("bench"), definition.id());

    let mut watch = Watch(Instant::now());
    let read = match engine.read(&host, id).await.map_err(told)? {
        ReadOutcome::Read(read) => read,
        ReadOutcome::Unchanged(_) | ReadOutcome::Skipped { .. } => {
            bail!("a first sync found nothing to read")
        }
    };
    let reading = watch.lap();
    let computed = Box::pin(engine.compute(&host, id, &read)).await.map_err(told)?;
    let computing = watch.lap();
    engine.push(&host, id, computed.number).await.map_err(told)?;
    let pushing = watch.lap();
    let request = CommitRequest::Pushed { number: computed.number };
    let receipt = engine.commit(&host, id, &request).await.map_err(told)?;
    Ok(Sync { receipt, read: reading, compute: computing, push: pushing, commit: watch.lap() })
}

/// A run of a connection in which nothing changed.
pub(crate) async fn unchanged(engine: &Engine, id: &ConnectionId) -> anyhow::Result<Receipt> {
    let host = Alone::new("unchanged");
    match engine.read(&host, id).await.map_err(told)? {
        ReadOutcome::Unchanged(read) => {
            engine.commit(&host, id, &CommitRequest::Unchanged(read)).await.map_err(told)
        }
        ReadOutcome::Read(_) | ReadOutcome::Skipped { .. } => bail!("something changed"),
    }
}

fn told(failure: Failure) -> anyhow::Error {
    anyhow!("{}", failure.message)
}

struct Watch(Instant);

impl Watch {
    fn lap(&mut self) -> Duration {
        let lap = self.0.elapsed();
        self.0 = Instant::now();
        lap
    }
}

/// The keys of the simulator.
struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        if name == SOURCE_VARIABLE {
            return Some(SOURCE_KEY.to_owned());
        }
        let space = Space::ALL.into_iter().find(|space| space.variable() == name)?;
        Some(space.key().to_owned())
    }

    fn file(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A host that nobody disturbs.
struct Alone {
    clock: SystemClock,
    owner: Owner,
}

impl Alone {
    fn new(run: &str) -> Self {
        let owner = Owner {
            namespace: "none".to_owned(),
            workflow_id: "bench".to_owned(),
            run_id: run.to_owned(),
        };
        Self { clock: SystemClock::default(), owner }
    }
}

#[async_trait]
impl Host for Alone {
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
