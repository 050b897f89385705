//! Whether an attempt may go on: what the server said, and how long ago it said anything.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tidemark_engine::port::Stop;
use tokio::{sync::watch, time::Instant};

/// An instant on both clocks: the monotonic one stands still while a machine sleeps, the wall
/// clock can be set back. The older age counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: Timestamp::now() }
    }

    fn age(&self) -> Duration {
        let wall = Duration::try_from(Timestamp::now().duration_since(self.wall));
        self.monotonic.elapsed().max(wall.unwrap_or_default())
    }
}

/// The permission of one attempt. It lapses unless the server renews it.
pub(crate) struct Permission {
    patience: Duration,
    withdrawn: watch::Sender<Option<Stop>>,
    /// The start of the last question that was answered.
    renewed: Mutex<Moment>,
}

impl Permission {
    /// One that begins now, and lapses after `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, withdrawn: watch::Sender::new(None), renewed: Mutex::new(Moment::now()) }
    }

    /// The server answered a question that was asked at `asked`.
    pub(crate) fn renew(&self, asked: Moment) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// Ends it. Only the order to send nothing any more replaces an earlier word.
    pub(crate) fn withdraw(&self, stop: Stop) {
        self.withdrawn.send_if_modified(|said| {
            let replaces = said.is_none() || stop == Stop::Superseded;
            if replaces {
                *said = Some(stop);
            }
            replaces
        });
    }

    /// What the server said.
    pub(crate) fn withdrawn(&self) -> Option<Stop> {
        *self.withdrawn.borrow()
    }

    /// Why the attempt must end: the server's word, or its silence.
    pub(crate) fn stop(&self) -> Option<Stop> {
        match self.withdrawn() {
            None if self.renewed().age() >= self.patience => Some(Stop::Superseded),
            said => said,
        }
    }

    /// Resolves when [`stop`](Self::stop) has something to say.
    pub(crate) async fn stopped(&self) {
        let mut said = self.withdrawn.subscribe();
        while self.stop().is_none() {
            let lapses = self.renewed().monotonic + self.patience;
            // An error would mean that the sender is gone, and this value holds it.
            tokio::select! {
                _ = said.changed() => {}
                () = tokio::time::sleep_until(lapses) => {}
            }
        }
    }

    fn renewed(&self) -> Moment {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_counted_from_the_question_and_not_from_the_answer() {
        let permission = Permission::new(PATIENCE);
        let asked = Moment::now();
        tokio::time::advance(Duration::from_secs(10)).await;
        permission.renew(asked);
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert_eq!(permission.stop(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(permission.stop(), Some(Stop::Superseded));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_renews_it() {
        let permission = Permission::new(PATIENCE);
        tokio::time::advance(Duration::from_secs(14)).await;
        permission.renew(Moment::now());
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(permission.stop(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_told_of_silence_and_of_words() {
        let permission = Permission::new(PATIENCE);
        permission.stopped().await;
        assert_eq!(permission.stop(), Some(Stop::Superseded));

        let permission = Permission::new(PATIENCE);
        let (started, ()) = (Instant::now(), permission.withdraw(Stop::Cancelled));
        permission.stopped().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(permission.stop(), Some(Stop::Cancelled));
    }

    #[tokio::test]
    async fn only_the_order_to_send_nothing_replaces_another_word() {
        let permission = Permission::new(PATIENCE);
        permission.withdraw(Stop::Cancelled);
        permission.withdraw(Stop::Draining);
        assert_eq!(permission.stop(), Some(Stop::Cancelled));
        permission.withdraw(Stop::Superseded);
        permission.withdraw(Stop::Cancelled);
        assert_eq!(permission.stop(), Some(Stop::Superseded));
    }
}
