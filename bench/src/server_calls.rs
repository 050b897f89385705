//! How often a Temporal server was called, by its own count.
//!
//! The development server counts the requests to its front end by operation. It passes its counts
//! on once a second, so whoever reads them waits a little first.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use tidemark_devserver::TemporalServer;

use crate::process;

/// Longer than the server keeps its counts to itself.
const SETTLE: Duration = Duration::from_secs(3);

/// The counts of one server.
pub(crate) struct ServerCalls {
    url: String,
    http: reqwest::Client,
}

/// Requests since the server's start, by operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

impl ServerCalls {
    /// The server was given the port of its counts on its command line.
    pub(crate) fn of(server: &TemporalServer) -> anyhow::Result<Self> {
        let pid = server.pid().context("the Temporal server does not run")?;
        let words = process::command_line(pid)?;
        let port = words
            .iter()
            .skip_while(|word| *word != "--metrics-port")
            .nth(1)
            .context("the Temporal server was started without a port for its metrics")?;
        Ok(Self { url: format!("http://127.0.0.1:{port}/metrics"), http: reqwest::Client::new() })
    }

    /// The counts, once they have settled.
    pub(crate) async fn read(&self) -> anyhow::Result<Counts> {
        tokio::time::sleep(SETTLE).await;
        let text = self.http.get(&self.url).send().await?.error_for_status()?.text().await?;
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("service_requests{")) {
            let Some((labels, value)) = line.rsplit_once(' ') else { continue };
            // The server's own workflows live in a namespace of their own.
            if label(labels, "service_name") != Some("frontend")
                || label(labels, "namespace") == Some("temporal_system")
            {
                continue;
            }
            let Some(operation) = label(labels, "operation") else { continue };
            *counts.entry(operation.to_owned()).or_default() += value.parse::<u64>().unwrap_or(0);
        }
        Ok(Counts(counts))
    }
}

impl Counts {
    /// Requests of these operations since an earlier count.
    pub(crate) fn since(&self, before: &Self, operations: &[&str]) -> u64 {
        let of = |counts: &Self, name: &str| counts.0.get(name).copied().unwrap_or(0);
        operations.iter().map(|name| of(self, name).saturating_sub(of(before, name))).sum()
    }
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}
