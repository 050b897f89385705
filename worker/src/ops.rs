//! The operators' door: `/healthz` and `/metrics`.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the answers depend on.
#[derive(Clone)]
pub(crate) struct Ops {
    pub(crate) draining: CancellationToken,
    pub(crate) metrics: PrometheusHandle,
}

/// The routes, apart from the port that they are served on.
pub(crate) fn app(ops: Ops) -> Router {
    Router::new().route("/healthz", get(health)).route("/metrics", get(metrics)).with_state(ops)
}

/// 200 while it takes work. A server that cannot be reached is no reason to restart a worker, so
/// it is not looked at here.
async fn health(State(ops): State<Ops>) -> (StatusCode, &'static str) {
    if ops.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn metrics(State(ops): State<Ops>) -> String {
    ops.metrics.render()
}

/// Serves until `done`.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) async fn serve(
    address: SocketAddr,
    ops: Ops,
    done: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on for /healthz and /metrics"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving /healthz and /metrics");
    let served = axum::serve(listener, app(ops)).with_graceful_shutdown(done.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::error!(%error, "/healthz and /metrics are no longer served");
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(draining: &CancellationToken, path: &str) -> StatusCode {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let ops = Ops { draining: draining.clone(), metrics };
        let request = Request::get(path).body(Body::empty()).unwrap();
        app(ops).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_worker_that_drains_is_not_healthy() {
        let draining = CancellationToken::new();
        assert_eq!(status(&draining, "/healthz").await, StatusCode::OK);
        draining.cancel();
        assert_eq!(status(&draining, "/healthz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&draining, "/metrics").await, StatusCode::OK);
    }
}
