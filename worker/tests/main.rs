//! The process's life against a real server: what it refuses to start with, and how it goes on.

#![expect(clippy::unwrap_used, reason = "what a test prepares may panic like the test itself")]

mod renewal;

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowGetResultOptions,
    WorkflowStartOptions,
};
use tidemark_activities::setup::ensure_search_attributes;
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
    step::{Known, SyncRequest, Timing},
};
use tidemark_schedules::ScheduleClient;
use tidemark_worker::{WorkerConfig, WorkerFlags, run};
use tidemark_workflows::sync::SyncConnection;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

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
    server: TemporalServer,
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
        Self { server, folder, client, config }
    }

    async fn claim(&self, namespace: &str, cluster: &str) {
        let store = Store::make(&address(&self.folder)).unwrap();
        let identity =
            StoreIdentity { namespace: namespace.to_owned(), cluster: cluster.to_owned() };
        claim(&store, &identity).await.unwrap();
    }

    /// Everything that a worker needs is there.
    async fn ready() -> Self {
        let world = Self::new().await;
        world
            .claim("default", &ScheduleClient::new(&world.client).cluster_id().await.unwrap())
            .await;
        ensure_search_attributes(&world.client).await.unwrap();
        world
    }

    /// Starts a run of a connection, and waits until it failed: none of these tests comes further.
    async fn fails(&self, name: &str) {
        let request = SyncRequest {
            connection: ConnectionId::new("acme/unknown").unwrap(),
            timing: Timing::default(),
            known: Known::default(),
        };
        let options = WorkflowStartOptions::new(&self.config.task_queue, name).build();
        self.client.start_workflow(SyncConnection::run, request, options).await.unwrap();
        let handle = self.client.get_workflow_handle::<SyncConnection>(name);
        handle.get_result(WorkflowGetResultOptions::default()).await.unwrap_err();
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
    world.claim("default", &ScheduleClient::new(&world.client).cluster_id().await.unwrap()).await;

    let refused = world.refused().await;

    assert!(refused.contains("Health") && refused.contains("tidemark setup"), "{refused}");
}

#[tokio::test]
async fn a_worker_that_is_made_anew_goes_on() {
    let mut world = World::ready().await;
    // Each run has two activities: reading fails for want of a definition, and a note is left.
    world.config.renew_after = 2;
    let runs = async {
        for name in ["first", "second", "third"] {
            world.fails(name).await;
        }
    };
    let connectors = Arc::new(NoConnectors);
    run(world.config.clone(), world.client.clone(), connectors, runs).await.unwrap();
}

#[tokio::test]
async fn without_any_grace_an_idle_worker_ends_well() {
    let mut world = World::ready().await;
    world.config.grace_period = Duration::ZERO;
    let connectors = Arc::new(NoConnectors);
    run(world.config.clone(), world.client.clone(), connectors, world.fails("only")).await.unwrap();
}

/// The first line of what the operators' door says about the worker's health.
async fn health(door: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(door).await.ok()?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.lines().next().map(ToOwned::to_owned)
}

/// Asks until the answer holds `code`: the door opens, and the health changes, some time after
/// what causes it.
async fn wait_health(door: SocketAddr, code: &str) {
    while !health(door).await.is_some_and(|answer| answer.contains(code)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_worker_is_healthy_while_its_server_is_within_reach() {
    let mut world = World::ready().await;
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    world.config.ops_address = Some(free);
    world.config.heartbeat.interval = Duration::from_millis(200);
    world.config.heartbeat_timeout = Duration::from_secs(1);
    let (stop, stopped) = oneshot::channel();
    let (config, client) = (world.config.clone(), world.client.clone());
    let shutdown = async { stopped.await.unwrap() };
    let working = run(config, client, Arc::new(NoConnectors), shutdown);
    let story = async {
        wait_health(free, "200").await;
        world.server.stop().await;
        wait_health(free, "503").await;
        world.server.restart().await.unwrap();
        wait_health(free, "200").await;
        // It not only says so.
        world.fails("after the outage").await;
        stop.send(()).unwrap();
    };
    let (ended, ()) = tokio::join!(working, story);
    ended.unwrap();
}
