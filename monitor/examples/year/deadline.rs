//! Until when a connection truly has time: the promise, by the one true clock.
//!
//! Nobody in the simulation sees this clock. Where clocks that are two minutes apart leave it open
//! on which side of a line something is, there are two readings: a notice is false only if it is
//! earlier than the earliest one allows, and missing only if the latest one asks for it.

use crate::connection::Connection;
use crate::plan::Work;
use crate::script::{Damage, Script};
use crate::span::{DAY, MINUTE, Span};
use crate::world::base;

const FIRST_SYNC: i64 = DAY;
const STALL: i64 = 30 * MINUTE;
const CATCH_UP: i64 = 30 * MINUTE;
/// How far clocks are apart, at most.
pub(crate) const APART: i64 = 2 * MINUTE;
/// Stops that are longer are outages for certain, shorter ones for certain are not: it takes four
/// minutes of silence, an idle worker polls once a minute, and two watches look in turns.
pub(crate) const SURE: i64 = 5 * MINUTE;
const PERHAPS: i64 = 2 * MINUTE;
/// By how much the begin and the end of a stop may be misjudged by a watch that sees them, and by
/// one that has to guess them from the runs that ended, by another clock.
const SEEN: i64 = 100;
const GUESSED: i64 = 6 * MINUTE;

/// The two readings of an instant, and when it has to be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
    /// Until then nothing changes by itself.
    pub(crate) stands_until: i64,
}

impl Deadline {
    /// The deadline as the world is at an instant, with what outages add.
    pub(crate) fn of(now: &Connection, at: i64, script: &Script) -> Self {
        let raw = Self::raw(now, at);
        Self {
            earliest: after_outages(raw.earliest, base(now), i64::MAX, script),
            latest: after_stops(raw.latest, base(now), script),
            ..raw
        }
    }

    /// From when on a notice of that instant was not false: of a stop that had just begun nobody
    /// could know that it was to last.
    pub(crate) fn known(now: &Connection, at: i64, script: &Script) -> i64 {
        let raw = Self::raw(now, at);
        let lost = lost_base(now);
        after_outages(raw.earliest, lost, at - SURE, script)
    }

    /// Without what outages add.
    fn raw(now: &Connection, at: i64) -> Self {
        let strict = promised(now);
        let begun = now.created_at.max(now.resumed_at.unwrap_or(i64::MIN));
        let resumed = now.resumed_at.is_some_and(|resumed| resumed > now.created_at);
        let (surely_up, perhaps_up) = now.commit.map_or((false, false), |commit| {
            // The resume and the watermark are of two clocks, as are the ends of a run. Every commit
            // is after the creation.
            let after = if resumed { commit.read_at - begun } else { i64::MAX };
            let took = commit.at - commit.read_at - now.max_lag;
            (after > 2 * APART && took <= -APART, after > 0 && took <= APART)
        });
        let mut deadline = Self { earliest: strict, latest: strict, stands_until: i64::MAX };
        let grace = |unfinished: bool| unfinished.then_some(begun).max(now.edited_at);
        if let Some(from) = grace(!surely_up) {
            // A run that ended may have done so before a resume, by the other clock.
            let (until, stands_until) = progressing(now, at, from, from + APART);
            deadline.latest = strict.max(until);
            deadline.stands_until = stands_until;
        }
        if let Some(from) = grace(!perhaps_up) {
            deadline.earliest = strict.max(progressing(now, at, from, from).0);
        }
        if now.damage == Some(Damage::Deleted) {
            // What it knew of a resume is lost.
            deadline.earliest = deadline.earliest.min(lost_base(now) + now.max_lag);
        }
        deadline
    }
}

/// What was promised, if nothing is excused: who edits the lag that is allowed cannot make a
/// connection late at once that was in time, and has no more patience with one that was not.
pub(crate) fn promised(now: &Connection) -> i64 {
    let base = base(now);
    let mut due = base + now.amended.first().map_or(now.max_lag, |first| first.before);
    for edit in &now.amended {
        due = (base + edit.after).max(due.min(edit.at + edit.after));
    }
    due
}

/// What lag counts from, as far as that can still be known.
fn lost_base(now: &Connection) -> i64 {
    if now.damage == Some(Damage::Deleted) {
        now.commit.map_or(now.created_at, |commit| commit.read_at.max(now.created_at))
    } else {
        base(now)
    }
}

/// Until when what began at `from` makes progress, and when this has to be asked for again. A run that
/// failed makes none, and one that has done nothing yet, after one that failed after `red_from`, is
/// excused by no place in the queue.
fn progressing(now: &Connection, at: i64, from: i64, red_from: i64) -> (i64, i64) {
    let Some((_, plan)) = &now.run else { return (i64::MIN, i64::MAX) };
    let (span, work) = plan.at(at);
    let failed_before = now.red.is_some_and(|red| red.at > red_from);
    let until = match work {
        Work::Queued if failed_before && !plan.has_moved(at) => i64::MIN,
        Work::Queued => i64::MAX,
        Work::Working | Work::RateLimited => span.to + STALL,
        Work::SourceDown | Work::DestinationDown | Work::Stalled => span.from + STALL,
    };
    // At its end somebody hears of what comes of it.
    (until.min(from + FIRST_SYNC), if span.to > at { span.to } else { i64::MAX })
}

/// The time of outages does not count, and after one there is time to catch up: of those that
/// began until `known`.
fn after_outages(raw: i64, base: i64, known: i64, script: &Script) -> i64 {
    let mut due = raw;
    for out in script.outages.within(Span { from: base, to: i64::MAX }) {
        if out.from > due.min(known) {
            break;
        }
        due = (due + out.to - out.from.max(base)).max(out.to + CATCH_UP);
    }
    due
}

/// The same with every stop that can be taken for an outage, as long as it can look. One that
/// begins when the clocks do not yet agree that the time is up counts.
pub(crate) fn after_stops(raw: i64, base: i64, script: &Script) -> i64 {
    let mut due = raw;
    for out in script.platform.within(Span { from: base - GUESSED, to: i64::MAX }) {
        if out.length() < PERHAPS {
            continue;
        }
        let around = Span { from: out.from - MINUTE, to: out.to + MINUTE };
        let guessed = script.unwatched.within(around).next().is_some();
        let error = if guessed { GUESSED } else { SEEN };
        let (from, to) = (out.from - error, out.to + error);
        if from - 2 * APART > due {
            break;
        }
        if to > base {
            due = (due + to - from.max(base)).max(to + CATCH_UP);
        }
    }
    due
}
