//! What can go wrong when talking to Temporal about schedules.

use temporalio_client::tonic::{Code, Status};
use tidemark_model::ids::ConnectionId;

/// A failure of the schedule layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    #[error("temporal has no schedule for {connection}")]
    NotFound { connection: ConnectionId },
    #[error("temporal did not answer a request to {operation}")]
    Unreachable { operation: &'static str, source: Box<Status> },
    /// A scheduler answers few questions at a time, and few in a second.
    #[error("temporal is too busy to {operation}")]
    Busy { operation: &'static str, source: Box<Status> },
    #[error("temporal refused to {operation}: {}", source.message())]
    Refused { operation: &'static str, source: Box<Status> },
    /// The server took the request, and the schedule did not show it in time. Its state is
    /// unknown: the change may still come.
    #[error(
        "temporal took the request to {operation} {connection}, and did not do it within {waited:?}"
    )]
    NotDone { operation: &'static str, connection: ConnectionId, waited: std::time::Duration },
    #[error("a pause's {part} may not hold {found:?}")]
    Note { part: &'static str, found: char },
}

impl ScheduleError {
    /// The error of a call about one schedule.
    pub(super) fn about(
        connection: &ConnectionId,
        operation: &'static str,
    ) -> impl FnOnce(Status) -> Self {
        let connection = connection.clone();
        move |status| match status.code() {
            Code::NotFound => Self::NotFound { connection },
            _ => Self::of(operation)(status),
        }
    }

    /// The error of a call about no schedule in particular.
    pub(super) fn of(operation: &'static str) -> impl FnOnce(Status) -> Self {
        move |status| match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled => {
                Self::Unreachable { operation, source: Box::new(status) }
            }
            Code::ResourceExhausted => Self::Busy { operation, source: Box::new(status) },
            _ => Self::Refused { operation, source: Box::new(status) },
        }
    }

    /// Whether Temporal could not be reached at all, so that other calls will fail as well.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
