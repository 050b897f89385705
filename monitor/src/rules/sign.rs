//! Signs of life: of Temporal, of the workers, and of the watch itself.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::activity::Activity;
use super::memory::Memory;
use super::mute::Muted;
use super::outage::{Noted, Outage, Part, earlier, later};
use super::settings::Settings;
use super::watch::Seen;

/// An idle worker asks once a minute, which the next pass sees. After longer than that, those that
/// may be at work are listened to: early enough that nobody has to be doubted.
const LISTENED_AFTER: SignedDuration = SignedDuration::from_secs(80);

/// The last ones that a watch has seen, by its clock. A new watch goes on with those of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signs {
    /// The last pass, and the first of those that followed each other until then.
    pub(super) awake_at: Option<Timestamp>,
    awake_since: Option<Timestamp>,
    /// The same of passes in which Temporal answered.
    complete_at: Option<Timestamp>,
    complete_since: Option<Timestamp>,
    /// When a worker last asked for work, by Temporal's clock.
    polled_at: Option<Timestamp>,
    /// When that was last seen to change, or when a worker was last heard of otherwise.
    polling_at: Option<Timestamp>,
    /// The poll that was last seen to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
}

impl Signs {
    /// Whether no worker was seen to ask for work for a while.
    pub(super) fn nobody_asks(&self, now: Timestamp) -> bool {
        self.heard.is_none_or(|heard| now.duration_since(heard.not_before) >= LISTENED_AFTER)
    }
}

/// A poll by two clocks, so that what Temporal's says of other signs can be read on that of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heard {
    /// By Temporal's.
    polled_at: Timestamp,
    /// By that of the watch: the pass before it was seen to change.
    not_before: Timestamp,
}

/// A time in which nobody watched, until it is known what went on then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blind {
    /// The last pass before.
    awake_at: Timestamp,
    /// When Temporal and the workers gave their last signs before.
    pub(super) alive_at: Timestamp,
}

impl Blind {
    /// If no watch made a pass for long.
    pub(super) fn of(memory: &Memory, now: Timestamp, settings: &Settings) -> Option<Self> {
        let Signs { awake_at, complete_at, polling_at, .. } = memory.signs;
        let awake_at = awake_at?;
        let alive_at =
            [complete_at, polling_at].into_iter().flatten().fold(awake_at, Timestamp::min);
        let away = now.duration_since(awake_at) >= settings.away_after;
        away.then_some(Self { awake_at, alive_at })
    }
}

/// Notes what is out and what is back. Whether connections may be called late now. `signs` are what
/// this watch has seen itself: the clocks of several are not the same. `beat_at`: since when a worker
/// was heard of at its step, as two looks show.
pub(super) fn note(
    signs: &mut Option<Signs>,
    memory: &mut Memory,
    seen: &Seen<'_>,
    beat_at: Option<Timestamp>,
    settings: &Settings,
) -> bool {
    let now = seen.now;
    let quiet = seen.mutes.iter().any(|mute| mute.what == Muted::Everything && now < mute.until);
    let mut own = signs.take().unwrap_or_else(|| memory.signs.clone());
    note_pass(&mut own, memory, now, settings);
    let calm = if seen.temporal {
        note_answer(&mut own, memory, now, settings);
        note_workers(&mut own, memory, seen, beat_at, settings)
    } else {
        note_no_answer(&own, memory, now, settings);
        false
    };
    memory.signs = own.clone();
    *signs = Some(own);
    let told: Vec<_> =
        memory.outages.iter_mut().filter_map(|noted| noted.tell(now, quiet, settings)).collect();
    told.into_iter().for_each(|notice| memory.tell(notice));
    calm
}

/// A watch that was away says so.
fn note_pass(own: &mut Signs, memory: &mut Memory, now: Timestamp, settings: &Settings) {
    if let Some(blind) = Blind::of(memory, now, settings) {
        memory.blind.get_or_insert(blind);
        let outage = Outage { part: Part::Watch, since: blind.awake_at, until: Some(now) };
        memory.outages.push(Noted::new(outage, blind.awake_at, now));
    }
    follow(&mut own.awake_since, own.awake_at.replace(now), now, settings);
}

/// When what is seen now and was seen `before` began to be seen.
fn follow(
    since: &mut Option<Timestamp>,
    before: Option<Timestamp>,
    now: Timestamp,
    settings: &Settings,
) {
    if before.is_none_or(|before| now.duration_since(before) >= settings.doubted_after) {
        *since = Some(now);
    }
}

fn note_no_answer(own: &Signs, memory: &mut Memory, now: Timestamp, settings: &Settings) {
    // Another watch may have had an answer.
    let since = own.complete_at.max(memory.signs.complete_at).unwrap_or(now);
    let seen_at = own.awake_since.map_or(since, |awake| awake.max(since));
    if now.duration_since(seen_at) >= settings.silent_after
        && memory.outage(Part::Temporal).is_none()
    {
        // The workers may have stopped before.
        let stopped_at = own.polling_at.map_or(since, |polling| polling.min(since));
        let outage = Outage { part: Part::Temporal, since, until: None };
        memory.outages.push(Noted::new(outage, stopped_at, seen_at));
    }
}

