//! Where a row is measured: a Temporal server, a simulator in this process, a store on the disk, a
//! worker in another process, and the connections between them.

use std::{ffi::OsString, time::Duration};

use anyhow::{Context as _, ensure};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use tempfile::TempDir;
use temporalio_client::{
    Client, ClientOptions, ConnectionOptions, UntypedWorkflow, Url, WorkflowExecutionStatus,
    tonic::IntoRequest as _,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::ScheduleOverlapPolicy,
    schedule::v1::{SchedulePatch, TriggerImmediatelyRequest},
    workflowservice::v1::PatchScheduleRequest,
};
use tidemark_activities::setup;
use tidemark_devserver::TemporalServer;
use tidemark_engine::{
    definitions::{self, StoreIdentity, StoredDefinition},
    store::Store,
};
use tidemark_model::{
    definition::Definition,
    ids::ConnectionId,
    receipt::{Outcome, Receipt},
};
use tidemark_schedules::{
    Newest, Projection, ProjectionSettings, ScheduleClient, connect, standing,
};
use tidemark_simulator::{Seed, Simulator, World};
use tidemark_workflows::{health::Health, names};

use crate::{
    definition::{Plan, SOURCE_KEY, SOURCE_VARIABLE, Space},
    history::History,
    say,
    worker::Worker,
};

pub(crate) const NAMESPACE: &str = "default";
const TASK_QUEUE: &str = "bench";

/// How often it is looked whether a run has ended. Nothing is timed by these looks: the times are
/// those of the history's events.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Everything that a row needs. It ends with this value, the worker first.
pub(crate) struct Stage {
    worker: Option<Worker>,
    client: Client,
    store: Store,
    store_url: String,
    temporal: TemporalServer,
    simulator: Simulator,
    folder: TempDir,
}

/// A run of a connection that ended as it should.
pub(crate) struct Run {
    /// Just before the schedule was told to start it.
    pub(crate) triggered_at: Timestamp,
    pub(crate) history: History,
    pub(crate) receipt: Receipt,
}

impl Run {
    /// Seconds from the trigger to the run's last event.
    pub(crate) fn seconds(&self) -> anyhow::Result<f64> {
        Ok(self.history.closed_at()?.duration_since(self.triggered_at).as_secs_f64())
    }
}

impl Stage {
    /// Starts everything but the worker.
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("tidemark-bench-")?;
        let cli = tidemark_devserver::find(&|line| say(line)).await?;
        let temporal = TemporalServer::options(cli).namespace(NAMESPACE).start().await?;
        let address: Url = format!("http://{}", temporal.address()).parse()?;
        let client = connect::connect_to(
            ConnectionOptions::new(address).build(),
            ClientOptions::new(NAMESPACE).build(),
        )
        .await?;
        setup::ensure_search_attributes(&client).await?;

        let store_url = format!("file://{}/store", folder.path().display());
        let store = Store::make(&store_url)?;
        let cluster = ScheduleClient::new(&client).cluster_id().await?;
        let identity = StoreIdentity { namespace: NAMESPACE.to_owned(), cluster };
        definitions::claim(&store, &identity).await?;

