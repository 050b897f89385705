//! The process's life against a real server: what it refuses to start with, and how it goes on.

#![expect(clippy::unwrap_used, reason = "what a test prepares may panic like the test itself")]

use std::{future::pending, sync::Arc};

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use tidemark_activities::setup::{cluster_id, ensure_search_attributes};
use tidemark_devserver::{TemporalServer, find};
use tidemark_engine::{
    definitions::{StoreIdentity, claim},
    port::{Connectors, Destination, Source},
    store::Store,
};
use tidemark_model::{
    definition::Definition,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    step::{SyncRequest, Timing},
};
use tidemark_worker::{WorkerConfig, WorkerFlags, run};
use tidemark_workflows::sync::SyncConnection;

/// No run of these tests comes so far.
struct NoConnectors;

impl Connectors for NoConnectors {
    fn source(&self, _: &Definition) -> Result<Arc<dyn Source>, Failure> {
        Err(Failure::new(FailureKind::Invalid, Side::Source, "there is none"))
    }

    fn destination(&self, _: &Definition) -> Result<Arc<dyn Destination>, Failure> {
        Err(Failure::new(FailureKind::Invalid, Side::Destination, "there is none"))
    }
}

/// A server, a store's folder, and the configuration of a worker between them.
struct World {
    _server: TemporalServer,
    folder: tempfile::TempDir,
    client: Client,
    config: WorkerConfig,
}

impl World {
    async fn new() -> Self {
        let server = TemporalServer::options(find(&|_| {}).await.unwrap()).start().await.unwrap();
        let target = Url::parse(&format!("http://{}", server.address())).unwrap();
        let connection = Connection::connect(ConnectionOptions::new(target).build()).await.unwrap();
        let client = Client::new(connection, ClientOptions::new("default").build()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let flags = WorkerFlags::default().with("store", address(&folder));
        let config = WorkerConfig::load(&flags, &|_| None).unwrap();
        Self { _server: server, folder, client, config }
    }

    async fn claim(&self, namespace: &str, cluster: &str) {
        let store = Store::open(&address(&self.folder)).unwrap();
        let identity =
            StoreIdentity { namespace: namespace.to_owned(), cluster: cluster.to_owned() };
        claim(&store, &identity).await.unwrap();
    }

    /// Why a worker does not start.
    async fn refused(&self) -> String {
        let connectors = Arc::new(NoConnectors);
        let ended = run(self.config.clone(), self.client.clone(), connectors, pending()).await;
        format!("{:#}", ended.expect_err("it does not start"))
    }
}

fn address(folder: &tempfile::TempDir) -> String {
    format!("file://{}", folder.path().display())
}

#[tokio::test]
async fn a_worker_refuses_what_does_not_belong_together() {
    let world = World::new().await;
    let refused = world.refused().await;
    assert!(refused.contains("tidemark setup") && refused.contains("not set up"), "{refused}");

    world.claim("another", "elsewhere").await;
    let refused = world.refused().await;
    assert!(refused.contains("belongs to the namespace another, not to default"), "{refused}");
}

#[tokio::test]
async fn a_worker_refuses_the_store_of_another_cluster() {
    let world = World::new().await;
    world.claim("default", "elsewhere").await;

    let refused = world.refused().await;

    assert!(refused.contains("belongs to the Temporal cluster elsewhere"), "{refused}");
}

#[tokio::test]
async fn a_worker_names_the_search_attributes_that_it_misses() {
    let world = World::new().await;
    world.claim("default", &cluster_id(&world.client).await.unwrap()).await;

    let refused = world.refused().await;

    assert!(refused.contains("Health") && refused.contains("tidemark setup"), "{refused}");
}

#[tokio::test]
async fn a_worker_that_is_made_anew_goes_on() {
    let mut world = World::new().await;
    world.claim("default", &cluster_id(&world.client).await.unwrap()).await;
    ensure_search_attributes(&world.client).await.unwrap();
    // Each run has two activities: reading fails for want of a definition, and a note is left.
    world.config.renew_after = 2;
    let client = world.client.clone();
    let runs = async {
        for name in ["first", "second", "third"] {
            let request = SyncRequest {
                connection: ConnectionId::new("acme/unknown").unwrap(),
                timing: Timing::default(),
            };
            let options = WorkflowStartOptions::new(&world.config.task_queue, name).build();
            client.start_workflow(SyncConnection::run, request, options).await.unwrap();
            let handle = client.get_workflow_handle::<SyncConnection>(name);
            handle.get_result(WorkflowGetResultOptions::default()).await.unwrap_err();
        }
    };

    let connectors = Arc::new(NoConnectors);
    run(world.config.clone(), world.client.clone(), connectors, runs).await.unwrap();
}
