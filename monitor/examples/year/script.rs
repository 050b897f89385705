//! What happens in the simulated month, drawn from the seed beforehand.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::deadline::SURE;
use crate::span::{DAY, HOUR, MINUTE, Span, Spans};

pub(crate) const SOURCES: usize = 8;
pub(crate) const DESTINATIONS: usize = 40;

/// Connections of an account.
pub(crate) const ACCOUNT: usize = 20;

/// How large the simulation is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) connections: usize,
    pub(crate) days: i64,
}

/// Something that happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Remove,
    Pause,
    Resume,
    /// An edit after which the list is read in full.
    Edit,
    /// Another schedule, and another lag that is allowed.
    Amend {
        interval: i64,
        max_lag: i64,
    },
    Break(Damage),
    Repair,
    /// Temporal is back and starts what it missed.
    Return,
}

/// What somebody, or a bug, does to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Deleted,
    Edited,
    Silent,
}

/// Something that happens to some connections.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: i64,
    pub(crate) act: Act,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// Something that is so for some connections for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) span: Span,
}

/// The month.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) size: Size,
    /// Connections that exist at the begin; the others are created later.
    pub(crate) initial: usize,
    pub(crate) temporal: Spans,
    pub(crate) workers: Spans,
    /// Either of them.
    pub(crate) platform: Spans,
    /// Either of them for so long that it counts.
    pub(crate) outages: Spans,
    /// For each watch, when it is down.
    pub(crate) watches: Vec<Spans>,
    /// When none is up.
    pub(crate) unwatched: Spans,
    pub(crate) sources: Vec<Spans>,
    pub(crate) destinations: Vec<Spans>,
    /// Visibility is late by an hour.
    pub(crate) visibility_late: Spans,
    pub(crate) events: Vec<Event>,
    // What follows is by connection, except for mutes.
    pub(crate) rate_limits: Vec<Spans>,
    /// Keys that are refused.
    pub(crate) refused: Vec<Spans>,
    /// Runs take far longer.
    pub(crate) slow: Vec<Spans>,
    pub(crate) omitted: Vec<Spans>,
    pub(crate) holds: Vec<Spans>,
    pub(crate) rejections: Vec<Spans>,
    pub(crate) mutes: Vec<Spell>,
    /// Seconds that clocks are ahead.
    pub(crate) source_skew: Vec<i64>,
    pub(crate) server_skew: i64,
}

struct Draw {
    rng: StdRng,
    size: Size,
}

impl Draw {
    fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..high)
    }

    /// Spans that begin anywhere after the first hours, so many in 30 days.
    fn spans(&mut self, per_month: i64, low: i64, high: i64) -> Vec<Span> {
        let count = (per_month * self.size.days + 29) / 30;
        (0..count)
            .map(|_| {
                let from = self.between(6 * HOUR, self.size.days * DAY);
                Span::new(from, self.between(low, high))
            })
            .collect()
    }

    /// So many connections of a thousand in 30 days, for a while each.
    fn spells(&mut self, per_mille: i64, low: i64, high: i64) -> Vec<Spell> {
        let connections = self.size.connections;
        let per_month = (per_mille * i64::try_from(connections).unwrap_or(i64::MAX) + 999) / 1_000;
        let spans = self.spans(per_month, low, high);
        spans
            .into_iter()
            .map(|span| Spell { first: self.rng.random_range(0..connections), count: 1, span })
            .collect()
    }

    /// A few connections, be the installation small or large, from early on.
    fn few(&mut self, low: i64, high: i64) -> Vec<Spell> {
        let connections = self.size.connections;
        (0..(connections / 500).max(4))
            .map(|_| {
                let from = self.between(6 * HOUR, self.size.days * DAY / 5);
                let span = Span::new(from, self.between(low, high));
                Spell { first: self.rng.random_range(0..connections), count: 1, span }
            })
            .collect()
    }

    /// The same for accounts, which are runs of neighbours.
    fn bulk(&mut self, per_month: i64, low: i64, high: i64) -> Vec<Spell> {
        let count = self.size.connections / 50;
        let spans = self.spans(per_month, low, high);
        spans
            .into_iter()
            .map(|span| {
                let first = self.rng.random_range(0..self.size.connections - count);
                // Whole accounts.
                let (first, count) = (first / ACCOUNT * ACCOUNT, count.next_multiple_of(ACCOUNT));
                Spell { first, count, span }
            })
            .collect()
    }
}

