//! Failures as Temporal knows them: the one place where a kind becomes a retry and a delay.

use std::time::Duration;

use temporalio_common::{
    ActivityError,
    error::{ApplicationErrorCategory, ApplicationFailure},
};
use tidemark_model::failure::{Failure, FailureKind};
use tidemark_workflows::sync::StepFailure;

/// The delay after the first failure, and the one that no number of failures exceeds.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);
/// As soon as possible: to Temporal, a delay of 0 is none at all, and a failure for good.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The most bytes of a text, and the most causes. The failure is in the history twice, in words
/// and as details.
const TEXT_BYTES: usize = 1_000;
const CAUSES: usize = 4;

/// What becomes of a step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt is made after this time.
    Retry { delay: Duration },
    /// The step ends as cancelled.
    Cancelled,
    /// The step failed for good.
    Final,
}

/// Decides. `failure_count` counts the failures since the last durable page or batch, this one not
/// included; `jitter`, from 0 to 1, spreads attempts that failed together.
#[must_use]
pub fn verdict(failure: &Failure, failure_count: u32, jitter: f64) -> Verdict {
    if failure.kind == FailureKind::Cancelled {
        return Verdict::Cancelled;
    }
    if !failure.kind.retryable() {
        return Verdict::Final;
    }
    let delay = match (failure.kind, failure.retry_after) {
        (FailureKind::Draining, _) => AT_ONCE,
        (_, Some(asked)) => asked.max(AT_ONCE),
        (_, None) => backoff(failure_count, jitter),
    };
    Verdict::Retry { delay }
}

/// Whether a failure makes the delays of the next ones longer. A wait of a stated length does not,
/// and neither does a worker that goes down; a brake that states none is asked less and less often.
pub(crate) fn counts(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Waiting | FailureKind::Draining => false,
        FailureKind::RateLimited => failure.retry_after.is_none(),
        _ => true,
    }
}

/// 1 s, and twice as long after each further failure, up to 60 s; the upper half of it by chance.
fn backoff(failure_count: u32, jitter: f64) -> Duration {
    let longest = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(failure_count)).min(LAST_DELAY);
    let half = longest / 2;
    (half + half.mul_f64(jitter.clamp(0.0, 1.0))).max(FIRST_DELAY)
}

/// The failure as an activity returns it.
#[must_use]
pub fn to_temporal(failure: Failure, verdict: Verdict, attempt: u32) -> ActivityError {
    let failure = bounded(failure);
    let delay = match verdict {
        Verdict::Cancelled => return ActivityError::cancelled(),
        Verdict::Retry { delay } => Some(delay),
        Verdict::Final => None,
    };
    let application = ApplicationFailure::builder(text(&failure))
        .type_name(failure.kind.as_str().to_owned())
        .non_retryable(delay.is_none())
        .maybe_next_retry_delay(delay)
        .category(category(failure.kind))
        .details(StepFailure { failure, attempt })
        .build();
    ActivityError::application(application)
}

/// The failure with texts that fit a history: whoever wrote them may have quoted an answer.
pub(crate) fn bounded(mut failure: Failure) -> Failure {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(TEXT_BYTES));
    cut(&mut failure.message);
    failure.hint.iter_mut().for_each(cut);
    failure.causes.truncate(CAUSES);
    failure.causes.iter_mut().for_each(cut);
    failure
}

/// What, why, who, and the next step, in one line: the Web UI shows it while a step is retried.
fn text(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    for cause in &failure.causes {
        text.push_str(": ");
        text.push_str(cause);
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!(" ({} must act: {hint})", failure.class()));
    }
    text
}

