//! Who truly is late, held, refused, badly scheduled or forgotten, and since when: worked out from
//! the world and the script, never from the rules that are under test.
//!
//! Where a rule is free (whether a stop of four minutes counts as an outage, say), a notice is
//! false only if no reading of the rules allows it, and missed only if every reading asks for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use tidemark_monitor::rules::Kind;

use crate::connection::Connection;
use crate::plan::Work;
use crate::script::{Damage, Script};
use crate::span::{DAY, HOUR, MINUTE, Span};
use crate::tally::Tally;
use crate::world::base;

const FIRST_SYNC: i64 = DAY;
const STALL: i64 = 30 * MINUTE;
const CATCH_UP: i64 = 30 * MINUTE;
const LONG_PAUSE: i64 = 7 * DAY;
/// Stops that are longer are outages for certain, shorter ones for certain are not.
const SURE: i64 = 5 * MINUTE;
const PERHAPS: i64 = 2 * MINUTE;
/// By how much an outage looks longer than it was: an idle worker polls once a minute.
const SEEN: i64 = 90;
/// How soon somebody is told, and how soon of what visibility omits.
pub(crate) const SOON: i64 = 5 * MINUTE;
pub(crate) const AUDITED: i64 = HOUR;

/// A time in which a connection has one kind of trouble.
#[derive(Clone, Copy, Debug)]
struct Case {
    since: i64,
    /// For lag: the deadline without what outages add, and what it counts from.
    raw: i64,
    base: i64,
    ended_at: Option<i64>,
    told: bool,
    missed: bool,
    /// A group tells of it, and of its end.
    grouped: bool,
    closed: bool,
}

pub(crate) struct Truth {
    cases: BTreeMap<(usize, Kind), Case>,
    /// When a connection has to be looked at, and the same by connection.
    due: BinaryHeap<Reverse<(i64, usize)>>,
    queued: Vec<i64>,
    /// When a case has to have been told, or its end.
    checks: BinaryHeap<Reverse<(i64, usize, Kind)>>,
    pub(crate) tally: Tally,
}

impl Truth {
    pub(crate) fn new(connections: usize) -> Self {
        Self {
            cases: BTreeMap::new(),
            due: BinaryHeap::new(),
            queued: vec![i64::MAX; connections],
            checks: BinaryHeap::new(),
            tally: Tally::default(),
        }
    }

    /// Something happened to a connection.
    pub(crate) fn touch(&mut self, number: usize, at: i64, now: &Connection, script: &Script) {
        let running = now.exists && now.paused_since.is_none();
        if !running || base(now) + now.max_lag > at {
            self.end(number, Kind::Late, at);
        }
        let count = |kind| match (kind, now.commit) {
            (Kind::Held, Some(commit)) => commit.held,
            (_, Some(commit)) => commit.rejected,
            (_, None) => 0,
        };
        for kind in [Kind::Held, Kind::Rejecting] {
            if !now.exists || count(kind) == 0 {
                self.end(number, kind, at);
            } else if running {
                self.begin(number, kind, Case::new(at));
            } else if self.open(number, kind).is_some_and(|case| !case.told) {
                // Of a paused connection nothing has to be told.
                self.cases.remove(&(number, kind));
            }
        }
        match now.damage {
            Some(_) if now.exists => self.begin(number, Kind::Schedule, Case::new(at)),
            _ => self.end(number, Kind::Schedule, at),
        }
        if !now.exists || now.paused_since.is_none() {
            self.end(number, Kind::Paused, at);
        }
        self.queue(number, at, now, script);
    }

    /// Looks at a connection, and says when to look again.
    fn queue(&mut self, number: usize, at: i64, now: &Connection, script: &Script) {
        let next = match now.paused_since {
            _ if !now.exists => return,
            Some(since) => {
                if since + LONG_PAUSE <= at {
                    self.begin(number, Kind::Paused, Case::new(since + LONG_PAUSE));
                    return;
                }
                since + LONG_PAUSE
            }
            None if self.open(number, Kind::Late).is_some() => return,
            None => {
                let raw = raw_deadline(now, at);
                let since = after_outages(raw, base(now), script);
                if since <= at {
                    // What is late already had time for another reason until now.
                    let raw = if since < at { at } else { raw };
                    self.begin(number, Kind::Late, Case { raw, base: base(now), ..Case::new(at) });
                    return;
                }
                since
            }
        };
        if next < self.queued[number] {
            self.queued[number] = next;
            self.due.push(Reverse((next, number)));
        }
    }

    fn open(&self, number: usize, kind: Kind) -> Option<&Case> {
        self.cases.get(&(number, kind)).filter(|case| case.ended_at.is_none())
    }