fn note_answer(own: &mut Signs, memory: &mut Memory, now: Timestamp, settings: &Settings) {
    if let Some(noted) = memory.outage(Part::Temporal) {
        noted.end(now);
    }
    follow(&mut own.complete_since, own.complete_at, now, settings);
}

fn note_workers(
    own: &mut Signs,
    memory: &mut Memory,
    seen: &Seen<'_>,
    beat_at: Option<Timestamp>,
    settings: &Settings,
) -> bool {
    let now = seen.now;
    let passed_at = own.complete_at.replace(now);
    let since = own.complete_since.unwrap_or(now);
    let polled_before = std::mem::replace(&mut own.polled_at, seen.workers);
    // What changed while nobody looked may have changed long ago.
    let polling = since < now && seen.workers.is_some() && seen.workers != polled_before;
    if polling {
        let before = own.polling_at.replace(now);
        own.heard = seen
            .workers
            .zip(passed_at)
            .map(|(polled_at, not_before)| Heard { polled_at, not_before });
        // They needed a moment to find Temporal again: until now it was no use to them.
        let unused =
            |noted: &&mut Noted| noted.stop.part == Part::Temporal && noted.stop.until > before;
        if let Some(noted) = memory.outages.iter_mut().rev().find(unused) {
            noted.stop.until = Some(now);
        }
    }
    // All workers may have their hands full: then none asks for more, and those at work are heard.
    let heard_at = heard_at(own, seen, since).max(beat_at);
    own.polling_at = own.polling_at.max(heard_at);
    let polling_at = own.polling_at;
    let silent_since = polling_at.map_or(since, |polling| polling.max(since));
    let silent = !polling && now.duration_since(silent_since) >= settings.silent_after;
    let calm = (seen.workers.is_some() || heard_at.is_some())
        && polling_at >= Some(since)
        && now.duration_since(silent_since) < settings.doubted_after;
    let mut stopped_at = polling_at.unwrap_or(since);
    if (calm || silent)
        && let Some(blind) = memory.blind.take()
        && let Some(activity) = &seen.activity
    {
        look_back(memory, activity, blind, now, silent, settings);
        if let Some(last) = activity.last_before(now, settings) {
            stopped_at = stopped_at.max(earlier(last, settings.skew)).min(now);
        }
    }
    match memory.outage(Part::Workers) {
        Some(noted) if polling || heard_at > Some(noted.seen_at) => noted.end(now),
        None if silent => {
            let outage = Outage { part: Part::Workers, since: stopped_at, until: None };
            memory.outages.push(Noted::new(outage, stopped_at, now));
        }
        Some(_) | None => {}
    }
    calm
}

/// When a worker at work was last heard of after the last poll, by the clock of the watch: by as much
/// as that is later on Temporal's clock, and so later than it was by the time between two polls at most.
fn heard_at(own: &Signs, seen: &Seen<'_>, since: Timestamp) -> Option<Timestamp> {
    // Of a poll that another watch has seen, only that one's clock is known.
    let heard = own.heard.filter(|heard| heard.not_before >= since)?;
    let runs = seen.looks.iter().filter_map(|look| look.facts.as_ref()?.run.as_ref()?.heard_at);
    let newest = runs.max().filter(|newest| *newest > heard.polled_at)?;
    Some(later(heard.not_before, newest.duration_since(heard.polled_at)).min(seen.now))
}

/// Finds out what went on while no watch was there: runs that ended show that nothing was out.
fn look_back(
    memory: &mut Memory,
    activity: &Activity,
    blind: Blind,
    now: Timestamp,
    silent: bool,
    settings: &Settings,
) {
    for noted in memory.outages.iter_mut().filter(|noted| noted.stops_runs()) {
        let lasted = noted.stop.until.is_none_or(|until| until > blind.awake_at);
        // By the clock of any watch.
        let seen = noted.seen_at <= later(blind.awake_at, settings.skew);
        if seen && lasted {
            // It was seen to begin, and is over when a run ends.
            if let Some(first) = activity.first_after(blind.awake_at, settings) {
                let until = later(first, settings.skew).min(noted.stop.until.unwrap_or(now));
                noted.end(until);
            }
        } else if !seen
            && noted.stop.since <= later(blind.alive_at, settings.skew)
            && let Some(last) = activity.last_before(noted.seen_at, settings)
        {
            // It was not, and had not begun while runs ended.
            let since = earlier(last, settings.skew).min(noted.seen_at);
            noted.stop.since = noted.stop.since.max(since);
        }
    }
    for (since, until) in activity.gaps(blind.alive_at, now, settings) {
        let known = |noted: &Noted| {
            noted.stops_runs()
                && noted.stop.since <= later(since, settings.away_after)
                && noted.stop.until.is_none_or(|end| until <= later(end, settings.away_after))
        };
        // The last one is told as the outage that it is.
        let told = silent && until == now;
        if told || memory.outages.iter().any(known) {
            continue;
        }
        let outage = Outage { part: Part::Unseen, since, until: Some(until) };
        memory.outages.push(Noted::new(outage, since, now));
    }
}
