//! The audit: a round in which every connection is looked at, whatever visibility says of it.
//!
//! It finds what visibility cannot show: a definition without a schedule, a schedule that was
//! edited by hand or does not fire, a published deadline that is wrong; and schedules without a
//! definition.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use tidemark_engine::{
    definitions,
    store::{Store, StoreError},
};
use tidemark_model::ids::ConnectionId;
use tokio::time::Instant;

/// How long a round takes: what it finds is told within the hour.
pub(crate) const ROUND: Duration = Duration::from_mins(40);

/// Who was defined since joins the round that is under way: what is wrong with a new connection has
/// to look wrong for a while, and is told within its first hour too.
pub(crate) const LISTED_EVERY: Duration = Duration::from_mins(10);

/// Who is left of a round.
#[derive(Debug)]
pub(crate) struct Round {
    left: VecDeque<ConnectionId>,
    /// Who has a turn now: until it is known that what came of it was kept.
    turn: Vec<ConnectionId>,
    begun_at: Instant,
    /// Everybody in it, with those who had their turn.
    known: BTreeSet<ConnectionId>,
    listed_at: Instant,
}

impl Round {
    /// One that is over: the first pass begins another.
    pub(crate) fn over() -> Self {
        let now = Instant::now();
        Self {
            left: VecDeque::new(),
            turn: Vec::new(),
            begun_at: now,
            known: BTreeSet::new(),
            listed_at: now,
        }
    }

    /// Who is to be looked at now, so that the round ends in its time; first those of whose last turn
    /// nothing [was kept](Self::kept). One that is over is followed by the next when that is due.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn share(&mut self, store: &Store) -> Result<Vec<ConnectionId>, StoreError> {
        self.give_back();
        if self.left.is_empty() && (self.known.is_empty() || self.begun_at.elapsed() >= ROUND) {
            let everybody = definitions::connections(store).await?;
            self.known = everybody.iter().cloned().collect();
            self.left = everybody.into();
            self.begun_at = Instant::now();
            self.listed_at = self.begun_at;
        } else if self.listed_at.elapsed() >= LISTED_EVERY {
            let everybody = definitions::connections(store).await?;
            self.listed_at = Instant::now();
            self.join(everybody);
        }
        self.turn = self.take(self.begun_at.elapsed());
        Ok(self.turn.clone())
    }

    /// What came of the last turn is kept: those had theirs.
    pub(crate) fn kept(&mut self) {
        self.turn.clear();
    }

    /// Nothing came of the last turn.
    pub(crate) fn give_back(&mut self) {
        let turn = std::mem::take(&mut self.turn);
        self.put_back(turn);
    }

    /// Everybody whom the round knows.
    pub(crate) fn known(&self) -> &BTreeSet<ConnectionId> {
        &self.known
    }

    /// Those whom the round does not know yet have the next turns in it.
    pub(crate) fn join(&mut self, everybody: Vec<ConnectionId>) {
        for connection in everybody {
            if self.known.insert(connection.clone()) {
                self.left.push_front(connection);
            }
        }
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
        let due = (self.known.len() as f64 * share) as usize + 1;
        let done = self.known.len() - self.left.len();
        let many = due.saturating_sub(done).min(self.left.len());
        self.left.drain(..many).collect()
    }

    /// Puts back who could not be looked at.
    pub(crate) fn put_back(&mut self, connections: Vec<ConnectionId>) {
        self.turn.retain(|connection| !connections.contains(connection));
        for connection in connections {
            self.left.push_front(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(count: usize) -> Round {
        let ids =
            || (0..count).map(|number| format!("acme/l{number}").parse::<ConnectionId>().unwrap());
        Round { left: ids().collect(), known: ids().collect(), ..Round::over() }
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

    #[tokio::test(start_paused = true)]
    async fn who_was_defined_during_a_round_is_in_it() {
        let store = Store::in_memory();
        let define = async |name: &str| {
            let folder = store.connection(&name.parse().unwrap());
            folder.create("definitions/0000000001.json", "{}".into()).await.unwrap();
        };
        define("acme/one").await;
        let mut round = Round::over();
        assert_eq!(round.share(&store).await.unwrap().len(), 1);
        round.kept();
        define("acme/two").await;
        assert!(round.share(&store).await.unwrap().is_empty());
        tokio::time::advance(LISTED_EVERY).await;
        let mut seen = round.share(&store).await.unwrap();
        while seen.is_empty() {
            assert!(round.begun_at.elapsed() < ROUND, "it had no turn");
            tokio::time::advance(Duration::from_mins(1)).await;
            seen = round.share(&store).await.unwrap();
        }
        assert_eq!(seen, ["acme/two".parse().unwrap()]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_looked_at_in_vain_has_another_turn() {
        let store = Store::in_memory();
        let mut round = round(120);
        let first = round.share(&store).await.unwrap();
        assert_eq!(first.len(), 1);
        tokio::time::advance(ROUND / 60 + Duration::from_secs(1)).await;
        // Another monitor was faster: what came of the first turn is lost.
        let mut second = round.share(&store).await.unwrap();
        assert_eq!((second.len(), second.contains(&first[0])), (3, true));
        // One of them was not looked at at all, and comes next.
        let left = second.split_off(2);
        round.put_back(left.clone());
        round.kept();
        tokio::time::advance(ROUND / 120).await;
        let third = round.share(&store).await.unwrap();
        assert_eq!((third.len(), third.contains(&left[0])), (2, true));
        assert!(second.iter().all(|connection| !third.contains(connection)), "those had theirs");
        round.give_back();
        assert_eq!(round.left.len(), 118);
    }

    #[test]
    fn who_was_put_back_comes_next() {
        let mut round = round(3);
        let first = round.take(Duration::ZERO);
        round.put_back(first.clone());
        assert_eq!(round.take(Duration::ZERO), first);
    }
}
