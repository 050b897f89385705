//! Connect, check, register, run, drain.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use temporalio_client::{Client, NamespacedClient as _};
use temporalio_sdk::{
    Runtime, Worker, WorkerOptions,
    runtime::{
        RuntimeOptions,
        worker_tuner::{FixedSizeSlotSupplier, TunerHolder, WorkerTuner},
    },
};
use tidemark_activities::{
    COMPARISONS_AT_ONCE, CheckActivities, Drain, Publisher, SyncActivities, measure, setup,
    sweep::SweepActivities,
};
use tidemark_engine::{
    definitions,
    diff::MemoryBudget,
    port::Connectors,
    run::{Engine, Settings},
    store::Store,
};
use tidemark_process::ops;
use tidemark_schedules::ScheduleClient;
use tidemark_workflows::{check::CheckConnection, sweep::SweepStore, sync::SyncConnection};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{config::WorkerConfig, health::WorkerHealth, reach};

/// Workflow tasks at once. They take milliseconds.
const WORKFLOW_SLOTS: usize = 100;

/// The SDK needs some time to end its polls, also if no step is at work.
const SHORTEST_GRACE: Duration = Duration::from_secs(2);

/// The grace period is over, and steps are still at work. Whoever sees this ends the process at
/// once: other workers go on from the last durable page or batch of each.
#[derive(Debug, thiserror::Error)]
#[error("steps were still at work {0:?} after the worker was asked to stop")]
pub struct GraceExceeded(pub Duration);

/// Runs a worker until `shutdown`. Its future stays on one thread: workflows are not `Send`.
///
/// # Errors
/// Whatever keeps it from starting, with the next command; [`GraceExceeded`].
pub async fn run(
    config: WorkerConfig,
    client: Client,
    connectors: Arc<dyn Connectors>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let store = open_store(&config, &client).await?;
    let draining = CancellationToken::new();
    let _ops = serve_ops(&config, &client, &draining).await?;
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default())
        .context("the SDK's runtime cannot be set up")?;
    let bench = Bench { config, client, connectors, store, draining };

    tracing::info!(
        namespace = bench.client.namespace(),
        task_queue = bench.config.task_queue,
        store = bench.store.url(),
        max_activities = bench.config.max_activities,
        "worker starts"
    );
    let mut shutdown = pin!(shutdown);
    while bench.shift(&runtime, shutdown.as_mut()).await? == Shift::Over {
        tracing::info!("the SDK's worker is made anew");
    }
    tracing::info!("worker ends, nothing is left behind");
    Ok(())
}

/// Opens the store, and refuses one that belongs to another namespace or cluster.
async fn open_store(config: &WorkerConfig, client: &Client) -> anyhow::Result<Store> {
    const SETUP: &str = "run `tidemark setup`, or set TIDEMARK_STORE to the right store";
    let store = Store::open(&config.store).context("the store cannot be opened")?;
    let claim = definitions::verify(&store, &client.namespace()).await.context(SETUP)?;
    let cluster = ScheduleClient::new(client).cluster_id().await?;
    if claim.identity.cluster != cluster {
        bail!(
            "the store at {} belongs to the Temporal cluster {}, and this is {cluster}: {SETUP}",
            store.url(),
            claim.identity.cluster,
        );
    }
    let missing = setup::missing_search_attributes(client).await?;
    if !missing.is_empty() {
        bail!(
            "the namespace {} lacks the search attributes {}: run `tidemark setup`",
            client.namespace(),
            missing.join(", ")
        );
    }
    Ok(store)
}

/// Serves the operators' door, if there is one. A worker that reached no server for as long as a
/// step may be without a sign of life has lost all its steps, and is not healthy.
async fn serve_ops(
    config: &WorkerConfig,
    client: &Client,
    draining: &CancellationToken,
) -> anyhow::Result<DropGuard> {
    let done = CancellationToken::new();
    if let Some(address) = config.ops_address {
        let (interval, client) = (config.heartbeat.interval, client.clone());
        let ask = move || reach::ask(client.clone(), interval);
        let (reach, asking) = reach::observe(interval, config.heartbeat_timeout, ask);
        let health = Arc::new(WorkerHealth { draining: draining.clone(), reach });
        let metrics = tidemark_process::recorder(measure::describe)?;
        ops::serve(address, health, metrics, done.clone()).await?;
        tokio::spawn(done.clone().run_until_cancelled_owned(asking));
    }
    Ok(done.drop_guard())
}

