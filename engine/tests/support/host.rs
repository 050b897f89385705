//! A workflow run, as the engine sees it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tidemark_engine::port::{Clock, Host, Stop};
use tidemark_model::{entry::Owner, progress::Progress};
use tokio::sync::watch;

use super::clock::TestClock;

/// The run ids that Temporal would call open.
pub(crate) type OpenRuns = Arc<Mutex<BTreeSet<String>>>;

pub(crate) struct TestHost {
    clock: Arc<TestClock>,
    owner: Owner,
    open: OpenRuns,
    stop: watch::Sender<Option<Stop>>,
    pub(crate) progress: Mutex<Vec<Progress>>,
}

impl TestHost {
    /// A run that is open until [`close`](Self::close).
    pub(crate) fn new(clock: Arc<TestClock>, run_id: &str, open: OpenRuns) -> Self {
        open.lock().unwrap().insert(run_id.to_owned());
        let owner = Owner {
            namespace: "default".to_owned(),
            workflow_id: format!("sync/acme/newsletter-{run_id}"),
            run_id: run_id.to_owned(),
        };
        Self { clock, owner, open, stop: watch::channel(None).0, progress: Mutex::default() }
    }

    pub(crate) fn close(&self) {
        self.open.lock().unwrap().remove(&self.owner.run_id);
    }

    pub(crate) fn stop_with(&self, stop: Option<Stop>) {
        self.stop.send_replace(stop);
    }
}

#[async_trait]
impl Host for TestHost {
    fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        stop.wait_for(Option::is_some).await.unwrap();
    }

    fn report(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }

    async fn is_open(&self, owner: &Owner) -> bool {
        self.open.lock().unwrap().contains(&owner.run_id)
    }
}
