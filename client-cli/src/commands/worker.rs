//! `worker`: run workflows and activities until it is asked to stop.

use std::sync::Arc;

use tidemark_connectors::{HttpConnectors, ProcessSecrets};
use tidemark_schedules::connect::connect;
use tidemark_worker::{WorkerConfig, WorkerFlags};

use crate::error::Error;
use crate::exit::Exit;

/// Run syncs until SIGTERM or Ctrl-C
///
/// Every worker can do every step; start as many as there is work. On SIGTERM it takes no more
/// work, lets each step reach its next durable page or batch, and ends within its grace period;
/// other workers go on from there. Flags win over variables, variables over the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: WorkerFlags,
}

impl Args {
    pub(crate) async fn run(self) -> Result<Exit, Error> {
        let config = WorkerConfig::from_process(&self.flags)?;
        tidemark_process::init_logs(&config.log, config.log_format)?;
        let shutdown = tidemark_process::stop_signal().map_err(Error::Runtime)?;
        let connectors = Arc::new(HttpConnectors::new(ProcessSecrets::capture())?);
        let client = connect().await?;
        tidemark_worker::run(config, client, connectors, shutdown).await?;
        Ok(Exit::Ok)
    }
}
