//! Who runs a step in a test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tidemark_engine::port::{Clock, Host, Stop};
use tidemark_model::{entry::Owner, progress::Progress};
use tokio::sync::watch;

/// Tells the second and lets seconds pass: a clock of the system under test.
pub trait Seconds: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn now(&self) -> i64;

    /// Lets time pass.
    fn advance(&self, seconds: i64);
}

/// Runs a step on a clock that the test owns: sleeping lets its seconds pass at once.
pub struct TestHost {
    clock: TestClock,
    owner: Owner,
    stop: watch::Sender<Option<Stop>>,
}

struct TestClock {
    seconds: Arc<dyn Seconds>,
    began_at: i64,
    started: Instant,
    /// No two looks at the clock are the same, as on a real one.
    looks: AtomicI32,
}

impl TestHost {
    #[must_use]
    pub fn new(seconds: Arc<dyn Seconds>) -> Self {
        let owner = Owner {
            namespace: "test".to_owned(),
            workflow_id: "sync/test".to_owned(),
            run_id: "run".to_owned(),
        };
        let clock = TestClock {
            began_at: seconds.now(),
            seconds,
            started: Instant::now(),
            looks: AtomicI32::new(0),
        };
        Self { clock, owner, stop: watch::Sender::new(None) }
    }

    /// From now on the step must end, or may go on.
    pub fn set_stop(&self, stop: Option<Stop>) {
        self.stop.send_replace(stop);
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: i64) {
        self.clock.seconds.advance(seconds);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let nanos = self.looks.fetch_add(1, Ordering::SeqCst).min(999_999_999);
        let second = Timestamp::from_second(self.seconds.now()).unwrap_or(Timestamp::MIN);
        second.checked_add(SignedDuration::new(0, nanos)).unwrap_or(second)
    }

    /// As much time as passed on both clocks: a request during which the system's clock was moved
    /// took as long.
    fn monotonic(&self) -> Duration {
        let moved = self.seconds.now().saturating_sub(self.began_at);
        self.started.elapsed() + Duration::from_secs(u64::try_from(moved).unwrap_or(0))
    }

    async fn sleep(&self, duration: Duration) {
        self.seconds.advance(i64::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(5));
    }
}

#[async_trait]
impl Host for TestHost {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        stop.wait_for(Option::is_some).await.expect("the host is there");
    }

    fn report(&self, _progress: Progress) {}

    async fn is_open(&self, _owner: &Owner) -> bool {
        false
    }
}