        let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await?;
        let world = simulator.world();
        world.add_account(SOURCE_KEY);
        Space::ALL.iter().for_each(|space| world.add_destination(space.key()));
        Ok(Self { worker: None, client, store, store_url, temporal, simulator, folder })
    }

    /// Ends everything in good order.
    pub(crate) async fn close(mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
        self.temporal.stop().await;
        self.simulator.shutdown().await;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn world(&self) -> &World {
        self.simulator.world()
    }

    /// The simulator's address.
    pub(crate) fn url(&self) -> String {
        self.simulator.url()
    }

    pub(crate) fn temporal(&self) -> &TemporalServer {
        &self.temporal
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The worker.
    pub(crate) fn worker(&self) -> anyhow::Result<&Worker> {
        self.worker.as_ref().context("the worker was not started")
    }

    /// Starts the worker, with the defaults of production.
    pub(crate) fn start_worker(&mut self) -> anyhow::Result<()> {
        let folder = self.folder.path();
        let mut environment: Vec<(&str, OsString)> = vec![
            ("TEMPORAL_ADDRESS", format!("http://{}", self.temporal.address()).into()),
            ("TEMPORAL_NAMESPACE", NAMESPACE.into()),
            // A file that is not there, so that the one in the home folder is not read.
            ("TEMPORAL_CONFIG_FILE", folder.join("temporal.toml").into()),
            ("TIDEMARK_STORE", self.store_url.as_str().into()),
            ("TIDEMARK_TASK_QUEUE", TASK_QUEUE.into()),
            ("TIDEMARK_SPILL_FOLDER", folder.into()),
            ("TIDEMARK_LOG", "info,tidemark=debug".into()),
            // As the program sets it for itself.
            ("MIMALLOC_PURGE_DELAY", "0".into()),
            (SOURCE_VARIABLE, SOURCE_KEY.into()),
        ];
        std::fs::write(folder.join("temporal.toml"), "")?;
        environment.extend(Space::ALL.map(|space| (space.variable(), space.key().into())));
        self.worker = Some(Worker::start(folder, &environment)?);
        Ok(())
    }

    /// Kills the worker by SIGKILL.
    pub(crate) fn kill_worker(&mut self) -> anyhow::Result<()> {
        self.worker.take().context("the worker was not started")?.kill();
        Ok(())
    }

    /// A list with made-up members.
    pub(crate) fn fill(&self, list: &str, seed: &Seed) -> anyhow::Result<()> {
        self.world().add_list(SOURCE_KEY, list, "Bench")?;
        self.world().seed(list, seed)?;
        Ok(())
    }

    /// Stores a definition, as `apply` does.
    pub(crate) async fn define(&self, plan: &Plan<'_>) -> anyhow::Result<Definition> {
        let definition = plan.definition(&self.url())?;
        let now = Timestamp::now();
        let stored = StoredDefinition {
            version: 1,
            applied_at: now,
            definition: Some(definition.clone()),
            same_destination: false,
        };
        definitions::put(&self.store.connection(definition.id()), stored).await?;
        Ok(definition)
    }

    /// Stores a definition and makes its schedule, as `apply` does.
    pub(crate) async fn connect(&self, plan: &Plan<'_>) -> anyhow::Result<Definition> {
        let definition = self.define(plan).await?;
        let settings = ProjectionSettings {
            task_queue: TASK_QUEUE.to_owned(),
            ..ProjectionSettings::default()
        };
        let projection = Projection::new(&definition, 1, &settings);
        let standing =
            standing(&definition, Health::New, Newest::default(), Timestamp::now(), None);
        ScheduleClient::new(&self.client).create(&projection, &standing).await?;
        Ok(definition)
    }

    /// Lets the connection's schedule start a run, and waits for its end.
    ///
    /// The schedule is told by one patch and not looked at, so that whoever counts the calls to
    /// the server counts those of the run.
    pub(crate) async fn run(&self, connection: &ConnectionId) -> anyhow::Result<Run> {
        let triggered_at = self.trigger(connection).await?;
        self.finish(connection, triggered_at, Outcome::InStep).await
    }

    /// Waits for the end of the run that was [triggered](Self::trigger), which must be `outcome`.
    pub(crate) async fn finish(
        &self,
        connection: &ConnectionId,
        triggered_at: Timestamp,
        outcome: Outcome,
    ) -> anyhow::Result<Run> {
        let history = self.ended(connection, triggered_at).await?;
        let receipt = history.receipt(outcome).with_context(|| self.end_of_log())?;
        Ok(Run { triggered_at, history, receipt })
    }

    /// Tells the connection's schedule to start a run. Returns the instant just before it.
    pub(crate) async fn trigger(&self, connection: &ConnectionId) -> anyhow::Result<Timestamp> {
        let trigger = TriggerImmediatelyRequest {
            overlap_policy: ScheduleOverlapPolicy::BufferOne.into(),
            scheduled_time: None,
        };
        let request = PatchScheduleRequest {
            namespace: NAMESPACE.to_owned(),
            schedule_id: names::schedule_id(connection),
            patch: Some(SchedulePatch {
                trigger_immediately: Some(trigger),
                ..SchedulePatch::default()
            }),
            ..PatchScheduleRequest::default()
        };
        let mut service = self.client.connection().workflow_service();
        let triggered_at = Timestamp::now();
        service.patch_schedule(request.into_request()).await?;
        Ok(triggered_at)
    }

    /// The history of the run that was started after an instant, once it has ended.
    async fn ended(&self, connection: &ConnectionId, after: Timestamp) -> anyhow::Result<History> {
        let query = format!("ConnectionId = '{connection}' AND StartTime >= '{after}'");
        let workflow_id = loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let found: Vec<_> =
                self.client.list_workflows(&query, Default::default()).try_collect().await?;
            ensure!(found.len() <= 1, "more than one run of {connection} was started");
            if let Some(run) = found.first()
                && run.status() != WorkflowExecutionStatus::Running
            {
                break run.id().to_owned();
            }
        };
        let handle = self.client.get_workflow_handle::<UntypedWorkflow>(&workflow_id);
        Ok(History::new(handle.fetch_history(Default::default()).into_events().await?))
    }

    /// What the worker said last, for errors.
    fn end_of_log(&self) -> String {
        const LINES: usize = 12;
        let log = std::fs::read_to_string(self.folder.path().join("worker.log"));
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let skipped = lines.len().saturating_sub(LINES);
        let lines = lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n");
        format!("the worker's log ends with\n{lines}\nwhy")
    }
}
