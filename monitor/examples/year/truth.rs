//! Who truly is late, held, refused, badly scheduled or forgotten, and since when: worked out from
//! the world and the script, never from the rules that are under test.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tidemark_monitor::rules::Kind;

use crate::case::{Case, Former, How, SOON, allowance, excused, lost_tick, told_from};
use crate::connection::Connection;
use crate::deadline::{APART, Deadline, promised};
use crate::script::Script;
use crate::span::{DAY, HOUR, Span};
use crate::tally::Tally;
use crate::world::base;

const LONG_PAUSE: i64 = 7 * DAY;

pub(crate) struct Truth {
    /// Of each connection, the newest case of each kind.
    cases: Vec<Vec<Case>>,
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
            cases: vec![Vec::new(); connections],
            due: BinaryHeap::new(),
            queued: vec![i64::MAX; connections],
            checks: BinaryHeap::new(),
            tally: Tally::default(),
        }
    }

    /// Something happened to a connection.
    pub(crate) fn touch(&mut self, number: usize, at: i64, now: &Connection, script: &Script) {
        let running = now.exists && now.paused_since.is_none();
        let exceptions = now.commit.map_or((0, 0), |commit| (commit.held, commit.rejected));
        for (kind, count) in [(Kind::Held, exceptions.0), (Kind::Rejecting, exceptions.1)] {
            if !now.exists || count == 0 {
                self.end(number, kind, at);
            } else if running {
                self.begin(number, kind, at, Some(at), now.unpublished);
            } else if self.open(number, kind).is_some_and(|case| !case.told) {
                // Of a paused connection nothing has to be told.
                self.end(number, kind, at);
            }
        }
        match now.damage {
            Some(_) if now.exists => self.begin(number, Kind::Schedule, at, Some(at), false),
            _ => self.end(number, Kind::Schedule, at),
        }
        if running || !now.exists {
            self.end(number, Kind::Paused, at);
        }
        self.look(number, at, now, script);
    }

    /// Looks at what time alone changes, and says when to look again.
    fn look(&mut self, number: usize, at: i64, now: &Connection, script: &Script) {
        let mut next = i64::MAX;
        if let Some(since) = now.paused_since.filter(|_| now.exists) {
            if since + LONG_PAUSE <= at {
                self.begin(number, Kind::Paused, at, Some(at), false);
            } else {
                next = since + LONG_PAUSE;
            }
        }
        if !now.exists || now.paused_since.is_some() || promised(now) > at {
            self.end(number, Kind::Late, at);
        }
        if now.exists && now.paused_since.is_none() {
            next = next.min(self.look_at_lag(number, at, now, script));
        }
        if next < self.queued[number] {
            self.queued[number] = next;
            self.due.push(Reverse((next, number)));
        }
    }

    /// When to look again.
    fn look_at_lag(&mut self, number: usize, at: i64, now: &Connection, script: &Script) -> i64 {
        if self.open(number, Kind::Late).is_some_and(|case| case.told) {
            return i64::MAX;
        }
        let Deadline { earliest, latest, stands_until } = Deadline::of(now, at, script);
        if earliest > at {
            // It has time again before anybody had to be told.
            self.end(number, Kind::Late, at);
            return earliest.min(stands_until);
        }
        self.begin(number, Kind::Late, at, None, false);
        let case = self.case(number, Kind::Late).expect("it has just begun");
        let owed_at = (latest <= at).then_some(at);
        if case.owed_at.is_none() || owed_at.is_none() {
            case.owed_at = owed_at;
            if owed_at.is_some() && !case.told {
                self.checks.push(Reverse((at, number, Kind::Late)));
            }
        }
        if latest <= at { stands_until } else { latest.min(stands_until) }
    }

    fn case(&mut self, number: usize, kind: Kind) -> Option<&mut Case> {
        self.cases[number].iter_mut().find(|case| case.kind == kind)
    }

    fn open(&self, number: usize, kind: Kind) -> Option<&Case> {
        self.cases[number].iter().find(|case| case.kind == kind && case.ended_at.is_none())
    }

    fn begin(
        &mut self,
        number: usize,
        kind: Kind,
        at: i64,
        owed_at: Option<i64>,
        unpublished: bool,
    ) {
        let mut fresh = Case::new(kind, at, owed_at, unpublished);
        match self.case(number, kind) {
            Some(Case { ended_at: None, .. }) => return,
            // It was over by a hair, and perhaps not by the clock of the watch.
            Some(case)
                if case.told
                    && !case.closed
                    && case.ended_at.is_some_and(|end| at < end + SOON) =>
            {
                (case.ended_at, case.again) = (None, true);
                return;
            }
            Some(case) => {
                let alone = case.alone;
                let told = case.ended_at.filter(|_| case.told && !case.closed);
                let former = told.map(|ended_at| Former { ended_at, alone });
                fresh.former = former.or(case.former);
                *case = fresh;
            }
            None => self.cases[number].push(fresh),
        }
        self.tally.begun(kind);
        if owed_at.is_some() {
            self.checks.push(Reverse((at, number, kind)));
        }
    }

    fn end(&mut self, number: usize, kind: Kind, at: i64) {
        if let Some(case) = self.case(number, kind)
            && case.ended_at.is_none()
        {
            case.ended_at = Some(at);
            if case.told {
                self.checks.push(Reverse((at + SOON, number, kind)));
            }
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
                self.look(number, at, &connections[number], script);
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
        let Some(case) = self.case(number, kind).map(|case| *case) else { return };
        let by = match case.ended_at {
            None if case.told || case.missed => return,
            None => {
                let Some(from) = told_from(number, &case, at, now, script) else { return };
                from + allowance(number, &case, at, now, script)
            }
            Some(_) if !case.told || !case.alone || case.closed => return,
            // The commit that ended it is not the last one any more, and that one was not in time.
            Some(ended) if script.unwatched.at(ended).is_some() && perhaps_slow(now) => at + SOON,
            Some(ended) => excused(number, ended, SOON, script) + SOON,
        };
        if by > at {
            self.checks.push(Reverse((by, number, kind)));
            return;
        }
        // What it was told of was over and began again while nobody watched, and nobody can know:
        // that notice still stands.
        let away = case.former.and_then(|former| script.unwatched.at(former.ended_at));
        if case.ended_at.is_none() && away.is_some_and(|away| case.since < away.to) {
            let case = self.case(number, kind).expect("it was there");
            let former = case.former.take();
            (case.told, case.alone) = (true, former.is_some_and(|former| former.alone));
            return;
        }
        let case = self.case(number, kind).expect("it was there");
        let around = Span { from: base(now).min(at - HOUR), to: at + HOUR };
        if case.ended_at.is_some() {
            case.closed = true;
            let text = format!("{at}: {case:?} {now:?}; {}", script.around(number, around));
            self.tally.unclosed(kind, text);
        } else {
            case.missed = true;
            let text = format!("{at}: {case:?} {now:?}; {}", script.around(number, around));
            self.tally.missed(kind, text);
        }
    }

    /// Somebody was told of trouble.
    pub(crate) fn told(
        &mut self,
        number: usize,
        kind: Kind,
        at: i64,
        how: How,
        now: &Connection,
        script: &Script,
    ) {
        let grouped = how != How::Alone;
        if let Some(case) = self.case(number, kind)
            && case.told
            && !case.closed
            && (grouped || case.ended_at.is_none())
        {
            let before = *case;
            case.again &= how == How::Counted;
            if how != How::Counted && !before.again {
                self.tally.twice(kind, format!("{at}: {} {before:?}", now.id));
            }
            return;
        }
        if kind == Kind::Late
            && self.open(number, kind).is_none()
            && now.exists
            && now.paused_since.is_none()
            && Deadline::known(now, at, script) <= at
        {
            self.begin(number, kind, at, None, false);
        }
        let muted = script.muted(number, Span { from: at, to: at + 1 }).is_some();
        let early = kind == Kind::Schedule && lost_tick(now).is_some_and(|tick| at < tick);
        let Some(case) = self.case(number, kind).filter(|case| case.ended_at.is_none()) else {
            self.lied(number, kind, at, now, script);
            return;
        };
        (case.told, case.alone) = (true, !grouped);
        let former = case.former.take();
        let case = *case;
        if former.is_some_and(|former| former.alone) {
            self.tally.unclosed(kind, format!("{at}: the one before {case:?} {now:?}"));
        }
        if muted || early {
            self.lied(number, kind, at, now, script);
        }
        let from = told_from(number, &case, at, now, script).unwrap_or(at);
        let soon = allowance(number, &case, at, now, script) == SOON;
        self.tally.told(kind, at - from, soon);
    }

    fn lied(&mut self, number: usize, kind: Kind, at: i64, now: &Connection, script: &Script) {
        let deadline = Deadline::of(now, at, script);
        let around = script.around(number, Span { from: base(now).min(at - HOUR), to: at + HOUR });
        let case = self.case(number, kind).map(|case| *case);
        self.tally.lied(kind, format!("{at}: {deadline:?} {case:?} {now:?}; {around}"));
    }

    /// Somebody was told that trouble is over.
    pub(crate) fn closed(&mut self, number: usize, kind: Kind, at: i64) {
        match self.case(number, kind) {
            Some(case) if case.former.is_some() && !case.told => case.former = None,
            Some(case) if case.ended_at.is_some() => case.closed = true,
            // It was over by a hair, by that clock, and is told anew.
            Some(case) if case.again => {
                *case = Case::new(kind, at, Some(at), case.unpublished);
                self.checks.push(Reverse((at, number, kind)));
            }
            case => {
                let text = format!("{at}: {number} {kind} {case:?}");
                self.tally.closed_early(kind, text);
            }
        }
    }
}

/// Whether its last commit may not have been in time.
fn perhaps_slow(now: &Connection) -> bool {
    now.commit.is_some_and(|commit| commit.at - commit.read_at > now.max_lag - APART)
}
