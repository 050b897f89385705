//! How many requests one credential has under way, over all steps of the process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, Notify},
    time::Instant,
};

/// The requests of one credential that are under way.
#[derive(Debug, Default)]
pub struct Slots {
    used: AtomicU32,
    /// Held by the one that is the next to take a place.
    turn: Mutex<()>,
    freed: Notify,
}

impl Slots {
    /// Waits until fewer than `limit` requests are under way and counts one more.
    ///
    /// Those who share a credential may name different limits: each keeps to its own. They take
    /// their places in the order in which they came, or whoever allows itself few requests would
    /// wait for as long as another keeps more under way.
    pub async fn take(self: &Arc<Self>, limit: u32) -> Slot {
        let _turn = self.turn.lock().await;
        loop {
            let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < limit).then(|| used + 1)
            });
            if taken.is_ok() {
                return Slot { slots: Arc::clone(self), kept_until: None };
            }
            // One that was freed since the look is not missed: the notice is kept.
            self.freed.notified().await;
        }
    }

    fn free(&self) {
        self.used.fetch_sub(1, Ordering::AcqRel);
        self.freed.notify_one();
    }
}

/// The place of one request among those that are under way; dropping it frees it.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    kept_until: Option<Instant>,
}

impl Slot {
    /// The request leaves now: unless an end is seen ([`Slot::ended`]), the server may go on
    /// working on it for `at_work`, and its place stays taken for as long.
    pub fn sent(&mut self, at_work: Duration) {
        self.kept_until = Some(Instant::now() + at_work);
    }

    /// The server is done with the request.
    pub fn ended(&mut self) {
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
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_keeps_its_place_while_the_server_may_work_on_it() {
        let slots = Arc::new(Slots::default());
        let started = Instant::now();
        let mut lost = slots.take(1).await;
        lost.sent(Duration::from_secs(120));
        drop(lost);
        let mut answered = slots.take(1).await;
        assert_eq!(started.elapsed().as_secs(), 120);
        answered.sent(Duration::from_secs(120));
        answered.ended();
        drop(answered);
        drop(slots.take(1).await);
        assert_eq!(started.elapsed().as_secs(), 120);
    }

    #[tokio::test]
    async fn each_keeps_to_its_own_limit() {
        let slots = Arc::new(Slots::default());
        let one = slots.take(1).await;
        let two = slots.take(2).await;
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { drop(slots.take(1).await) }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_waits_behind_those_who_come_later_and_allow_themselves_more() {
        let slots = Arc::new(Slots::default());
        let first = slots.take(2).await;
        let mut modest = Box::pin(slots.take(1));
        assert!(modest.as_mut().now_or_never().is_none());
        assert!(slots.take(2).now_or_never().is_none());
        drop(first);
        let modest = modest.await;
        assert!(slots.take(2).now_or_never().is_some());
        drop(modest);
    }
}
