//! The health of a connection, as its schedule shows it.

use std::{fmt, str::FromStr};

use tidemark_model::receipt::Outcome;

/// How a connection is doing: the value of the search attribute `Health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// It has never been in step.
    New,
    /// The last run ended in step.
    InStep,
    /// The last run ended in step, except for records that its receipt counts.
    InStepExcept,
    /// The last run failed for good.
    Failing,
}

impl Health {
    pub const ALL: [Self; 4] = [Self::New, Self::InStep, Self::InStepExcept, Self::Failing];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InStep => "in-step",
            Self::InStepExcept => "in-step-except",
            Self::Failing => "failing",
        }
    }

    /// What a run's end says about its connection; `None` for one that says nothing: a skipped or
    /// cancelled run leaves the health as it was.
    #[must_use]
    pub fn after(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::InStep => Some(Self::InStep),
            Outcome::InStepExcept => Some(Self::InStepExcept),
            Outcome::Skipped | Outcome::Cancelled => None,
            Outcome::FailedUser
            | Outcome::FailedSource
            | Outcome::FailedDestination
            | Outcome::FailedPlatform => Some(Self::Failing),
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
        f.write_str("is not a health: use new, in-step, in-step-except or failing")
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
        assert_eq!(Health::after(Outcome::Cancelled), None);
        assert_eq!(Health::after(Outcome::FailedUser), Some(Health::Failing));
    }
}
