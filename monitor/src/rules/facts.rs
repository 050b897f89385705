//! What is known of one connection at one look.
//!
//! Instants are by whichever clock wrote them: a watermark by the source's, starts and pauses by
//! Temporal's, commits by the workers'.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidemark_model::failure::{FailureClass, FailureKind, Side};

/// A connection that is defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub terms: Terms,
    pub schedule: ScheduleState,
    /// The newest commit.
    pub commit: Option<Commit>,
    /// The newest run that ended without a commit, if it is newer than the commit.
    pub ended: Option<Ended>,
    /// The run that is open.
    pub run: Option<OpenRun>,
}

/// What the definition promises, and where its ends are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub max_lag: SignedDuration,
    /// The longest time between two ticks, jitter included.
    pub interval: SignedDuration,
    /// When the connection was first applied.
    pub created_at: Timestamp,
    /// When the definition that holds was applied: its first tick comes after that.
    pub applied_at: Timestamp,
    /// The edits of `max_lag`, oldest first; none that a watermark has made up for need be here.
    pub edits: Vec<Edit>,
    /// When an edit was applied after which the list has to be read in full, if no commit of it
    /// stands yet that was in time.
    pub reread_at: Option<Timestamp>,
    /// The systems at the ends, such as `mailchimp us1`: what fails for many at once.
    pub source: Arc<str>,
    pub destination: Arc<str>,
}

/// An edit of the lag that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    pub at: Timestamp,
    pub before: SignedDuration,
    pub after: SignedDuration,
}

/// The schedule, as describing it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleState {
    Missing,
    Present {
        /// Whether it is paused.
        paused: Option<Paused>,
        /// When its last pause was undone, if its note says so.
        resumed_at: Option<Timestamp>,
        /// When it was made, which it may have been again.
        created_at: Option<Timestamp>,
        /// When it last started a run.
        started_at: Option<Timestamp>,
        /// Whether it ticks and acts as the definition says.
        as_defined: bool,
    },
}

/// A pause that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    /// Since when, if its note says so: Temporal itself does not keep it.
    pub since: Option<Timestamp>,
}

/// The newest commit, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    pub number: u64,
    /// The watermark.
    pub complete_as_of: Timestamp,
    /// When it was made.
    pub committed_at: Timestamp,
    /// Whether its run worked under a definition of the connection since it was created, which no
    /// clock has to say.
    pub since_created: bool,
    /// Removals that wait for an operator.
    pub held_count: u64,
    /// Records that the destination refuses.
    pub rejected_count: u64,
    /// Records that are not in step, for whatever reason.
    pub exception_count: u64,
}

impl Commit {
    /// Whether its run took no longer than `max_lag`. The next run makes up for one that did.
    #[must_use]
    pub fn in_time(&self, max_lag: SignedDuration) -> bool {
        self.committed_at.duration_since(self.complete_as_of) <= max_lag
    }
}

/// A run that ended without a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub at: Timestamp,
    /// Since when every run failed; `at` if only this one is known.
    pub failing_since: Timestamp,
    pub side: Side,
    pub class: FailureClass,
    pub kind: FailureKind,
    /// May quote the other side.
    pub message: Arc<str>,
}

/// A run that is open.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRun {
    pub started_at: Timestamp,
    /// When a worker that is at it last gave a sign of life, by Temporal's clock.
    pub heard_at: Option<Timestamp>,
    pub state: RunState,
}

/// What an open run is at.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// No worker has taken its next step yet.
    Queued {
        /// Whether an earlier step of the run, or an attempt, did something durable.
        moved: bool,
    },
    /// The other side asked for a pause.
    RateLimited { side: Side, until: Timestamp },
    /// A step is at work, or between two attempts that made progress.
    Working {
        /// When the last durable page or batch was written, or the step was taken.
        moved_at: Timestamp,
        /// How far it is, in words.
        progress: Arc<str>,
    },
    /// The last attempts failed.
    Retrying { moved_at: Timestamp, failure: Ended },
}

impl Facts {
    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused().is_some()
    }

    pub(super) fn paused(&self) -> Option<Paused> {
        match &self.schedule {
            ScheduleState::Present { paused, .. } => *paused,
            ScheduleState::Missing => None,
        }
    }

    /// When more lag was last allowed than before, if no watermark is newer: it had a new deadline
    /// from then on.
    pub(super) fn lengthened_at(&self) -> Option<Timestamp> {
        let watermark = self.commit.map(|commit| commit.complete_as_of);
        let lengthening = self.terms.edits.iter().filter(|edit| edit.after > edit.before);
        lengthening.map(|edit| edit.at).max().filter(|at| Some(*at) > watermark)
    }

    pub(super) fn resumed_at(&self) -> Option<Timestamp> {
        match &self.schedule {
            ScheduleState::Present { resumed_at, .. } => *resumed_at,
            ScheduleState::Missing => None,
        }
    }
}