impl Script {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let mut draw = Draw { rng: StdRng::seed_from_u64(seed), size };
        let mut temporal = draw.spans(2, 6 * MINUTE, 4 * HOUR);
        temporal.extend(draw.spans(20, 5, 100));
        let mut workers = draw.spans(2, 6 * MINUTE, 5 * HOUR);
        // Deploys.
        workers.extend(draw.spans(30, 20, 100));
        let watch_count = if seed.is_multiple_of(3) { 2 } else { 1 };
        let mut watches = Vec::new();
        for _ in 0..watch_count {
            let mut down = draw.spans(3, 10 * MINUTE, 6 * HOUR);
            down.extend(draw.spans(30, 1, 40));
            // It goes down with what it watches, and misses an outage altogether.
            if let Some(long) = temporal.first() {
                down.push(Span { from: long.from - 40 * MINUTE, to: long.to + 3 * MINUTE });
            }
            if let Some(long) = workers.first() {
                let from = long.from + long.length() / 2;
                down.push(Span { from, to: long.to + 30 * MINUTE });
            }
            watches.push(Spans::of(down));
        }
        let (temporal, workers) = (Spans::of(temporal), Spans::of(workers));
        let platform = || temporal.iter().chain(workers.iter());
        let outages = Spans::of(platform().filter(|out| out.length() >= SURE).collect());
        let platform = Spans::of(platform().collect());
        let each = |draw: &mut Draw, count: usize, per_month, low, high| {
            (0..count).map(|_| Spans::of(draw.spans(per_month, low, high))).collect()
        };
        let sources = each(&mut draw, SOURCES, 1, 20 * MINUTE, 12 * HOUR);
        let destinations = each(&mut draw, DESTINATIONS, 1, 20 * MINUTE, 30 * HOUR);
        let initial = size.connections * 9 / 10;
        let mut events = events(&mut draw, initial, &temporal);
        let mut amending = Draw { rng: StdRng::seed_from_u64(seed ^ 0xed17), size };
        events.extend(amendments(&mut amending, &temporal));
        events.sort_by_key(|event| event.at);
        let skew = |draw: &mut Draw| draw.between(-MINUTE, MINUTE + 1);
        // Some fail while visibility has nothing of them.
        let hidden = draw.few(12 * HOUR, 3 * DAY);
        let with_hidden = |mut spells: Vec<Spell>| {
            spells.extend(&hidden);
            each_of(size, &spells)
        };
        Self {
            size,
            initial,
            unwatched: overlap(&watches),
            temporal,
            workers,
            platform,
            outages,
            watches,
            sources,
            destinations,
            visibility_late: Spans::of(draw.spans(4, 10 * MINUTE, 3 * HOUR)),
            events,
            rate_limits: each_of(size, &draw.bulk(20, 5 * MINUTE, 6 * HOUR)),
            refused: with_hidden(draw.spells(6, HOUR, 3 * DAY)),
            slow: each_of(size, &draw.spells(10, HOUR, 2 * DAY)),
            omitted: with_hidden(draw.spells(20, HOUR, 5 * DAY)),
            holds: each_of(size, &draw.spells(5, HOUR, 3 * DAY)),
            rejections: each_of(size, &draw.spells(8, HOUR, 5 * DAY)),
            mutes: draw.bulk(10, HOUR, 2 * DAY),
            source_skew: (0..SOURCES).map(|_| skew(&mut draw)).collect(),
            server_skew: skew(&mut draw),
        }
    }

    /// When the month ends.
    pub(crate) fn end(&self) -> i64 {
        self.size.days * DAY
    }

    /// What was not as always for a connection: to find out why it was judged as it was.
    pub(crate) fn around(&self, number: usize, span: Span) -> String {
        let list = |name: &str, spans: &Spans| -> Vec<String> {
            spans.within(span).map(|one| format!("{name} {}..{}", one.from, one.to)).collect()
        };
        let mut found = list("temporal", &self.temporal);
        found.extend(list("workers", &self.workers));
        for (watch, down) in self.watches.iter().enumerate() {
            found.extend(list(&format!("watch {watch}"), down));
        }
        found.extend(list("visibility", &self.visibility_late));
        found.extend(list("omitted", &self.omitted[number]));
        found.extend(list("limited", &self.rate_limits[number]));
        let muted = self.muted(number, span);
        found.extend(muted.map(|mute| format!("muted {}..{}", mute.from, mute.to)));
        found.join(", ")
    }

    /// The last mute of a connection that shares an instant with a span.
    pub(crate) fn muted(&self, number: usize, span: Span) -> Option<Span> {
        let mutes = self.mutes.iter().filter(|mute| {
            (mute.first..mute.first + mute.count).contains(&number)
                && mute.span.from < span.to
                && mute.span.to > span.from
        });
        mutes.map(|mute| mute.span).max_by_key(|span| span.to)
    }

    /// How far a watch's clock is ahead. It is set anew every five days.
    pub(crate) fn watch_skew(&self, watch: usize, at: i64) -> i64 {
        let step = at / (5 * DAY) + 7 * i64::try_from(watch).unwrap_or_default();
        (step * 47 + self.server_skew + 60) % 121 - 60
    }
}

