//! The health of a connection, as its schedule shows it.

use std::{fmt, str::FromStr};

use tidemark_model::receipt::{Outcome, Receipt};

/// How a connection is doing: the value of the search attribute `Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// It has never been in step.
    New,
    /// The last run ended in step.
    InStep,
    /// The last run ended in step, except for rows that cannot be mapped.
    InStepExcept,
    /// The last run ended in step, except for records that the destination refuses.
    Rejecting,
    /// Removals wait for an operator.
    Held,
    /// The last run failed for good.
    Failing,
}

impl Health {
    pub const ALL: [Self; 6] =
        [Self::New, Self::InStep, Self::InStepExcept, Self::Rejecting, Self::Held, Self::Failing];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InStep => "in-step",
            Self::InStepExcept => "in-step-except",
            Self::Rejecting => "rejecting",
            Self::Held => "held",
            Self::Failing => "failing",
        }
    }

    /// What a commit says about its connection.
    #[must_use]
    pub fn of_commit(receipt: &Receipt) -> Self {
        match (receipt.held_count, receipt.rejected_count, receipt.exception_count) {
            (0, 0, 0) => Self::InStep,
            (0, 0, _) => Self::InStepExcept,
            (0, ..) => Self::Rejecting,
            _ => Self::Held,
        }
    }

    /// What a run says that did not commit; `None` for one that says nothing: a skipped or
    /// cancelled run leaves the health as it was.
    #[must_use]
    pub fn of_end(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::FailedUser
            | Outcome::FailedSource
            | Outcome::FailedDestination
            | Outcome::FailedPlatform => Some(Self::Failing),
            Outcome::Skipped | Outcome::Cancelled => None,
            Outcome::InStep | Outcome::InStepExcept | Outcome::Held => None,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is no health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownHealth;

impl fmt::Display for UnknownHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a health: use new, in-step, in-step-except, rejecting, held or failing")
    }
}

impl std::error::Error for UnknownHealth {}

impl FromStr for Health {
    type Err = UnknownHealth;

    fn from_str(text: &str) -> Result<Self, UnknownHealth> {
        Self::ALL.into_iter().find(|health| health.as_str() == text).ok_or(UnknownHealth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for health in Health::ALL {
            assert_eq!(health.as_str().parse(), Ok(health));
        }
        assert_eq!("well".parse::<Health>(), Err(UnknownHealth));
    }

    #[test]
    fn a_cancelled_run_leaves_the_health_alone() {
        assert_eq!(Health::of_end(Outcome::Cancelled), None);
        assert_eq!(Health::of_end(Outcome::FailedUser), Some(Health::Failing));
    }
}
