//! The audit: a round in which every connection is looked at, whatever visibility says of it.
//!
//! It finds what visibility cannot show: a definition without a schedule, a schedule that was
//! edited by hand or does not fire, a published deadline that is wrong.

use std::{collections::VecDeque, time::Duration};

use tidemark_engine::{
    definitions,
    store::{Store, StoreError},
};
use tidemark_model::ids::ConnectionId;
use tokio::time::Instant;

/// How long a round takes: what it finds is told within the hour.
pub(crate) const ROUND: Duration = Duration::from_mins(40);

/// Who is left of a round.
#[derive(Debug)]
pub(crate) struct Round {
    left: VecDeque<ConnectionId>,
    begun_at: Instant,
    /// How many it had at its begin.
    count: usize,
}

impl Round {
    /// One that is over: the first pass begins another.
    pub(crate) fn over() -> Self {
        Self { left: VecDeque::new(), begun_at: Instant::now(), count: 0 }
    }

    /// Who is to be looked at now, so that the round ends in its time. One that is over is followed
    /// by the next when that is due.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn share(&mut self, store: &Store) -> Result<Vec<ConnectionId>, StoreError> {
        if self.left.is_empty() && (self.count == 0 || self.begun_at.elapsed() >= ROUND) {
            self.left = definitions::connections(store).await?.into();
            self.count = self.left.len();
            self.begun_at = Instant::now();
        }
        Ok(self.take(self.begun_at.elapsed()))
    }

    fn take(&mut self, elapsed: Duration) -> Vec<ConnectionId> {
        let share = elapsed.as_secs_f64() / ROUND.as_secs_f64();
        // One more than is due: the first pass looks at somebody already.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count, which rounding cannot make wrong"
        )]
        let due = (self.count as f64 * share) as usize + 1;
        let done = self.count - self.left.len();
        let many = due.saturating_sub(done).min(self.left.len());
        self.left.drain(..many).collect()
    }

    /// Puts back who could not be looked at.
    pub(crate) fn put_back(&mut self, connections: impl IntoIterator<Item = ConnectionId>) {
        for connection in connections {
            self.left.push_front(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(count: usize) -> Round {
        let left = (0..count).map(|number| format!("acme/l{number}").parse().unwrap()).collect();
        Round { left, begun_at: Instant::now(), count }
    }

    #[test]
    fn everybody_has_a_turn_within_the_round() {
        let mut round = round(10_000);
        assert_eq!(round.take(Duration::ZERO).len(), 1);
        let mut seen = 1;
        for pass in 1..=120 {
            let many = round.take(Duration::from_secs(20 * pass)).len();
            assert!(many <= 84, "{many} in pass {pass}");
            seen += many;
        }
        assert_eq!(seen, 10_000);
    }

    #[test]
    fn who_was_put_back_comes_next() {
        let mut round = round(3);
        let first = round.take(Duration::ZERO);
        round.put_back(first.clone());
        assert_eq!(round.take(Duration::ZERO), first);
    }
}
