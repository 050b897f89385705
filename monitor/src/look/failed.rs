//! Runs that failed since the newest commit.

use jiff::Timestamp;
use tidemark_engine::{
    run::ended_run,
    store::{Folder, StoreError},
};
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    step::EndedRun,
};
use tidemark_schedules::{RunStatus, StartedRun};

use super::{damage, unreadable};
use crate::rules::Ended;

/// The newest run that failed, if nothing was committed since, and since when all of them fail as
/// far as the schedule remembers its runs. `recent` are those, oldest first.
pub(super) async fn newest(
    folder: &Folder,
    recent: &[StartedRun],
    committed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Ended>, StoreError> {
    let mut newest: Option<Ended> = None;
    for started in recent.iter().rev() {
        let begun_at = started.started_at.unwrap_or(now);
        let ended = match ended_run(folder, &started.run.run_id).await {
            Ok(Some(record)) if Some(record.ended_at) <= committed_at => break,
            Ok(Some(EndedRun { failure: Some(failure), ended_at, .. })) => of(&failure, ended_at),
            // A skipped or cancelled run is no failure, and no success either.
            Ok(Some(_)) => continue,
            // What committed left no record, and may be what was ended.
            Ok(None) if Some(begun_at) <= committed_at => continue,
            Ok(None) => match cut_off(started.status) {
                Some(failure) => of(&failure, begun_at),
                None => continue,
            },
            Err(error) if unreadable(&error) && Some(begun_at) <= committed_at => continue,
            Err(error) if unreadable(&error) => damage::of(error, begun_at).ended,
            Err(error) => return Err(error),
        };
        match &mut newest {
            None => newest = Some(ended),
            Some(newest) => newest.failing_since = ended.at,
        }
    }
    Ok(newest)
}

/// Why a run ended that could not say so itself: its record is the last thing that it writes.
fn cut_off(status: RunStatus) -> Option<Failure> {
    let (kind, message) = match status {
        RunStatus::Terminated => {
            (FailureKind::Cancelled, "its runs are terminated before they end")
        }
        RunStatus::TimedOut => (FailureKind::Transient, "its runs time out before they end"),
        RunStatus::Failed => (FailureKind::Transient, "its runs fail, and could not say why"),
        RunStatus::Running | RunStatus::Completed | RunStatus::Cancelled | RunStatus::Unknown => {
            return None;
        }
    };
    Some(Failure::new(kind, Side::Platform, message))
}

/// A failure of which only one instant is known.
pub(super) fn of(failure: &Failure, at: Timestamp) -> Ended {
    Ended {
        at,
        failing_since: at,
        side: failure.side,
        class: failure.class(),
        kind: failure.kind,
        message: failure.message.as_str().into(),
    }
}
