//! How long Temporal may be gone while somebody waits for it.

use std::time::Duration;

use tidemark_schedules::patience::Poll;
use tokio::time::Instant;

use crate::session::REPEAT_LIMIT;

/// The most between two questions to a server that is gone.
const INTERVAL: Duration = Duration::from_millis(500);

/// A server that is gone. The time counts from the first wait that was lost: the client counts from
/// when the wait began, which is mostly longer ago than it repeats anything.
#[derive(Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    poll: Poll,
}

impl Outage {
    /// The server has answered.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Pauses before a wait that was lost is begun again; `false` if the server is gone for too
    /// long. A wait that began so long ago, at `asked_at`, was with a server that was there.
    pub(super) async fn outlast(&mut self, asked_at: Instant) -> bool {
        if asked_at.elapsed() >= REPEAT_LIMIT {
            self.end();
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= REPEAT_LIMIT {
            return false;
        }
        self.poll.pause(INTERVAL).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a server is asked that takes no wait.
    async fn given_up_after(outage: &mut Outage) -> Duration {
        let began_at = Instant::now();
        while outage.outlast(Instant::now()).await {}
        began_at.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_gone_is_given_up_at_the_limit() {
        let asked_for = given_up_after(&mut Outage::default()).await;
        assert!(asked_for >= REPEAT_LIMIT, "{asked_for:?}");
        assert!(asked_for <= REPEAT_LIMIT + INTERVAL, "{asked_for:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_counts_from_the_first_loss_and_not_from_the_question() {
        let asked_at = Instant::now();
        tokio::time::advance(REPEAT_LIMIT * 5).await;
        let mut outage = Outage::default();
        assert!(outage.outlast(asked_at).await);
        assert!(given_up_after(&mut outage).await >= REPEAT_LIMIT - INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_or_a_wait_that_lasted_begins_a_new_count() {
        let mut outage = Outage::default();
        given_up_after(&mut outage).await;
        outage.end();
        assert!(given_up_after(&mut outage).await >= REPEAT_LIMIT);
        let asked_at = Instant::now();
        assert!(!outage.outlast(asked_at).await);
        tokio::time::advance(REPEAT_LIMIT).await;
        assert!(outage.outlast(asked_at).await);
    }
}
