//! Waiting for something to happen without sleeping: whoever changes state rings, whoever waits looks again.

use tokio::sync::watch;

pub(crate) struct Bell(watch::Sender<()>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(crate) fn ring(&self) {
        self.0.send_replace(());
    }

    /// Returns once `done` holds. It is looked at now and after each ring; a ring between the look
    /// and the wait is not lost, because the subscription is older than both.
    pub(crate) async fn until(&self, mut done: impl FnMut() -> bool) {
        let mut rings = self.0.subscribe();
        while !done() {
            if rings.changed().await.is_err() {
                return;
            }
        }
    }
}
