//! Whether a worker takes work.

use async_trait::async_trait;
use tidemark_process::ops::Health;
use tokio_util::sync::CancellationToken;

use crate::reach::Reach;

/// A worker is healthy while it is not asked to stop, and Temporal is within reach.
#[derive(Clone)]
pub(crate) struct WorkerHealth {
    pub(crate) draining: CancellationToken,
    pub(crate) reach: Reach,
}

#[async_trait]
impl Health for WorkerHealth {
    async fn trouble(&self) -> Option<String> {
        if self.draining.is_cancelled() {
            return Some("draining".to_owned());
        }
        let silence = self.reach.silent_for()?;
        Some(format!("temporal has not answered for {} s", silence.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::{
        body::Body,
        http::{Request, StatusCode},
    };
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tidemark_process::ops::app;
    use tower::ServiceExt as _;

    use super::*;
    use crate::reach::observe;

    async fn status(draining: &CancellationToken, reach: &Reach, path: &str) -> StatusCode {
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let health = WorkerHealth { draining: draining.clone(), reach: reach.clone() };
        let request = Request::get(path).body(Body::empty()).unwrap();
        app(Arc::new(health), metrics).oneshot(request).await.unwrap().status()
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
