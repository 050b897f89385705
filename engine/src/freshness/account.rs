//! An account is as fresh as its oldest connection.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use tidemark_model::ids::AccountId;

use super::{Counts, Freshness, Look, State};

/// How fresh an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFreshness {
    pub account: AccountId,
    /// That of the worst connection.
    pub state: State,
    /// Why: what is to be said of the worst connection, with its id.
    pub reason: String,
    /// The oldest watermark; `None` if a connection has none.
    pub complete_as_of: Option<Timestamp>,
    /// How old it is, rounded up to whole seconds.
    pub age: Option<Duration>,
    /// Of all connections together.
    pub counts: Counts,
    /// In the order of their ids.
    pub connections: Vec<Freshness>,
}

impl AccountFreshness {
    /// Judges a look at all connections of an account; `None` if it has none, and then nothing is
    /// fresh or not.
    #[must_use]
    pub fn of(
        account: &AccountId,
        looks: &[Look],
        max_age: Duration,
        now: Timestamp,
    ) -> Option<Self> {
        let judged = looks.iter().map(|look| Freshness::of(look, max_age, now)).collect();
        Self::over(account, judged)
    }

    pub(super) fn over(account: &AccountId, connections: Vec<Freshness>) -> Option<Self> {
        // One without a watermark is older than any other, the first of equals is named.
        let age = |one: &Freshness| one.age.unwrap_or(Duration::MAX);
        let oldest = connections.iter().min_by_key(|one| Reverse(age(one)))?;
        let worst = connections.iter().min_by_key(|one| Reverse((one.state, age(one))))?;
        let mut reason = format!("{}: {}", worst.connection, worst.reason);
        match (connections.len(), connections.iter().filter(|one| one.state == worst.state).count())
        {
            (1, _) => {}
            (count, _) if worst.state == State::Fresh => {
                reason += &format!("; it is the oldest of {count} connections");
            }
            (count, alike) => {
                reason += &format!("; so {} {alike} of {count} connections", are(alike));
            }
        }
        let mut counts = Counts::default();
        connections.iter().for_each(|one| counts += one.counts);
        Some(Self {
            account: account.clone(),
            state: worst.state,
            reason,
            complete_as_of: oldest.complete_as_of,
            age: oldest.age,
            counts,
            connections,
        })
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
