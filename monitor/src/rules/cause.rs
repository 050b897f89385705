//! Why a connection is late, held, or not as it should be.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_model::ids::ConnectionId;

use super::facts::{Ended, Facts, OpenRun, RunState, ScheduleState};
use super::outage::later;
use super::settings::Settings;

/// A cause, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum Cause {
    /// There is no schedule, though the connection is defined.
    ScheduleMissing,
    /// The schedule does not tick and act as the definition says.
    ScheduleEdited,
    /// There is a schedule, though the connection is not defined.
    ScheduleUndefined,
    /// Its tick passed, and no run was started.
    NotFiring { since: Option<Timestamp> },
    /// A run is open, and no worker has taken its next step.
    WaitingForWorker { since: Timestamp },
    /// The other side asked for a pause.
    RateLimited { until: Timestamp, side: Side, system: Arc<str> },
    /// Runs, or the attempts of the open one, fail.
    Failing {
        since: Timestamp,
        class: FailureClass,
        side: Side,
        system: Arc<str>,
        kind: FailureKind,
        /// May quote the other side: whoever shows it has to escape it.
        message: Arc<str>,
    },
    /// A run is open and progresses; it takes longer than `max_lag`.
    Working { since: Timestamp, progress: Arc<str>, system: Arc<str> },
    /// A run is open and neither progresses nor fails.
    Stalled { since: Timestamp },
    /// No run has committed or failed, nothing is open: between two runs.
    NoRun,
    /// The same of one that was never in step.
    NoRunYet { applied_at: Timestamp },
    /// Removals wait for an operator.
    Held { count: u64 },
    /// The destination refuses records.
    Rejecting { count: u64 },
    /// Paused long ago, and perhaps forgotten.
    Paused { since: Timestamp },
}

impl Cause {
    /// Why a connection is late.
    #[must_use]
    pub fn of_lag(facts: &Facts, now: Timestamp, settings: &Settings) -> Self {
        if facts.schedule == ScheduleState::Missing {
            return Self::ScheduleMissing;
        }
        if let Some(run) = &facts.run {
            if let Some(ended) =
                facts.ended.as_ref().filter(|_| is_young(facts, run, now, settings))
            {
                return failing(facts, ended);
            }
            return match &run.state {
                RunState::Queued { .. } => Self::WaitingForWorker { since: run.started_at },
                RunState::RateLimited { side, until } => {
                    Self::RateLimited { until: *until, side: *side, system: system(facts, *side) }
                }
                RunState::Retrying { failure, .. } => failing(facts, failure),
                RunState::Working { moved_at, progress } => {
                    if later(*moved_at, settings.stalled_after) < now {
                        Self::Stalled { since: *moved_at }
                    } else {
                        Self::Working {
                            since: run.started_at,
                            progress: progress.clone(),
                            system: system(facts, Side::Source),
                        }
                    }
                }
            };
        }
        // That it starts nothing is what somebody made of it.
        let edited = matches!(facts.schedule, ScheduleState::Present { as_defined: false, .. });
        match not_firing(facts, now, settings) {
            Some(_) if edited => return Self::ScheduleEdited,
            Some(since) => return Self::NotFiring { since },
            None => {}
        }
        match (&facts.ended, &facts.commit) {
            (Some(ended), _) => failing(facts, ended),
            (None, _) if edited => Self::ScheduleEdited,
            (None, Some(_)) => Self::NoRun,
            (None, None) => Self::NoRunYet { applied_at: facts.terms.created_at },
        }
    }

    /// The cause at a new look, with what was known of it before. How long something fails is seen
    /// by the newest runs only: since the earliest that was seen, if it is still the same.
    pub(super) fn known_before(mut self, before: &Self) -> Self {
        if let (
            Self::Failing { since, class, side, kind, .. },
            Self::Failing {
                since: earlier,
                class: class_before,
                side: side_before,
                kind: kind_before,
                ..
            },
        ) = (&mut self, before)
            && (*class, *side, *kind) == (*class_before, *side_before, *kind_before)
        {
            *since = (*since).min(*earlier);
        }
        self
    }

    /// Connections whose causes have the same key have one cause. `None` for one that is a
    /// connection's own business.
    pub(super) fn group(&self, connection: &ConnectionId) -> Option<String> {
        Some(match self {
            Self::ScheduleMissing => "schedule-missing".to_owned(),
            Self::ScheduleEdited => "schedule-edited".to_owned(),
            Self::ScheduleUndefined => "schedule-undefined".to_owned(),
            Self::NotFiring { .. } => "not-firing".to_owned(),
            Self::WaitingForWorker { .. } => "waiting-for-worker".to_owned(),
            Self::RateLimited { system, .. } => format!("rate-limited/{system}"),
            Self::Failing { class: FailureClass::User, .. } => {
                format!("failing/user/{}", connection.account())
            }
            Self::Failing { class, system, .. } => format!("failing/{class}/{system}"),
            Self::Working { system, .. } => format!("working/{system}"),
            Self::NoRun | Self::NoRunYet { .. } => "no-run".to_owned(),
            Self::Paused { .. } => format!("paused/{}", connection.account()),
            Self::Stalled { .. } | Self::Held { .. } | Self::Rejecting { .. } => return None,
        })
    }

