//! Logs and metrics of the process, set up once.

use std::{
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither `text` nor `json`"),
        }
    }
}

/// Begins to write log lines to stderr.
///
/// # Errors
/// A filter that cannot be read, or a process whose log lines go somewhere else already.
pub fn init_logs(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let parsed = EnvFilter::try_new(filter)
        .with_context(|| format!("`{filter}` is not a filter for log lines"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("log lines cannot be written: {error}"))
}

/// The process's recorder of metrics. There can be one, however many roles run in a process.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The recorder, installed when it is first asked for; `describe` says then what its metrics mean.
///
/// # Errors
/// Something else in the process records metrics.
pub fn recorder(describe: impl FnOnce()) -> anyhow::Result<PrometheusHandle> {
    // Roles that start at the same time wait for the one that installs it.
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .context("metrics cannot be recorded, something else in this process does it")?;
    describe();
    *recorder = Some(handle.clone());
    Ok(handle)
}
