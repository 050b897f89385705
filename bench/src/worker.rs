//! The worker as a process of its own, as it is in production.

use std::{ffi::OsString, fs::File, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tidemark_connectors::{HttpConnectors, ProcessSecrets};
use tidemark_devserver::GuardedProcess;
use tidemark_schedules::connect;
use tidemark_worker::{WorkerConfig, WorkerFlags};

use crate::process;

/// A worker has so long to end in good order.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The process's role: a worker that its environment configures, until SIGTERM.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let config = WorkerConfig::from_process(&WorkerFlags::default())?;
    tidemark_process::init_logs(&config.log, config.log_format)?;
    let shutdown = tidemark_process::stop_signal()?;
    let connectors = Arc::new(HttpConnectors::new(ProcessSecrets::capture())?);
    let client = connect::connect().await?;
    Box::pin(tidemark_worker::run(config, client, connectors, shutdown)).await
}

/// A running worker. It ends with this value, and with this process.
pub(crate) struct Worker(GuardedProcess);

impl Worker {
    /// Starts one; its log goes into `folder`.
    pub(crate) fn start(folder: &Path, environment: &[(&str, OsString)]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program has no path")?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("worker.log"))
            .context("the worker's log cannot be opened")?;
        let process = GuardedProcess::spawn(&program, &["worker".into()], environment, log, None)
            .context("the worker cannot be started")?;
        Ok(Self(process))
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        process::peak_memory(self.0.pid())
    }

    /// Seconds of CPU that it has used so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        process::cpu_seconds(self.0.pid())
    }

    pub(crate) async fn stop(self) {
        self.0.stop(STOP_GRACE).await;
    }

    /// By SIGKILL.
    pub(crate) fn kill(self) {
        drop(self.0);
    }
}
