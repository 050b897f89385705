//! Time that moves only when a test or a short sleep moves it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_engine::port::Clock;

/// 2026-01-01 00:00 UTC.
const BEGIN: i64 = 1_767_225_600;

#[derive(Debug)]
pub(crate) struct TestClock {
    milliseconds: AtomicI64,
}

impl Default for TestClock {
    fn default() -> Self {
        Self { milliseconds: AtomicI64::new(BEGIN * 1_000) }
    }
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.milliseconds.fetch_add(by, Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.milliseconds.load(Ordering::SeqCst) / 1_000
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.milliseconds.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        let milliseconds = self.milliseconds.load(Ordering::SeqCst);
        Duration::from_millis(u64::try_from(milliseconds).unwrap())
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(duration);
        tokio::task::yield_now().await;
    }
}