/// What every worker of the SDK is made from.
struct Bench {
    config: WorkerConfig,
    client: Client,
    connectors: Arc<dyn Connectors>,
    store: Store,
    /// Cancelled when the process is asked to stop.
    draining: CancellationToken,
}

/// Why a worker of the SDK ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    /// It has done its number of activities.
    Over,
    /// The process is asked to stop.
    Closing,
}

impl Bench {
    /// One worker of the SDK, from its start until it has ended in good order.
    async fn shift(
        &self,
        runtime: &Runtime,
        mut shutdown: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> anyhow::Result<Shift> {
        let drain = Drain::new(self.draining.child_token());
        let begun_count = watch::Sender::new(0);
        let mut counted = begun_count.subscribe();
        let mut worker = self.worker(runtime, drain.clone(), begun_count)?;
        let stop_polling = worker.shutdown_handle();
        let mut running = pin!(worker.run());
        let mut reason = tokio::select! {
            ended = &mut running => {
                ended.context("the SDK's worker ended by itself")?;
                bail!("the SDK's worker ended without being asked");
            }
            () = shutdown.as_mut() => Shift::Closing,
            _ = counted.wait_for(|count| *count >= self.config.renew_after) => Shift::Over,
        };
        // First the flag, then the polls: a step that begins between the two ends at once.
        match reason {
            Shift::Closing => self.draining.cancel(),
            Shift::Over => drain.asked.cancel(),
        }
        stop_polling();
        let grace = self.config.grace_period.max(SHORTEST_GRACE);
        let mut deadline = Instant::now() + grace;
        loop {
            tokio::select! {
                ended = &mut running => {
                    ended.context("the SDK's worker did not end well")?;
                    return Ok(reason);
                }
                () = shutdown.as_mut(), if reason == Shift::Over => {
                    self.draining.cancel();
                    (reason, deadline) = (Shift::Closing, Instant::now() + grace);
                }
                () = tokio::time::sleep_until(deadline),
                    if reason == Shift::Closing || !drain.over.is_cancelled() =>
                {
                    // Whoever ends the process needs no answer from its steps. Otherwise they
                    // are given up as by a crash, and begun again by the next worker.
                    if reason == Shift::Closing {
                        return Err(GraceExceeded(grace).into());
                    }
                    tracing::warn!(?grace, "steps are still at work, and are given up");
                    drain.over.cancel();
                }
            }
        }
    }

    fn worker(
        &self,
        runtime: &Runtime,
        drain: Drain,
        begun_count: watch::Sender<u64>,
    ) -> anyhow::Result<Worker> {
        let publisher = Publisher::new(
            ScheduleClient::new(&self.client),
            self.store.clone(),
            self.config.projection(),
        );
        let engine = Engine::new(self.store.clone(), Arc::clone(&self.connectors), self.settings());
        let sweeping = SweepActivities::new(
            self.store.clone(),
            self.config.heartbeat.interval,
            drain.asked.clone(),
        );
        let activities =
            SyncActivities::new(engine, publisher, self.config.heartbeat, drain, begun_count);
        let tuner = TunerHolder::builder()
            .workflow_task_slot_supplier(FixedSizeSlotSupplier::new(WORKFLOW_SLOTS))
            .activity_task_slot_supplier(FixedSizeSlotSupplier::new(self.config.max_activities))
            // Neither is used; each must have one.
            .local_activity_task_slot_supplier(FixedSizeSlotSupplier::new(1))
            .nexus_task_slot_supplier(FixedSizeSlotSupplier::new(1))
            .build();
        let options = WorkerOptions::new(&self.config.task_queue)
            .tuner(WorkerTuner::from(tuner))
            .register_workflow::<SyncConnection>()
            .and_then(|options| options.register_workflow::<SweepStore>())
            .and_then(|options| options.register_workflow::<CheckConnection>())
            .context("the workflows cannot be registered")?
            .register_activities(activities)
            .register_activities(sweeping)
            .register_activities(CheckActivities::new(Arc::clone(&self.connectors)))
            .build();
        Worker::new(runtime, self.client.clone(), options)
            .context("the SDK's worker cannot be made")
    }

    fn settings(&self) -> Settings {
        Settings {
            memory_budget: MemoryBudget(
                self.config.memory_budget.0 / u64::from(COMPARISONS_AT_ONCE),
            ),
            spill_folder: self.config.spill_folder.clone(),
            fence: self.config.fence,
            ..Settings::default()
        }
    }
}
