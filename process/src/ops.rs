//! The operators' door: `/healthz` and `/metrics`.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use async_trait::async_trait;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Whether a role does its work.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// Why it does not, in a few words; `None` while it does.
    async fn trouble(&self) -> Option<String>;
}

/// What the answers depend on.
#[derive(Clone)]
struct Ops {
    health: Arc<dyn Health>,
    metrics: PrometheusHandle,
}

/// The routes, apart from the port that they are served on.
pub fn app(health: Arc<dyn Health>, metrics: PrometheusHandle) -> Router {
    let ops = Ops { health, metrics };
    Router::new().route("/healthz", get(healthz)).route("/metrics", get(rendered)).with_state(ops)
}

/// 200 while it does its work.
async fn healthz(State(ops): State<Ops>) -> (StatusCode, String) {
    match ops.health.trouble().await {
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble + "\n"),
        None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

async fn rendered(State(ops): State<Ops>) -> String {
    ops.metrics.render()
}

/// Serves until `done`. Says where: port 0 takes a free one.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    health: Arc<dyn Health>,
    metrics: PrometheusHandle,
    done: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on for /healthz and /metrics"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving /healthz and /metrics");
    let app = app(health, metrics);
    let served = axum::serve(listener, app).with_graceful_shutdown(done.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "/healthz and /metrics are no longer served");
        }
    });
    Ok(address)
}