    fn begin(&mut self, number: usize, kind: Kind, case: Case) {
        if let Some(before) = self.cases.get_mut(&(number, kind)) {
            match before.ended_at {
                None => return,
                // It was over by a hair, and perhaps not by the clock of the watch.
                Some(ended)
                    if before.told && !before.closed && case.since < ended + 10 * MINUTE =>
                {
                    before.ended_at = None;
                    return;
                }
                Some(_) => {}
            }
        }
        self.cases.insert((number, kind), case);
        self.checks.push(Reverse((case.since, number, kind)));
        self.tally.begun(kind);
    }

    fn end(&mut self, number: usize, kind: Kind, at: i64) {
        if let Some(case) = self.cases.get_mut(&(number, kind))
            && case.ended_at.is_none()
        {
            case.ended_at = Some(at);
            self.checks.push(Reverse((at + SOON, number, kind)));
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, to: i64, connections: &[Connection], script: &Script) {
        while let Some(Reverse((at, number))) = self.due.peek().copied()
            && at <= to
        {
            self.due.pop();
            if self.queued[number] == at {
                self.queued[number] = i64::MAX;
                self.queue(number, at, &connections[number], script);
            }
        }
        while let Some(Reverse((at, number, kind))) = self.checks.peek().copied()
            && at <= to
        {
            self.checks.pop();
            self.check(number, kind, at, &connections[number], script);
        }
    }

    fn check(&mut self, number: usize, kind: Kind, at: i64, now: &Connection, script: &Script) {
        let Some(case) = self.cases.get(&(number, kind)).copied() else { return };
        let by = match case.ended_at {
            None if case.told || case.missed => return,
            None => must_be_told_by(number, kind, &case, at, now, script),
            Some(_) if !case.told || case.grouped || case.closed => return,
            // What ends while it is muted ends without a word.
            Some(from) if muted(number, Span { from, to: at }, script).is_some() => return,
            // A schedule is seen to fire again at its next tick.
            Some(ended) if kind == Kind::Schedule => {
                excused(number, ended, now.interval + SOON, script) + now.interval + SOON
            }
            Some(ended) => excused(number, ended, SOON, script) + SOON,
        };
        if by > at {
            self.checks.push(Reverse((by, number, kind)));
            return;
        }
        let case = self.cases.get_mut(&(number, kind)).expect("it was there");
        if case.ended_at.is_some() {
            case.closed = true;
            self.tally.unclosed(kind, format!("{at}: {} {kind} {case:?}", now.id));
        } else {
            case.missed = true;
            self.tally.missed(kind, format!("{at}: {} {kind} {case:?} {now:?}", now.id));
        }
    }

    /// Somebody was told of trouble.
    pub(crate) fn told(
        &mut self,
        number: usize,
        kind: Kind,
        at: i64,
        grouped: bool,
        now: &Connection,
        script: &Script,
    ) {
        let known = self.cases.get_mut(&(number, kind));
        let known = match known {
            // It was told alone; from now on a group tells of it, and of its end.
            Some(case) if grouped && case.told && !case.closed => {
                case.grouped = true;
                return;
            }
            known => known.filter(|case| case.ended_at.is_none()),
        };
        let Some(case) = known else {
            let raw = raw_deadline(now, at);
            self.tally.lied(kind, format!("{at}: {} {kind} raw {raw} {now:?}", now.id));
            return;
        };
        if case.told {
            self.tally.twice(kind, format!("{at}: {} {kind} {case:?}", now.id));
            return;
        }
        (case.told, case.grouped) = (true, grouped);
        let case = *case;
        let allowed = allowance(number, kind, &case, at, now, script);
        let from = told_from(number, kind, &case, at, now, script);
        self.tally.told(kind, at - from, allowed == SOON);
    }

    /// Somebody was told that trouble is over.
    pub(crate) fn closed(&mut self, number: usize, kind: Kind, at: i64) {
        match self.cases.get_mut(&(number, kind)) {
            Some(case) if case.ended_at.is_some() => case.closed = true,
            case => self.tally.closed_early(kind, format!("{at}: {number} {kind} {case:?}")),
        }
    }
}

impl Case {
    fn new(since: i64) -> Self {
        Self {
            since,
            raw: since,
            base: since,
            ended_at: None,
            told: false,
            missed: false,
            grouped: false,
            closed: false,
        }
    }
}

/// The deadline, as it is at an instant, without what outages add.
fn raw_deadline(now: &Connection, at: i64) -> i64 {
    let strict = base(now) + now.max_lag;
    let begun = now.created_at.max(now.resumed_at.unwrap_or(i64::MIN));
    // The run after a long first one still belongs to it.
    let unfinished = base(now) == begun || now.behind_by_run();
    let from = unfinished.then_some(begun).max(now.edited_at);
    let Some(from) = from else { return strict };
    let progress = match (&now.run, now.red) {
        (Some((_, plan)), _) => {
            let (span, work) = plan.at(at);
            match work {
                Work::Queued | Work::Working | Work::RateLimited => span.to + STALL,
                Work::SourceDown | Work::DestinationDown | Work::Stalled => span.from + STALL,
            }
        }
        (None, Some(red)) if red.at > from => red.at,
        (None, _) => strict,
    };
    strict.max(progress.min(from + FIRST_SYNC))
}

/// When lateness begins: outages do not count, and leave time to catch up.
fn after_outages(raw: i64, base: i64, script: &Script) -> i64 {
    let mut due = raw;
    for out in script.platform.within(Span { from: base, to: i64::MAX }) {
        if out.from > due {
            break;
        }
        if out.length() >= SURE {
            due = (due + out.to - out.from.max(base)).max(out.to + CATCH_UP);
        }
    }
    due
}

/// The same, by the most lenient reading: every stop counts, what was about to be told when it
/// began has time too, and a stop that no watch saw begin or end may have been longer.
fn after_all_stops(raw: i64, base: i64, script: &Script) -> i64 {
    let mut due = raw;
    for out in script.platform.within(Span { from: base, to: i64::MAX }) {
        let unseen = |at: i64| script.unwatched.at(at);
        let from = unseen(out.from).map_or(out.from, |away| away.from.min(out.from));
        let to = unseen(out.to).map_or(out.to, |away| away.to.max(out.to));
        if from - 8 * MINUTE > due {
            break;
        }
        let lost = to - from.max(base);
        due = if out.length() >= PERHAPS {
            // It was seen to begin and to end a moment before and after it did.
            (due + lost + SEEN).max(to + CATCH_UP)
        } else {
            (due + lost).max(to)
        };
    }
    due
}

/// From when it could have been told.
fn told_from(
    number: usize,
    kind: Kind,
    case: &Case,
    at: i64,
    now: &Connection,
    script: &Script,
) -> i64 {
    let from = match (kind, now.damage) {
        (Kind::Late, _) => after_all_stops(case.raw, case.base, script).max(case.since),
        (Kind::Schedule, Some(Damage::Silent)) => {
            // A tick has to be missed, and no run be open.
            let tick = now.started_at.unwrap_or(now.created_at).max(base(now)) + now.interval;
            let tick = after_all_stops(tick.max(case.since), case.since, script);
            if now.run.is_some() { at } else { tick + 20 * MINUTE }
        }
        _ => case.since,
    };
    excused(number, from, allowance(number, kind, case, at, now, script), script)
}

fn must_be_told_by(
    number: usize,
    kind: Kind,
    case: &Case,
    at: i64,
    now: &Connection,
    script: &Script,
) -> i64 {
    told_from(number, kind, case, at, now, script) + allowance(number, kind, case, at, now, script)
}

/// How soon it has to be told: later if visibility does not show it.
fn allowance(
    number: usize,
    kind: Kind,
    case: &Case,
    at: i64,
    now: &Connection,
    script: &Script,
) -> i64 {
    let span = Span { from: case.since - MINUTE, to: at + MINUTE };
    let shown = script.omitted[number].within(span).next().is_none()
        && script.visibility_late.within(span).next().is_none()
        && now.damage != Some(Damage::Deleted);
    match kind {
        Kind::Late if shown => SOON,
        Kind::Held | Kind::Rejecting if shown && !now.unpublished => SOON,
        _ => AUDITED,
    }
}

/// The first instant from which on nothing kept the watch from telling for so long.
fn excused(number: usize, from: i64, allowance: i64, script: &Script) -> i64 {
    let mut from = from;
    loop {
        let span = Span { from, to: from + allowance };
        // Every restart of a watch as well: it has to see the workers poll first.
        let kept = script
            .platform
            .within(span)
            .chain(script.unwatched.within(span))
            .chain(script.watches.iter().flat_map(|down| down.within(span)))
            .chain(muted(number, span, script))
            .map(|kept| kept.to)
            .max();
        match kept {
            Some(to) if to > from => from = to,
            _ => return from,
        }
    }
}

/// The last mute of a connection that shares an instant with a span.
fn muted(number: usize, span: Span, script: &Script) -> Option<Span> {
    let mutes = script.mutes.iter().filter(|mute| {
        (mute.first..mute.first + mute.count).contains(&number)
            && mute.span.from < span.to
            && mute.span.to > span.from
    });
    mutes.map(|mute| mute.span).max_by_key(|span| span.to)
}
