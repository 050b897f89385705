//! Fresh, not, or fresh except for some records; and why. Nothing here is read or asked for.

use std::{fmt, ops::AddAssign, time::Duration};

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use tidemark_model::{ids::ConnectionId, schedule::duration};

use super::{Look, Proven, Unproven};

/// What the gate says, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// As recent as was asked for.
    Fresh,
    /// The same, except for records that the newest commit counts.
    FreshExcept,
    /// Older, or nothing is proven.
    NotFresh,
}

impl State {
    /// Whether it is good enough for somebody who accepts exceptions, or does not.
    #[must_use]
    pub fn passes(self, accept_exceptions: bool) -> bool {
        match self {
            Self::Fresh => true,
            Self::FreshExcept => accept_exceptions,
            Self::NotFresh => false,
        }
    }
}

/// Keys whose state at the destination is not what the source's is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them, without the waived ones.
    pub exceptions: u64,
    /// How many of them are records that the destination refused.
    pub rejected: u64,
    /// How many of them are removals that wait for an operator.
    pub held: u64,
    /// Exceptions that an operator accepted as they are; they do not count above.
    pub waived: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.exceptions += other.exceptions;
        self.rejected += other.rejected;
        self.held += other.held;
        self.waived += other.waived;
    }
}

/// How fresh a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    pub connection: ConnectionId,
    pub state: State,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// The watermark, if something is proven.
    pub complete_as_of: Option<Timestamp>,
    /// How old the watermark is, rounded up to whole seconds.
    pub age: Option<Duration>,
    pub counts: Counts,
}

impl Freshness {
    /// Judges a look at a connection.
    #[must_use]
    pub fn of(look: &Look, max_age: Duration, now: Timestamp) -> Self {
        Self::judge(look.connection().clone(), look.proven(), max_age, now)
    }

    /// Judges what is proven of a connection's destination.
    pub(super) fn judge(
        connection: ConnectionId,
        proven: Result<Proven, Unproven>,
        max_age: Duration,
        now: Timestamp,
    ) -> Self {
        let proven = match proven {
            Ok(proven) => proven,
            Err(unproven) => {
                return Self {
                    connection,
                    state: State::NotFresh,
                    reason: unproven.to_string(),
                    complete_as_of: None,
                    age: None,
                    counts: Counts::default(),
                };
            }
        };
        let Proven { complete_as_of, counts, .. } = proven;
        let age = age(&proven, now);
        let state = match counts.exceptions {
            _ if age > max_age => State::NotFresh,
            0 => State::Fresh,
            _ => State::FreshExcept,
        };
        let mut reason =
            format!("complete as of {}, {} ago", whole_second(complete_as_of), duration::text(age));
        match state {
            State::Fresh => {}
            State::FreshExcept => reason += &format!(", except for {counts}"),
            State::NotFresh => {
                reason += &format!(", and at most {} is asked for", duration::text(max_age));
            }
        }
        let (complete_as_of, age) = (Some(complete_as_of), Some(age));
        Self { connection, state, reason, complete_as_of, age, counts }
    }
}

/// How old a watermark is, rounded up to whole seconds: nobody is told a younger one. A clock
/// that runs behind the committing worker's does not make it younger than it was when it was
/// committed.
fn age(proven: &Proven, now: Timestamp) -> Duration {
    let age = now.max(proven.committed_at).duration_since(proven.complete_as_of);
    let age = Duration::try_from(age).unwrap_or_default();
    let whole = Duration::from_secs(age.as_secs());
    if age > whole { whole + Duration::from_secs(1) } else { whole }
}

fn whole_second(at: Timestamp) -> Timestamp {
    let down = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    at.round(down).unwrap_or(at)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exceptions, rejected, held, .. } = *self;
        let invalid = exceptions.saturating_sub(rejected + held);
        let kinds = [
            (rejected, "refused by the destination"),
            (invalid, "that cannot be mapped"),
            (held, "whose removal is held"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let plural = if exceptions == 1 { "" } else { "s" };
        write!(f, "{exceptions} record{plural} ({})", kinds.join(", "))
    }
}
