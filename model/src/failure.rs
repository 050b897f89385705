//! Failures: what went wrong, on which side, and therefore who must act.
//!
//! Kind and side are what a program reads; the texts are for people. The class follows from both
//! in one place, [`Failure::class`].

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The system in which the cause lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Source,
    Destination,
    /// Tidemark itself, its store or Temporal.
    Platform,
}

/// What a failure is, whatever the system that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// May pass by itself: a dropped connection, a 5xx answer, a time-out.
    Transient,
    /// The other side asked for a pause; `retry_after` says how long, if it said so.
    RateLimited,
    /// Nothing is wrong: the next step is due at a later instant (`retry_after`).
    Waiting,
    /// The credential is missing or was refused.
    Unauthenticated,
    /// The credential is valid and may not do this.
    Forbidden,
    /// What the definition names does not exist (a list, an address).
    Gone,
    /// The definition, or what it refers to, cannot be used as it is.
    Invalid,
    /// The other side refused a request that a retry will not change.
    Rejected,
    /// The source could not prove that a reading was complete.
    Unproven,
    /// Somebody else moved the connection on in the meantime.
    Conflict,
    /// A stored object is missing, cut, damaged or of a newer format.
    Corrupt,
    /// The worker stops; the next attempt goes on from the last durable step.
    Draining,
    /// The run was cancelled.
    Cancelled,
    /// A rule of Tidemark itself was broken: a receipt that does not balance.
    Bug,
}

impl FailureKind {
    /// The name under which the kind crosses Temporal (an application failure's type).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::RateLimited => "rate-limited",
            Self::Waiting => "waiting",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::Unproven => "unproven",
            Self::Conflict => "conflict",
            Self::Corrupt => "corrupt",
            Self::Draining => "draining",
            Self::Cancelled => "cancelled",
            Self::Bug => "bug",
        }
    }

    /// Whether another attempt of the same step may succeed without a person's help.
    #[must_use]
    pub fn retryable(self) -> bool {
        match self {
            Self::Transient | Self::RateLimited | Self::Waiting | Self::Draining => true,
            Self::Unauthenticated
            | Self::Forbidden
            | Self::Gone
            | Self::Invalid
            | Self::Rejected
            | Self::Unproven
            | Self::Conflict
            | Self::Corrupt
            | Self::Cancelled
            | Self::Bug => false,
        }
    }
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The connection's owner: a credential or a definition needs a person.
    User,
    /// The operators of the source, or time.
    Source,
    /// The operators of the destination, or time.
    Destination,
    /// The operators of Tidemark.
    Platform,
}

impl FailureClass {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of one step of a run.
///
/// `message` says what and why as a lowercase fragment, `hint` says what to do next (a command
/// where there is one). Neither ever holds a secret or a record's values.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    pub side: Side,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How long to wait before the next attempt, if the other side or the protocol says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// The causes' texts, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
}

impl Failure {
    #[must_use]
    pub fn new(kind: FailureKind, side: Side, message: impl Into<String>) -> Self {
        Self {
            kind,
            side,
            message: message.into(),
            hint: None,
            retry_after: None,
            causes: Vec::new(),
        }
    }

    /// Nothing is wrong: the step can go on at `until`.
    #[must_use]
    pub fn waiting(
        side: Side,
        message: impl Into<String>,
        now: Timestamp,
        until: Timestamp,
    ) -> Self {
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        Self::new(FailureKind::Waiting, side, message).retry_after(wait)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Takes over the texts of an error and of all its sources.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        self.causes.push(error.to_string());
        self.caused_by_sources(error)
    }

    /// Takes over the texts of an error's sources, where `message` says what the error says.
    #[must_use]
    pub fn caused_by_sources(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = error.source();
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Who must act.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match (self.kind, self.side) {
            (
                FailureKind::Unauthenticated
                | FailureKind::Forbidden
                | FailureKind::Gone
                | FailureKind::Invalid,
                _,
            ) => FailureClass::User,
            (_, Side::Source) => FailureClass::Source,
            (_, Side::Destination) => FailureClass::Destination,
            (_, Side::Platform) => FailureClass::Platform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_credential_is_the_users_to_mend_on_either_side() {
        for side in [Side::Source, Side::Destination] {
            let failure = Failure::new(FailureKind::Unauthenticated, side, "the key was refused");
            assert_eq!(failure.class(), FailureClass::User);
            assert!(!failure.kind.retryable());
        }
    }

    #[test]
    fn every_cause_is_kept_outermost_first() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let failure = Failure::new(FailureKind::Transient, Side::Source, "no answer")
            .caused_by(&Outer(std::io::Error::other("inner")));
        assert_eq!(failure.causes, ["outer", "inner"]);
    }
}
