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
    let store = Store::open(&format!("file://{}/store", folder.path().display()))?;
    let stored = StoredDefinition {
        version: 1,
        applied_at: Timestamp::now(),
        definition: Some(definition.clone()),
        same_destination: false,
    };
    definitions::put(&store.connection(definition.id()), stored).await?;
    let connectors = Arc::new(HttpConnectors::new(Secrets).map_err(told)?);
    let settings = Settings { spill_folder: folder.path().to_owned(), ..Settings::default() };
    let engine = Engine::new(store, connectors, settings);
    let (host, id) = (Alone::new(), definition.id());

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
    fn new() -> Self {
        let owner = Owner {
            namespace: "none".to_owned(),
            workflow_id: "bench".to_owned(),
            run_id: "bench".to_owned(),
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