fn events(draw: &mut Draw, initial: usize, temporal: &Spans) -> Vec<Event> {
    let mut events = Vec::new();
    let mut note = |at, act, first, count| events.push(Event { at, act, first, count });
    for outage in temporal.iter() {
        note(outage.to, Act::Return, 0, draw.size.connections);
    }
    // Most of the new ones come in bulk.
    let mut first = initial;
    while first < draw.size.connections {
        let bulk = if draw.rng.random_bool(0.1) { draw.size.connections / 30 } else { 1 };
        let count = bulk.clamp(1, draw.size.connections - first);
        note(draw.between(HOUR, draw.size.days * DAY), Act::Create, first, count);
        first += count;
    }
    for spell in draw.bulk(12, HOUR, 10 * DAY) {
        note(spell.span.from, Act::Pause, spell.first, spell.count);
        note(spell.span.to, Act::Resume, spell.first, spell.count);
    }
    for spell in draw.spells(10, HOUR, 9 * DAY) {
        note(spell.span.from, Act::Pause, spell.first, 1);
        note(spell.span.to, Act::Resume, spell.first, 1);
    }
    for spell in draw.spells(10, 1, 2) {
        note(spell.span.from, Act::Remove, spell.first, 1);
    }
    for spell in draw.spells(10, 1, 2) {
        note(spell.span.from, Act::Edit, spell.first, 1);
    }
    for damage in [Damage::Deleted, Damage::Edited, Damage::Silent] {
        for spell in draw.spells(3, 10 * MINUTE, 2 * DAY) {
            note(spell.span.from, Act::Break(damage), spell.first, 1);
            note(spell.span.to, Act::Repair, spell.first, 1);
        }
        for spell in draw.few(3 * HOUR, 2 * DAY) {
            note(spell.span.from, Act::Break(damage), spell.first, 1);
            note(spell.span.to, Act::Repair, spell.first, 1);
        }
    }
    // Paused and forgotten.
    for spell in draw.few(7 * DAY + 3 * HOUR, 20 * DAY) {
        note(spell.span.from, Act::Pause, spell.first, 1);
        note(spell.span.to, Act::Resume, spell.first, 1);
    }
    for event in events.iter_mut().filter(|event| event.act != Act::Return) {
        // Without Temporal nothing can be done to a schedule.
        if let Some(out) = temporal.at(event.at) {
            event.at = out.to + draw.between(1, MINUTE);
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

/// Schedules, and lags that are allowed, are edited: of one connection, and of accounts.
fn amendments(draw: &mut Draw, temporal: &Spans) -> Vec<Event> {
    let mut spells = draw.spells(30, 1, 2);
    spells.extend(draw.bulk(6, 1, 2));
    let amend = |spell: Spell| {
        let interval = [15 * MINUTE, HOUR, HOUR, 6 * HOUR, DAY][draw.rng.random_range(0..5_usize)];
        let max_lag =
            [interval * 3 / 2, interval * 3, interval * 5][draw.rng.random_range(0..3_usize)];
        let at = match temporal.at(spell.span.from) {
            Some(out) => out.to + draw.between(1, MINUTE),
            None => spell.span.from,
        };
        let act = Act::Amend { interval, max_lag };
        Event { at, act, first: spell.first, count: spell.count }
    };
    spells.into_iter().map(amend).collect()
}

/// The spells of each connection.
fn each_of(size: Size, spells: &[Spell]) -> Vec<Spans> {
    let mut spans = vec![Vec::new(); size.connections];
    for spell in spells {
        for one in spans.iter_mut().skip(spell.first).take(spell.count) {
            one.push(spell.span);
        }
    }
    spans.into_iter().map(Spans::of).collect()
}

/// When all are down.
fn overlap(all: &[Spans]) -> Spans {
    let Some((first, others)) = all.split_first() else { return Spans::default() };
    let mut common: Vec<Span> = first.iter().collect();
    for other in others {
        common = common
            .iter()
            .flat_map(|one| {
                other.iter().filter_map(|span| {
                    let (from, to) = (one.from.max(span.from), one.to.min(span.to));
                    (from < to).then_some(Span { from, to })
                })
            })
            .collect();
    }
    Spans::of(common)
}