/// What is no error at all does not count as one in the server's metrics.
fn category(kind: FailureKind) -> ApplicationErrorCategory {
    match kind {
        FailureKind::Draining | FailureKind::Waiting | FailureKind::RateLimited => {
            ApplicationErrorCategory::Benign
        }
        FailureKind::Transient
        | FailureKind::Unauthenticated
        | FailureKind::Forbidden
        | FailureKind::Gone
        | FailureKind::Invalid
        | FailureKind::Rejected
        | FailureKind::Unproven
        | FailureKind::Conflict
        | FailureKind::Corrupt
        | FailureKind::Cancelled
        | FailureKind::Bug => ApplicationErrorCategory::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use tidemark_model::failure::Side;

    use super::*;

    const KINDS: [FailureKind; 14] = [
        FailureKind::Transient,
        FailureKind::RateLimited,
        FailureKind::Waiting,
        FailureKind::Unauthenticated,
        FailureKind::Forbidden,
        FailureKind::Gone,
        FailureKind::Invalid,
        FailureKind::Rejected,
        FailureKind::Unproven,
        FailureKind::Conflict,
        FailureKind::Corrupt,
        FailureKind::Draining,
        FailureKind::Cancelled,
        FailureKind::Bug,
    ];

    #[test]
    fn the_table() {
        let mut table = String::new();
        for kind in KINDS {
            for asked in [None, Some(Duration::from_secs(90))] {
                let mut failure = Failure::new(kind, Side::Source, "x");
                failure.retry_after = asked;
                let verdict = verdict(&failure, 2, 0.5);
                let application = match to_temporal(failure.clone(), verdict, 3) {
                    ActivityError::Application(application) => format!(
                        "type {}, non_retryable {}, next_retry_delay {:?}, {:?}",
                        application.type_name().unwrap(),
                        application.is_non_retryable(),
                        application.next_retry_delay(),
                        application.category(),
                    ),
                    ActivityError::Cancelled { .. } => "cancelled".to_owned(),
                    ActivityError::WillCompleteAsync => unreachable!(),
                    _ => unreachable!(),
                };
                let asked = asked.map_or("-".to_owned(), |asked| format!("{asked:?}"));
                table.push_str(&format!(
                    "{:<16} {:<4} {:<11} {application}\n",
                    kind.as_str(),
                    asked,
                    failure.class()
                ));
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn delays_grow_from_a_second_to_a_minute() {
        let seconds: Vec<f64> = (0..8).map(|count| backoff(count, 1.0).as_secs_f64()).collect();
        assert_eq!(seconds, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!(backoff(u32::MAX, 0.0), Duration::from_secs(30));
        assert_eq!(backoff(0, 0.0), Duration::from_secs(1));
    }

    /// The delays, in seconds, of attempts that fail one after the other.
    fn delays(failure: &Failure) -> Vec<u64> {
        let mut count = 0;
        let delay = |_| {
            let Verdict::Retry { delay } = verdict(failure, count, 1.0) else { unreachable!() };
            count += u32::from(counts(failure));
            delay.as_secs()
        };
        (0..4).map(delay).collect()
    }

    #[test]
    fn a_brake_is_asked_less_and_less_often_unless_it_says_when() {
        let brake = Failure::new(FailureKind::RateLimited, Side::Source, "slow down");
        assert_eq!(delays(&brake), [1, 2, 4, 8]);
        assert_eq!(delays(&brake.retry_after(Duration::from_secs(7))), [7, 7, 7, 7]);
        let wait = Failure::new(FailureKind::Waiting, Side::Destination, "not before ten")
            .retry_after(Duration::from_secs(3));
        assert_eq!(delays(&wait), [3, 3, 3, 3]);
        let trouble = Failure::new(FailureKind::Transient, Side::Source, "is in trouble");
        assert_eq!(delays(&trouble), [1, 2, 4, 8]);
    }

    #[test]
    fn a_wait_of_nothing_is_not_a_failure_for_good() {
        let failure = Failure::new(FailureKind::RateLimited, Side::Source, "slow down")
            .retry_after(Duration::ZERO);
        assert_eq!(verdict(&failure, 0, 0.0), Verdict::Retry { delay: AT_ONCE });
    }

    #[test]
    fn a_failure_stays_small_whatever_it_quotes() {
        let quoted = "ä".repeat(100_000);
        let failure = Failure {
            causes: vec![quoted.clone(); 100],
            ..Failure::new(FailureKind::Transient, Side::Source, &quoted).hint(&quoted)
        };
        let failure = bounded(failure);
        let size = serde_json::to_vec(&failure).unwrap().len() + text(&failure).len();
        assert!(size < 16 * 1024, "{size} bytes");
    }

    #[test]
    fn the_text_says_what_why_who_and_what_next() {
        let failure =
            Failure::new(FailureKind::Unauthenticated, Side::Source, "the key was refused")
                .hint("set ACME_KEY and start the worker again")
                .caused_by(&std::io::Error::other("401"));
        assert_eq!(
            text(&failure),
            "the key was refused: 401 (user must act: set ACME_KEY and start the worker again)"
        );
    }
}