    /// The cause in a word or two, without what is particular to a connection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ScheduleMissing => "schedule missing",
            Self::ScheduleEdited => "schedule edited",
            Self::ScheduleUndefined => "schedule without a definition",
            Self::NotFiring { .. } => "not firing",
            Self::WaitingForWorker { .. } => "waiting for a worker",
            Self::RateLimited { .. } => "rate limited",
            Self::Failing { class, .. } => match class {
                FailureClass::User => "failing, user",
                FailureClass::Source => "failing, source",
                FailureClass::Destination => "failing, destination",
                FailureClass::Platform => "failing, platform",
            },
            Self::Working { .. } => "still running",
            Self::Stalled { .. } => "stalled",
            Self::NoRun => "no run",
            Self::NoRunYet { .. } => "never in step",
            Self::Held { .. } => "held",
            Self::Rejecting { .. } => "rejecting",
            Self::Paused { .. } => "paused",
        }
    }

    /// What to look at or do next for this connection.
    #[must_use]
    pub fn hint(&self, connection: &ConnectionId) -> String {
        match self {
            Self::ScheduleMissing | Self::ScheduleEdited => {
                format!("tidemark get {connection} -o toml | tidemark apply -")
            }
            Self::ScheduleUndefined => format!("tidemark doctor {connection} --fix"),
            Self::NotFiring { .. } | Self::NoRun | Self::NoRunYet { .. } => {
                format!("tidemark start {connection}")
            }
            Self::WaitingForWorker { .. } => "start more workers: tidemark worker".to_owned(),
            Self::RateLimited { .. } | Self::Working { .. } | Self::Stalled { .. } => {
                format!("tidemark watch {connection}")
            }
            Self::Failing { .. } => format!("tidemark inspect {connection}"),
            Self::Held { .. } => format!("tidemark exceptions {connection} list --kind held"),
            Self::Rejecting { .. } => format!("tidemark exceptions {connection} list"),
            Self::Paused { .. } => format!("tidemark resume {connection}"),
        }
    }
}

/// When a schedule last started a run, if its next tick passed since and nothing was started.
pub(super) fn not_firing(
    facts: &Facts,
    now: Timestamp,
    settings: &Settings,
) -> Option<Option<Timestamp>> {
    let ScheduleState::Present { paused: None, started_at, .. } = &facts.schedule else {
        return None;
    };
    if facts.run.is_some() {
        return None;
    }
    let overdue_at = later(ticks_from(facts), facts.terms.interval + settings.tick_slack);
    (overdue_at < now).then_some(*started_at)
}

/// What the next tick counts from. An edit counts as a start: it may have moved the ticks, and its
/// interval says nothing of those before it.
pub(super) fn ticks_from(facts: &Facts) -> Timestamp {
    let from = facts.terms.created_at.max(facts.terms.applied_at);
    let ScheduleState::Present { resumed_at, created_at, started_at, .. } = &facts.schedule else {
        return from;
    };
    [*resumed_at, *created_at, *started_at, facts.terms.reread_at]
        .into_iter()
        .flatten()
        .fold(from, Timestamp::max)
}

/// Whether an open run began too short a time ago to be why its connection is late: if those before
/// it failed, they are.
fn is_young(facts: &Facts, run: &OpenRun, now: Timestamp, settings: &Settings) -> bool {
    let old_after = match run.state {
        RunState::Working { moved_at, .. } if later(moved_at, settings.stalled_after) < now => {
            return false;
        }
        RunState::Working { .. } => facts.terms.max_lag,
        RunState::Queued { .. } => settings.doubted_after,
        RunState::RateLimited { .. } | RunState::Retrying { .. } => return false,
    };
    now < later(run.started_at, old_after)
}

fn failing(facts: &Facts, ended: &Ended) -> Cause {
    Cause::Failing {
        since: ended.failing_since,
        class: ended.class,
        side: ended.side,
        system: system(facts, ended.side),
        kind: ended.kind,
        message: short(&ended.message),
    }
}

/// Causes are remembered for many at once: a long message is cut.
fn short(message: &Arc<str>) -> Arc<str> {
    const LONGEST: usize = 300;

    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let (kept, _) = message.split_at(end);
            format!("{kept}…").into()
        }
        None => Arc::clone(message),
    }
}

fn system(facts: &Facts, side: Side) -> Arc<str> {
    match side {
        Side::Source => Arc::clone(&facts.terms.source),
        Side::Destination => Arc::clone(&facts.terms.destination),
        Side::Platform => "tidemark".into(),
    }
}

/// One line without the connection's name.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScheduleMissing => f.write_str("its schedule is missing"),
            Self::ScheduleEdited => f.write_str("its schedule is not as the definition says"),
            Self::ScheduleUndefined => {
                f.write_str("a schedule without a definition: it runs nothing that is defined")
            }
            Self::NotFiring { since: Some(since) } => {
                write!(f, "its schedule has started no run since {since:.0}")
            }
            Self::NotFiring { since: None } => f.write_str("its schedule has never started a run"),
            Self::WaitingForWorker { since } => {
                write!(f, "its run has waited for a worker since {since:.0}")
            }
            Self::RateLimited { until, system, .. } => {
                write!(f, "{system} asked for a pause until {until:.0}")
            }
            Self::Failing { since, class, kind, message, .. } => {
                write!(
                    f,
                    "failing since {since:.0} ({}; {class} must act): {message}",
                    kind.as_str()
                )
            }
            Self::Working { since, progress, .. } => {
                write!(f, "still running since {since:.0}, and progressing: {progress}")
            }
            Self::Stalled { since } => write!(f, "its run has made no progress since {since:.0}"),
            Self::NoRun => f.write_str("no run has committed or failed since its last commit"),
            Self::NoRunYet { applied_at } => {
                write!(
                    f,
                    "never in step: no run has committed or failed since it was applied at \
                     {applied_at:.0}"
                )
            }
            Self::Held { count } => write!(f, "removals wait for a decision: {count}"),
            Self::Rejecting { count } => write!(f, "records are refused: {count}"),
            Self::Paused { since } => write!(f, "paused since {since:.0}"),
        }
    }
}
