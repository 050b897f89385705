//! Why a receiver did not take a notice.

use std::fmt;
use std::time::Duration;

/// What went wrong. None of the texts holds an address or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    #[error("cannot connect{}", because(reason))]
    NoConnection { reason: String },
    #[error("it did not answer within {} s", limit.as_secs())]
    TimedOut { limit: Duration },
    #[error("the connection broke off{}", because(reason))]
    BrokenOff { reason: String },
    #[error("it answered {status}, a redirect, which is not followed")]
    Redirected { status: u16 },
    /// Its address, or what lets us in, is wrong.
    #[error("it answered {status}: the address or a credential is wrong{}", because(reason))]
    Refused { status: u16, reason: String },
    /// It does not take this notice; it may take others.
    #[error("it answered {status}: it does not take what was sent{}", because(reason))]
    NotTaken { status: u16, reason: String },
    #[error("it answered {status}: it wants to be left alone for now")]
    Busy { status: u16, retry_after: Option<Duration> },
    #[error("it answered {status}: it does not work{}", because(reason))]
    Failed { status: u16, reason: String },
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The operators of Tidemark.
    Operators,
    /// The operators of the receiver, or time.
    Receiver,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operators => "the operators of Tidemark must act",
            Self::Receiver => "the operators of the receiver must act",
        })
    }
}

impl SinkError {
    /// Who must act.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Redirected { .. } | Self::Refused { .. } | Self::NotTaken { .. } => {
                Actor::Operators
            }
            Self::NoConnection { .. }
            | Self::TimedOut { .. }
            | Self::BrokenOff { .. }
            | Self::Busy { .. }
            | Self::Failed { .. } => Actor::Receiver,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match (self, self.actor()) {
            (Self::NotTaken { .. }, _) => {
                "see that `kind` of the [[sink]] is what the receiver is, then: tidemark monitor \
                 test-alert"
            }
            (_, Actor::Operators) => {
                "correct `url` of the [[sink]] and start the monitor again, then: tidemark monitor \
                 test-alert"
            }
            (_, Actor::Receiver) => {
                "it is tried again; to see whether it works: tidemark monitor test-alert"
            }
        }
    }

    /// The pause that it asks for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether another notice may be taken although this one is not.
    pub(super) fn concerns_one_notice(&self) -> bool {
        matches!(self, Self::NotTaken { .. })
    }

    /// One line: what, why and who.
    pub(super) fn line(&self) -> String {
        format!("{self} ({})", self.actor())
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
