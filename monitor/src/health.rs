//! Whether the monitor does its work.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tidemark_process::ops::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Without a pass for so long it does not.
const PATIENCE: Duration = Duration::from_mins(3);

/// The last pass, as the operators' door shows it. A monitor that cannot reach Temporal does its
/// work, which is to say so.
#[derive(Clone)]
pub(crate) struct MonitorHealth {
    pub(crate) stopping: CancellationToken,
    last: Arc<Mutex<Last>>,
}

struct Last {
    passed_at: Instant,
    trouble: Option<String>,
}

impl MonitorHealth {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        let last = Last { passed_at: Instant::now(), trouble: None };
        Self { stopping, last: Arc::new(Mutex::new(last)) }
    }

    /// Notes a pass, and why it came to nothing, if it did.
    pub(crate) fn passed(&self, trouble: Option<String>) {
        let passed_at = Instant::now();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Last { passed_at, trouble };
    }
}

#[async_trait]
impl Health for MonitorHealth {
    async fn trouble(&self) -> Option<String> {
        if self.stopping.is_cancelled() {
            return Some("stopping".to_owned());
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.passed_at.elapsed() > PATIENCE {
            return Some(format!("no pass for {} s", last.passed_at.elapsed().as_secs()));
        }
        last.trouble.clone()
    }
}
