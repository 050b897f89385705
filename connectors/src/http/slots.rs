//! How many requests one credential has under way, over all steps of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time::Instant};

/// The requests of one credential that are under way.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    used: AtomicU32,
    freed: Notify,
}

impl Slots {
    /// Waits until fewer than `limit` requests are under way and counts one more.
    ///
    /// Those who share a credential may name different limits: each keeps to its own.
    pub(super) async fn take(self: &Arc<Self>, limit: u32) -> Slot {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Listening begins before the look, or a slot freed in between is never seen.
            freed.as_mut().enable();
            let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < limit).then(|| used + 1)
            });
            if taken.is_ok() {
                return Slot { slots: Arc::clone(self), kept_until: None };
            }
            freed.await;
        }
    }

    fn free(&self) {
        self.used.fetch_sub(1, Ordering::AcqRel);
        self.freed.notify_waiters();
    }
}

/// One request that is under way; dropping it frees its place.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    kept_until: Option<Instant>,
}

impl Slot {
    /// The request leaves now: unless an end is seen ([`Slot::ended`]), the server may go on
    /// working on it for `at_work`, and its place stays taken for as long.
    pub(super) fn sent(&mut self, at_work: Duration) {
        self.kept_until = Some(Instant::now() + at_work);
    }

    /// The server is done with the request.
    pub(super) fn ended(mut self) {
        self.kept_until = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slots = Arc::clone(&self.slots);
        match (self.kept_until.take(), Handle::try_current()) {
            (Some(until), Ok(runtime)) => {
                runtime.spawn(async move {
                    tokio::time::sleep_until(until).await;
                    slots.free();
                });
            }
            _ => slots.free(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_keeps_its_place_while_the_server_may_work_on_it() {
        let slots = Arc::new(Slots::default());
        let started = Instant::now();
        let mut lost = slots.take(1).await;
        lost.sent(Duration::from_secs(120));
        drop(lost);
        slots.take(1).await.ended();
        assert_eq!(started.elapsed().as_secs(), 120);
        slots.take(1).await.ended();
        assert_eq!(started.elapsed().as_secs(), 120);
    }

    #[tokio::test]
    async fn each_keeps_to_its_own_limit() {
        let slots = Arc::new(Slots::default());
        let one = slots.take(1).await;
        let two = slots.take(2).await;
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take(1).await.ended() }
        });
        one.ended();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        two.ended();
        waiting.await.unwrap();
    }
}
