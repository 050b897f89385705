//! Whether the gateway can answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tidemark_engine::definitions;
use tidemark_process::ops::Health;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::serve::Gateway;

/// A store that is silent for longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// It is healthy while it is not asked to stop, and the store answers.
pub(crate) struct GatewayHealth {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) stopping: CancellationToken,
}

#[async_trait]
impl Health for GatewayHealth {
    async fn trouble(&self) -> Option<String> {
        if self.stopping.is_cancelled() {
            return Some("stopping".to_owned());
        }
        match timeout(PATIENCE, definitions::is_claimed(self.gateway.looks.store())).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => Some("the store is not set up, or is gone".to_owned()),
            Ok(Err(_)) => Some("the store cannot be read".to_owned()),
            Err(_) => Some(format!("the store has not answered for {} s", PATIENCE.as_secs())),
        }
    }
}
