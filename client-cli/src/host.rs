//! This process as the one who runs a step of the engine: no worker, no workflow.

use async_trait::async_trait;
use tidemark_activities::is_open;
use tidemark_engine::port::{Clock, Host, Stop, SystemClock};
use tidemark_model::entry::Owner;
use tidemark_model::ids::ConnectionId;
use tidemark_model::progress::Progress;
use tokio::sync::watch;
use uuid::Uuid;

use crate::error::Error;
use crate::run::progress_sentence;
use crate::session::{self, Session};
use crate::ui::progress::Bar;

/// Runs a step until it is done or Ctrl-C is pressed.
pub(crate) struct LocalHost<'s> {
    session: &'s Session,
    clock: SystemClock,
    owner: Owner,
    bar: Bar,
    stopped: watch::Receiver<bool>,
}

impl<'s> LocalHost<'s> {
    /// A host that owns no other run. `purpose` names what it is there for.
    ///
    /// # Errors
    /// Temporal's settings cannot be used.
    pub(crate) fn new(
        session: &'s Session,
        connection: &ConnectionId,
        purpose: &str,
        bar: Bar,
    ) -> Result<Self, Error> {
        let (_, client) = session::settings()?;
        let run_id = format!("{purpose}-{}", Uuid::now_v7());
        let owner = Owner {
            namespace: client.namespace,
            workflow_id: format!("{purpose}/{connection}"),
            run_id,
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                // Nobody may be listening any more: then there is nothing to stop.
                stop.send_replace(true);
            }
        });
        Ok(Self { session, clock: SystemClock::default(), owner, bar, stopped })
    }

    /// Takes the progress away.
    pub(crate) fn finish(&self) {
        self.bar.finish();
    }
}

#[async_trait]
impl Host for LocalHost<'_> {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn stop(&self) -> Option<Stop> {
        self.stopped.borrow().then_some(Stop::Cancelled)
    }

    async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            // No signal can be listened to, so none comes.
            std::future::pending().await
        }
    }

    fn report(&self, progress: Progress) {
        let sentence = progress_sentence(progress.stage.as_str(), &progress, self.clock.now());
        self.bar.show(Some(progress.stage), Some(&progress), &sentence);
    }

    async fn is_open(&self, owner: &Owner) -> bool {
        match self.session.temporal().await {
            Ok(temporal) => is_open(temporal.client.connection(), owner).await,
            Err(_) => true,
        }
    }
}
