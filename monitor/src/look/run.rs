//! What an open run is at.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    progress::{Progress, Stage},
};
use tidemark_schedules::{OpenRun as Seen, OpenStep};

use super::failed;
use crate::rules::{Ended, OpenRun, RunState};

/// A step that works has moved something durable by then. Between two attempts is a minute at most,
/// so one that only fails and is taken again has not.
const MOVES_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// The first decision about a run is due when it starts: one that is due later follows a step.
const FIRST_DECISION_WITHIN: SignedDuration = SignedDuration::from_secs(1);

/// `None` for a run that has just ended.
pub(super) fn open(seen: &Seen, now: Timestamp) -> Option<OpenRun> {
    if seen.closed {
        return None;
    }
    let started_at = seen.started_at.unwrap_or(now);
    let state = match (&seen.step, seen.undecided_since) {
        (None, Some(since)) => {
            RunState::Queued { moved: since.duration_since(started_at) > FIRST_DECISION_WITHIN }
        }
        (None, None) => RunState::Working { moved_at: now, progress: "between two steps".into() },
        (Some(step), _) => state(step, started_at, now),
    };
    // What is not taken says nothing of the workers of now.
    let heard_at = seen.step.as_ref().filter(|step| step.taken).and_then(|step| step.heard_at);
    Some(OpenRun { started_at, heard_at, state })
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
    // Once the time between two attempts is over, the server names no next one: it is due.
    if !step.taken && step.next_attempt_at.is_none() {
        let later_stage = step.stage.is_some_and(|stage| stage != Stage::Read);
        return RunState::Queued { moved: later_stage || step.progress.is_some() };
    }
    let moved_at = step.moved_at.unwrap_or(started_at);
    let working = |moved_at| RunState::Working { moved_at, progress: progress(step) };
    let Some(message) = &step.last_failure else { return working(moved_at) };
    // Whoever works at a step says why it failed, unless it is gone.
    let failed_side = if step.timed_out { Side::Platform } else { side };
    let unnamed = || Failure::new(FailureKind::Transient, failed_side, message.clone());
    let failure = step.failure.clone().unwrap_or_else(unnamed);
    let in_vain = match failure.kind {
        // A wait that is due at a later instant is no failure.
        FailureKind::Waiting if !step.taken => return working(now),
        FailureKind::Waiting => false,
        // A worker that stopped says nothing of the attempt after it.
        FailureKind::Draining => !step.taken,
        _ => !step.taken || fails(step, moved_at, now),
    };
    if !in_vain {
        return working(moved_at);
    }
    let failing_since = moved_at.min(now);
    RunState::Retrying { moved_at, failure: Ended { failing_since, ..failed::of(&failure, now) } }
}

/// Whether an attempt that is at work goes the way of those before it: nothing durable came of it
/// since.
fn fails(step: &OpenStep, moved_at: Timestamp, now: Timestamp) -> bool {
    // One that has told nothing has moved nothing: what is known of it is when it was taken.
    step.attempt > 1 && (step.progress.is_none() || now.duration_since(moved_at) > MOVES_WITHIN)
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

#[cfg(test)]
mod tests {
    use tidemark_model::failure::FailureClass;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn read(row_count: u64) -> Option<Progress> {
        Some(
            serde_json::from_value(serde_json::json!({
                "stage": Stage::Read,
                "row_count": row_count,
            }))
            .unwrap(),
        )
    }

    /// The second attempt, at work since the fortieth minute.
    fn again(failure: Failure) -> OpenStep {
        OpenStep {
            stage: Some(Stage::Read),
            taken: true,
            attempt: 2,
            worker: None,
            progress: read(7),
            moved_at: Some(at(10)),
            heard_at: Some(at(40)),
            last_failure: Some(failure.message.clone()),
            timed_out: false,
            failure: Some(failure),
            next_attempt_at: None,
        }
    }

    fn failed(kind: FailureKind) -> OpenStep {
        again(Failure::new(kind, Side::Source, "HTTP 502"))
    }

    #[test]
    fn an_attempt_after_others_that_failed_is_one_of_them_until_something_moved() {
        let step = failed(FailureKind::Transient);
        let RunState::Retrying { moved_at, failure } = state(&step, at(0), at(40)) else {
            panic!("it has moved nothing for half an hour");
        };
        assert_eq!((moved_at, failure.failing_since, failure.at), (at(10), at(10), at(40)));
        assert_eq!((failure.side, &*failure.message), (Side::Source, "HTTP 502"));
        let working =
            |step: &OpenStep| matches!(state(step, at(0), at(40)), RunState::Working { .. });
        assert!(working(&OpenStep { moved_at: Some(at(39)), ..step.clone() }));
        let silent = OpenStep { moved_at: Some(at(40)), progress: None, ..step.clone() };
        assert!(!working(&silent), "it was only taken");
        assert!(working(&OpenStep { attempt: 1, last_failure: None, failure: None, ..step }));
    }

    #[test]
    fn a_wait_and_a_worker_that_stopped_are_no_failures_of_what_follows() {
        for kind in [FailureKind::Waiting, FailureKind::Draining] {
            let state = state(&failed(kind), at(0), at(40));
            assert!(matches!(state, RunState::Working { moved_at, .. } if moved_at == at(10)));
        }
    }

    #[test]
    fn between_two_attempts_it_fails_since_it_last_moved() {
        let next_attempt_at = Some(at(41));
        let step = OpenStep { taken: false, next_attempt_at, ..failed(FailureKind::Transient) };
        let RunState::Retrying { failure, .. } = state(&step, at(0), at(40)) else { panic!() };
        assert_eq!(failure.failing_since, at(10));
        let step = OpenStep { moved_at: None, ..step };
        let RunState::Retrying { failure, .. } = state(&step, at(0), at(40)) else { panic!() };
        assert_eq!(failure.failing_since, at(0), "since the run began");
    }

    #[test]
    fn an_attempt_that_is_due_and_not_taken_waits_for_a_worker() {
        let kinds = [
            FailureKind::Transient,
            FailureKind::RateLimited,
            FailureKind::Waiting,
            FailureKind::Draining,
        ];
        for step in kinds.map(|kind| OpenStep { taken: false, ..failed(kind) }) {
            let queued = |moved| RunState::Queued { moved };
            assert_eq!(state(&step, at(0), at(40)), queued(true), "{step:?}");
            let unread = OpenStep { progress: None, ..step.clone() };
            assert_eq!(state(&unread, at(0), at(40)), queued(false), "{unread:?}");
            let pushing = OpenStep { stage: Some(Stage::Push), ..unread };
            assert_eq!(state(&pushing, at(0), at(40)), queued(true), "the list was read");
            let later = OpenStep { next_attempt_at: Some(at(41)), ..step };
            let state = state(&later, at(0), at(40));
            assert!(!matches!(state, RunState::Queued { .. }), "{state:?}");
        }
    }

    #[test]
    fn a_worker_that_is_gone_is_no_failure_of_the_source() {
        let lost = OpenStep { timed_out: true, failure: None, ..failed(FailureKind::Transient) };
        let RunState::Retrying { failure, .. } = state(&lost, at(0), at(40)) else { panic!() };
        assert_eq!((failure.side, failure.class), (Side::Platform, FailureClass::Platform));
        let unnamed = OpenStep { timed_out: false, ..lost };
        let RunState::Retrying { failure, .. } = state(&unnamed, at(0), at(40)) else { panic!() };
        assert_eq!(failure.side, Side::Source);
    }
}
