//! What an open run is at.

use jiff::Timestamp;
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    progress::{Progress, Stage},
};
use tidemark_schedules::{OpenRun as Seen, OpenStep};

use super::failed;
use crate::rules::{OpenRun, RunState};

/// `None` for a run that has just ended.
pub(super) fn open(seen: &Seen, now: Timestamp) -> Option<OpenRun> {
    if seen.closed {
        return None;
    }
    let started_at = seen.started_at.unwrap_or(now);
    let state = match &seen.step {
        None if seen.undecided_since.is_some() => RunState::Queued,
        None => RunState::Working { moved_at: now, progress: "between two steps".into() },
        Some(step) => state(step, started_at, now),
    };
    Some(OpenRun { started_at, state })
}

fn state(step: &OpenStep, started_at: Timestamp, now: Timestamp) -> RunState {
    let side = match step.stage {
        Some(Stage::Read) => Side::Source,
        Some(Stage::Push) => Side::Destination,
        Some(Stage::Compute | Stage::Commit) | None => Side::Platform,
    };
    let waiting = step.progress.as_ref().and_then(|progress| progress.waiting_until);
    let asked = step.failure.as_ref().is_some_and(|one| one.kind == FailureKind::RateLimited);
    let until = if step.taken { waiting } else { step.next_attempt_at.filter(|_| asked) };
    if let Some(until) = until.filter(|until| *until > now) {
        return RunState::RateLimited { side, until };
    }
    if !step.taken && step.next_attempt_at.is_none() && step.attempt == 1 {
        return RunState::Queued;
    }
    let moved_at = step.moved_at.unwrap_or(started_at);
    match &step.last_failure {
        Some(message) if !step.taken => {
            let unnamed = || Failure::new(FailureKind::Transient, side, message.clone());
            let failure = step.failure.clone().unwrap_or_else(unnamed);
            // A wait that is due at a later instant is no failure.
            if failure.kind == FailureKind::Waiting {
                return RunState::Working { moved_at: now, progress: progress(step) };
            }
            RunState::Retrying { moved_at, failure: failed::of(&failure, now) }
        }
        _ => RunState::Working { moved_at, progress: progress(step) },
    }
}

/// `read 12,000 of 50,000 rows`.
fn progress(step: &OpenStep) -> std::sync::Arc<str> {
    let stage = step.stage.map_or("a step", Stage::as_str);
    match &step.progress {
        Some(Progress { row_count, row_total: Some(total), .. }) => {
            format!("{stage} {row_count} of {total}").into()
        }
        Some(Progress { row_count, .. }) => format!("{stage} {row_count}").into(),
        None => stage.into(),
    }
}
