//! What a watch can see of the world: what the store and Temporal say.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_monitor::rules::{
    Activity, Commit, Edit, Ended, Facts, Mute, Muted, OpenRun, Paused, RunState, ScheduleState,
    Terms,
};

use crate::connection::{Amended, Connection};
use crate::plan::Work;
use crate::script::{ACCOUNT, Damage};
use crate::span::{HOUR, MINUTE, second, shown};
use crate::world::{SAMPLED, World};

/// An idle worker asks for work so often.
const POLL: i64 = MINUTE;
/// One at work gives a sign of life so often.
const BEAT: i64 = 16;
/// So long the server remembers who asked.
const POLLS_KEPT: i64 = 5 * MINUTE;

/// What the store and Temporal say of a connection, each by its own clock.
pub(crate) fn facts(connection: &Connection, at: i64, world: &World) -> Facts {
    let server = |at: i64| shown(at, world.script.server_skew);
    let skew = world.script.source_skew[connection.source];
    let ended = |at: i64, since: i64, on_source: bool, refused: bool| Ended {
        at: server(at),
        failing_since: server(since),
        side: if on_source { Side::Source } else { Side::Destination },
        class: match (refused, on_source) {
            (true, _) => FailureClass::User,
            (false, true) => FailureClass::Source,
            (false, false) => FailureClass::Destination,
        },
        kind: if refused { FailureKind::Unauthenticated } else { FailureKind::Transient },
        message: world.words.clone(),
    };
    let edit = |amended: &Amended| Edit {
        at: server(amended.at),
        before: SignedDuration::from_secs(amended.before),
        after: SignedDuration::from_secs(amended.after),
    };
    let run = connection.run.as_ref().map(|(started_at, plan)| {
        let (span, work) = plan.at(at);
        let retrying = |on_source| RunState::Retrying {
            moved_at: server(span.from),
            failure: ended(at, span.from, on_source, false),
        };
        let working = |moved_at| RunState::Working {
            moved_at: server(moved_at),
            progress: world.words.clone(),
        };
        OpenRun {
            started_at: server(*started_at),
            heard_at: (work == Work::Working)
                .then(|| server(span.from.max(at - at.rem_euclid(BEAT)))),
            state: match work {
                Work::Queued => RunState::Queued { moved: plan.has_moved(at) },
                // A page now and then.
                Work::Working => working(span.from.max(at - 200)),
                Work::Stalled => working(span.from),
                Work::RateLimited => {
                    RunState::RateLimited { side: Side::Source, until: server(span.to) }
                }
                Work::SourceDown => retrying(true),
                Work::DestinationDown => retrying(false),
            },
        }
    });
    let schedule = match connection.damage {
        Some(Damage::Deleted) => ScheduleState::Missing,
        damage => ScheduleState::Present {
            paused: connection.paused_since.map(|since| Paused { since: Some(server(since)) }),
            resumed_at: connection.resumed_at.map(server),
            started_at: connection.started_at.map(server),
            created_at: Some(server(connection.remade_at.unwrap_or(connection.created_at))),
            as_defined: damage != Some(Damage::Edited),
        },
    };
    Facts {
        terms: Terms {
            max_lag: SignedDuration::from_secs(connection.max_lag),
            interval: SignedDuration::from_secs(connection.interval_longest()),
            created_at: server(connection.created_at),
            applied_at: server(connection.amended_at.unwrap_or(connection.created_at)),
            edits: connection.amended.iter().map(edit).collect(),
            reread_at: connection.edited_at.map(server),
            source: connection.source_name.clone(),
            destination: connection.destination_name.clone(),
        },
        schedule,
        commit: connection.commit.map(|commit| Commit {
            number: commit.number,
            complete_as_of: shown(commit.read_at, skew),
            committed_at: server(commit.at),
            // Nobody creates one twice.
            since_created: true,
            held_count: commit.held,
            rejected_count: commit.rejected,
            exception_count: commit.held + commit.rejected,
        }),
        ended: connection.red.map(|red| ended(red.at, red.since, red.on_source, red.refused)),
        run,
    }
}

/// When a worker last asked for work, as far as the server remembers.
pub(crate) fn polled_at(at: i64, world: &World) -> Option<i64> {
    let script = &world.script;
    let out = |at: i64| script.workers.at(at).into_iter().chain(script.temporal.at(at)).next();
    let up_until = out(at).map_or(at, |out| out.from - 1);
    let last = up_until - up_until.rem_euclid(POLL);
    let polled = match script.platform.last_before(up_until) {
        // It asked when it, or the server, came back.
        Some(back) if back.to > last => back.to,
        _ => last,
    };
    (at - polled < POLLS_KEPT).then_some(polled)
}

/// The runs of a sample that ended since an instant of the watch.
pub(crate) fn activity(since: Timestamp, world: &World) -> Activity {
    let since = second(since) - HOUR;
    let sample = world.connections.iter().take(SAMPLED);
    let per_hour = |one: &Connection| 3_600.0 / i32::try_from(one.interval).map_or(1e9, f64::from);
    Activity {
        ended_at: world
            .ends
            .iter()
            .rev()
            .take_while(|end| **end > since)
            .map(|end| shown(*end, world.script.server_skew))
            .collect(),
        runs_per_hour: sample.filter(|one| one.fires()).map(per_hour).sum(),
    }
}

pub(crate) fn mutes(at: i64, world: &World) -> Vec<Mute> {
    let on = world.script.mutes.iter().filter(|mute| mute.span.holds(at));
    on.flat_map(|mute| {
        (mute.first..mute.first + mute.count).step_by(ACCOUNT).filter_map(|first| {
            Some(Mute {
                what: Muted::Account(world.connections.get(first)?.id.account()),
                until: shown(mute.span.to, 10 * MINUTE),
                reason: "known".to_owned(),
                by: "ops".to_owned(),
            })
        })
    })
    .collect()
}
