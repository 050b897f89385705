//! The process: pass after pass, until it is asked to stop.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use temporalio_client::{ClientOptions, ConnectionOptions};
use tidemark_engine::{definitions, store::Store};
use tidemark_model::{ids::ConnectionId, secret::SecretLookup};
use tidemark_process::ops;
use tidemark_schedules::Links;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    config::MonitorConfig,
    dead_man::DeadMan,
    health::MonitorHealth,
    identity::{Identity, PassError},
    measure, mutes,
    pass::{Monitor, Passed},
    rules::Settings,
    see::Eyes,
    sinks::{Link, Sinks},
    temporal::Way,
};

/// Mutes that have ended are forgotten so often.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// Where the monitor finds Temporal.
pub struct Temporal {
    pub connection: ConnectionOptions,
    pub client: ClientOptions,
}

/// The sinks of a configuration, with links into the Web UI if it says where that is.
///
/// # Errors
/// A secret that is not at hand or cannot be used.
pub fn sinks(
    config: &MonitorConfig,
    namespace: &str,
    secrets: &dyn SecretLookup,
) -> anyhow::Result<Sinks> {
    let links = Links::new(config.web_ui.clone(), namespace);
    let link: Link = Arc::new(move |connection: &ConnectionId| links.schedule(connection));
    Sinks::connect(&config.sinks, secrets, Some(&link))
        .context("the sinks of the file that --config names cannot be used")
}

/// Watches until `shutdown`; `open` is told where /healthz is, once the first pass may begin. Must be
/// called after the process's TLS provider was installed.
///
/// # Errors
/// The store is not that of the namespace, an address cannot be listened on, or a secret is not at
/// hand. Afterwards nothing ends the monitor but `shutdown`.
pub async fn run(
    config: &MonitorConfig,
    temporal: Temporal,
    secrets: &dyn SecretLookup,
    open: impl FnOnce(Option<SocketAddr>),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let store = Store::open(&config.store).context("the store cannot be opened")?;
    let namespace = temporal.client.namespace.clone();
    let claim = definitions::verify(&store, &namespace)
        .await
        .context("run `tidemark setup`, or set TIDEMARK_STORE to the right store")?;
    let sinks = sinks(config, &namespace, secrets)?;
    let dead_man = match &config.dead_man {
        Some(place) => {
            let url = place.resolve(secrets).context("the dead-man's address cannot be used")?;
            Some(Arc::new(DeadMan::new(url).context("the HTTP client cannot be set up")?))
        }
        None => None,
    };
    let health = MonitorHealth::new(CancellationToken::new());
    let (ops, _done) = serve_ops(config, &health).await?;
    let way = Way::new(temporal.connection, temporal.client, store.clone());
    let eyes = Eyes::new(way, config.projection.clone(), config.looks_per_second);
    let settings = Settings {
        skew: config.clock_skew,
        remind_every: config.remind_every,
        ..Settings::default()
    };
    let identity = Identity::new(store.clone(), claim);
    let monitor = Monitor::new(identity, eyes, sinks, settings);
    tracing::info!(
        store = store.url(),
        namespace,
        task_queue = config.projection.task_queue,
        sinks = config.sinks.len(),
        "monitor starts"
    );
    open(ops);
    let monitor = watch(monitor, config, &store, &health, dead_man, shutdown).await;
    monitor.close().await.context("what was sent last could not be written down")?;
    tracing::info!("monitor ends");
    Ok(())
}

/// Passes until `shutdown`. A pass that is under way is brought to its end.
async fn watch(
    mut monitor: Monitor,
    config: &MonitorConfig,
    store: &Store,
    health: &MonitorHealth,
    dead_man: Option<Arc<DeadMan>>,
    shutdown: impl Future<Output = ()>,
) -> Monitor {
    let mut shutdown = pin!(shutdown);
    let mut ticks = interval(config.pass_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tidied_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            _ = ticks.tick() => {}
        }
        let begun_at = Instant::now();
        let passed = monitor.pass().await;
        note(&passed, health, begun_at.elapsed());
        // One that is slower than the other time and again is at work all the same.
        if let (Ok(Passed::Complete | Passed::Overtaken), Some(dead_man)) = (&passed, &dead_man) {
            let dead_man = Arc::clone(dead_man);
            tokio::spawn(async move { dead_man.ping().await });
        }
        if passed.is_ok() && tidied_at.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
            tidied_at = Some(Instant::now());
            if let Err(error) = mutes::forget_ended(store, Timestamp::now()).await {
                tracing::warn!(%error, "mutes that have ended cannot be deleted");
            }
        }
    }
    health.stopping.cancel();
    monitor
}

fn note(passed: &Result<Passed, PassError>, health: &MonitorHealth, after: Duration) {
    let result = match passed {
        Ok(Passed::Complete) => "complete",
        Ok(Passed::Blind) => "blind",
        Ok(Passed::Overtaken) => "overtaken",
        Err(error) => {
            tracing::error!(%error, "the store does not answer: nobody can be told anything");
            "failed"
        }
    };
    tracing::debug!(result, ?after, "pass");
    measure::passed(result, after);
    health.passed(passed.as_ref().err().map(|error| format!("the store: {error}")));
}

/// Serves the operators' door, if there is one.
async fn serve_ops(
    config: &MonitorConfig,
    health: &MonitorHealth,
) -> anyhow::Result<(Option<SocketAddr>, DropGuard)> {
    let done = CancellationToken::new();
    let mut at = None;
    if let Some(address) = config.ops_address {
        let metrics = tidemark_process::recorder(measure::describe)?;
        at = Some(ops::serve(address, Arc::new(health.clone()), metrics, done.clone()).await?);
    }
    Ok((at, done.drop_guard()))
}
