//! What can go wrong when talking to Temporal about schedules.

use std::fmt;

use temporalio_client::tonic::{Code, Status};
use tidemark_model::ids::ConnectionId;

/// What was asked of Temporal, in words that go on after "to": `describe the schedule of acme/news`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    verb: &'static str,
    connection: Option<ConnectionId>,
}

impl Operation {
    /// Of no connection in particular.
    #[must_use]
    pub fn general(verb: &'static str) -> Self {
        Self { verb, connection: None }
    }

    /// Of one connection, whose id goes behind `verb`.
    #[must_use]
    pub fn on(verb: &'static str, connection: &ConnectionId) -> Self {
        Self { verb, connection: Some(connection.clone()) }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.connection {
            Some(connection) => write!(f, "{} {connection}", self.verb),
            None => f.write_str(self.verb),
        }
    }
}

/// A failure of the schedule layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    #[error("temporal has no schedule for {connection}")]
    NotFound { connection: ConnectionId },
    #[error("temporal did not answer a request to {operation}")]
    Unreachable { operation: Operation, source: Box<Status> },
    /// A scheduler answers few questions at a time, and few in a second. It was asked for a while.
    #[error("temporal is too busy to {operation}")]
    Busy { operation: Operation, source: Box<Status> },
    #[error("temporal refused to {operation}: {}", source.message())]
    Refused { operation: Operation, source: Box<Status> },
    /// The server took the request, and the schedule did not show it in time. Its state is
    /// unknown: the change may still come.
    #[error("temporal took the request to {operation}, and did not do it within {waited:?}")]
    NotDone { operation: Operation, waited: std::time::Duration },
    #[error("a pause's {part} may not hold {found:?}")]
    Note { part: &'static str, found: char },
}

impl ScheduleError {
    /// The error of a call.
    pub(crate) fn of(operation: Operation) -> impl FnOnce(Status) -> Self {
        move |status| match (status.code(), operation.connection) {
            (Code::NotFound, Some(connection)) => Self::NotFound { connection },
            (code, connection) => {
                let operation = Operation { connection, ..operation };
                let source = Box::new(status);
                match code {
                    code if is_lost(code) => Self::Unreachable { operation, source },
                    Code::ResourceExhausted => Self::Busy { operation, source },
                    _ => Self::Refused { operation, source },
                }
            }
        }
    }

    /// Whether Temporal could not be reached at all, so that other calls will fail as well.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Whether a call ended because Temporal is not there: a connection that breaks is told as any of
/// these.
#[must_use]
pub fn is_lost(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_is_no_refusal() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::Cancelled] {
            assert!(is_lost(code), "{code:?}");
        }
        for code in [Code::NotFound, Code::InvalidArgument, Code::PermissionDenied] {
            assert!(!is_lost(code), "{code:?}");
        }
    }
}
