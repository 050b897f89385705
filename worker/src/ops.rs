//! The operators' door: `/healthz` and `/metrics`.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::reach::Reach;

/// What the answers depend on.
#[derive(Clone)]
pub(crate) struct Ops {
    pub(crate) draining: CancellationToken,
    pub(crate) reach: Reach,
    pub(crate) metrics: PrometheusHandle,
}

/// The routes, apart from the port that they are served on.
pub(crate) fn app(ops: Ops) -> Router {
    Router::new().route("/healthz", get(health)).route("/metrics", get(metrics)).with_state(ops)
}

/// 200 while it takes work: it is not asked to stop, and Temporal is within reach.
async fn health(State(ops): State<Ops>) -> (StatusCode, String) {
    let unhealthy = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text);
    if ops.draining.is_cancelled() {
        return unhealthy("draining\n".to_owned());
    }
    match ops.reach.silent_for() {
        Some(silence) => {
            unhealthy(format!("temporal has not answered for {} s\n", silence.as_secs()))
        }
        None => (StatusCode::OK, "ok\n".to_owned()),
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
    use std::time::Duration;

    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt as _;

    use super::*;
    use crate::reach::observe;

    async fn status(draining: &CancellationToken, reach: &Reach, path: &str) -> StatusCode {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let ops = Ops { draining: draining.clone(), reach: reach.clone(), metrics };
        let request = Request::get(path).body(Body::empty()).unwrap();
        app(ops).oneshot(request).await.unwrap().status()
    }

    /// One that nobody answers any more.
    fn reach(patience: Duration) -> Reach {
        observe(patience, patience, std::future::pending).0
    }

    #[tokio::test]
    async fn a_worker_that_drains_is_not_healthy() {
        let (draining, reach) = (CancellationToken::new(), reach(Duration::from_secs(20)));
        assert_eq!(status(&draining, &reach, "/healthz").await, StatusCode::OK);
        draining.cancel();
        assert_eq!(status(&draining, &reach, "/healthz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&draining, &reach, "/metrics").await, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_without_its_server_is_not_healthy() {
        let (draining, reach) = (CancellationToken::new(), reach(Duration::from_secs(20)));
        tokio::time::advance(Duration::from_secs(19)).await;
        assert_eq!(status(&draining, &reach, "/healthz").await, StatusCode::OK);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(status(&draining, &reach, "/healthz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&draining, &reach, "/metrics").await, StatusCode::OK);
    }
}
