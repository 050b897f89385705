//! A time in which a connection has trouble, and how soon it has to be told of.

use tidemark_monitor::rules::Kind;

use crate::connection::Connection;
use crate::deadline::{APART, after_stops, promised};
use crate::script::{Damage, Script};
use crate::span::{HOUR, MINUTE, Span};
use crate::world::base;

/// How late a tick may be.
const TICK_SLACK: i64 = 10 * MINUTE;
/// How soon somebody is told, and how soon of what visibility omits.
pub(crate) const SOON: i64 = 5 * MINUTE;
const AUDITED: i64 = HOUR;

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Alone,
    /// By a new group that names it.
    Named,
    /// By a group that is known already, or that takes over from a notice of its own.
    Counted,
}

/// A time in which a connection has one kind of trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) since: i64,
    /// From when on it has to be told, by every reading.
    pub(crate) owed_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) told: bool,
    pub(crate) missed: bool,
    /// That it began was lost on the way to visibility.
    pub(crate) unpublished: bool,
    /// It was over by a hair: whether that was an end depends on the clock.
    pub(crate) again: bool,
    /// It was told by itself, and so is its end.
    pub(crate) alone: bool,
    pub(crate) closed: bool,
    /// When the case before it ended, if that was told and its end was not yet.
    pub(crate) former: Option<Former>,
}

/// A case that was told and is over, of which no end was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Former {
    pub(crate) ended_at: i64,
    pub(crate) alone: bool,
}

impl Case {
    pub(crate) fn new(kind: Kind, since: i64, owed_at: Option<i64>, unpublished: bool) -> Self {
        Self {
            kind,
            since,
            owed_at,
            ended_at: None,
            told: false,
            missed: false,
            unpublished,
            again: false,
            alone: false,
            closed: false,
            former: None,
        }
    }
}

/// The first tick that a schedule which does not fire lost, or loses.
pub(crate) fn lost_tick(now: &Connection) -> Option<i64> {
    let since = now.damage_at.filter(|_| now.damage == Some(Damage::Silent))?;
    let begun = [now.resumed_at, now.started_at, now.edited_at, now.amended_at, now.remade_at];
    let begun = begun.into_iter().flatten();
    Some((begun.fold(now.created_at, i64::max) + now.interval_longest()).max(since))
}

/// From when on it could have been told, if it has to be told at all.
pub(crate) fn told_from(
    number: usize,
    case: &Case,
    at: i64,
    now: &Connection,
    script: &Script,
) -> Option<i64> {
    let mut from = case.owed_at?;
    if let Some(tick) = lost_tick(now).filter(|_| case.kind == Kind::Schedule) {
        // While a run is open a tick may be lost or wait for its end.
        if now.run.is_some() {
            return Some(at);
        }
        let ended = now.red.map(|red| red.at).max(now.commit.map(|commit| commit.at));
        let from_tick = after_stops(tick + TICK_SLACK, now.started_at.unwrap_or(tick), script);
        from = from.max(from_tick - TICK_SLACK).max(ended.unwrap_or(from));
    }
    Some(excused(number, from, allowance(number, case, at, now, script), script))
}

/// How soon it has to be told: later if visibility does not show it.
pub(crate) fn allowance(
    number: usize,
    case: &Case,
    at: i64,
    now: &Connection,
    script: &Script,
) -> i64 {
    let span = Span { from: case.since - APART, to: at + 1 };
    let shown = script.omitted[number].within(span).next().is_none()
        && script.visibility_late.within(span).next().is_none()
        && now.damage != Some(Damage::Deleted);
    // What is published was right before an edit.
    let amended = now.amended_at >= Some(base(now)) || now.published.deadline > promised(now);
    match case.kind {
        Kind::Late if shown && !amended => SOON,
        Kind::Held | Kind::Rejecting if shown && !case.unpublished => SOON,
        _ => AUDITED,
    }
}

/// The deadline, or the last return of what the watch needs to tell: of Temporal, of the workers,
/// of a watch, or from a mute.
pub(crate) fn excused(number: usize, from: i64, allowance: i64, script: &Script) -> i64 {
    let mut from = from;
    loop {
        let span = Span { from, to: from + allowance };
        let kept = script
            .platform
            .within(span)
            .chain(script.unwatched.within(span))
            .chain(script.muted(number, span))
            .map(|kept| kept.to)
            .max();
        match kept {
            Some(to) if to > from => from = to,
            _ => return from,
        }
    }
}
