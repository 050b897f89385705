//! Logs and metrics of the process, set up once.

use std::sync::OnceLock;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tidemark_activities::measure;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, WorkerConfig};

/// Begins to write log lines to stderr. The lines of a run carry its connection and its run id.
///
/// # Errors
/// A filter that cannot be read, or a process whose log lines go somewhere else already.
pub fn init(config: &WorkerConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("`{}` is not a filter for log lines", config.log))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("log lines cannot be written: {error}"))
}

/// The process's recorder of metrics. There can be one, however many workers run in a process.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The recorder, installed when it is first asked for.
pub(crate) fn metrics() -> anyhow::Result<PrometheusHandle> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .context("metrics cannot be recorded, something else in this process does it")?;
    measure::describe();
    Ok(RECORDER.get_or_init(|| handle).clone())
}
