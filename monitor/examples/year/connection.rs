//! A connection of the simulation, as it truly is.

use std::sync::Arc;

use rand::{RngExt, rngs::StdRng};
use tidemark_model::ids::ConnectionId;

use crate::plan::Plan;
use crate::script::{ACCOUNT, Damage, Script};
use crate::span::{DAY, HOUR, MINUTE};

/// A commit: what it covers, by the true clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    pub(crate) number: u64,
    pub(crate) read_at: i64,
    pub(crate) at: i64,
    pub(crate) held: u64,
    pub(crate) rejected: u64,
}

/// A run that ended red.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Red {
    pub(crate) at: i64,
    pub(crate) since: i64,
    pub(crate) on_source: bool,
    /// Its key was refused.
    pub(crate) refused: bool,
}

/// An edit of the lag that is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amended {
    pub(crate) at: i64,
    pub(crate) before: i64,
    pub(crate) after: i64,
}

/// What visibility shows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) deadline: i64,
    pub(crate) flagged: bool,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) source: usize,
    pub(crate) destination: usize,
    pub(crate) source_name: Arc<str>,
    pub(crate) destination_name: Arc<str>,
    pub(crate) interval: i64,
    pub(crate) phase: i64,
    /// How much later than its tick a run may start.
    pub(crate) jitter: i64,
    pub(crate) max_lag: i64,
    /// What its runs take.
    pub(crate) work: i64,

    pub(crate) exists: bool,
    pub(crate) created_at: i64,
    /// When its terms were last edited, how often, and what that did to the lag that is allowed.
    pub(crate) amended_at: Option<i64>,
    pub(crate) version: u32,
    pub(crate) amended: Vec<Amended>,
    pub(crate) paused_since: Option<i64>,
    pub(crate) resumed_at: Option<i64>,
    /// An edit that no commit in time has answered yet, and whether the list was read since.
    pub(crate) edited_at: Option<i64>,
    pub(crate) reread: bool,
    pub(crate) damage: Option<Damage>,
    pub(crate) damage_at: Option<i64>,
    /// When its schedule was made anew.
    pub(crate) remade_at: Option<i64>,
    pub(crate) started_at: Option<i64>,
    pub(crate) run: Option<(i64, Plan)>,
    /// Told apart by this, an event of a run that is no more means nothing.
    pub(crate) generation: u32,
    pub(crate) buffered: bool,
    pub(crate) missed: bool,
    pub(crate) commit: Option<Committed>,
    pub(crate) red: Option<Red>,
    /// What visibility shows, and whether the newest was lost on the way to it.
    pub(crate) published: Published,
    pub(crate) unpublished: bool,
}

impl Connection {
    pub(crate) fn new(number: usize, script: &Script, rng: &mut StdRng) -> Self {
        let interval = match rng.random_range(0..20) {
            0 => 15 * MINUTE,
            1..=15 => HOUR,
            16..=18 => 6 * HOUR,
            _ => DAY,
        };
        let max_lag = match rng.random_range(0..10) {
            0 => interval * 3 / 2,
            1..=8 => interval * 3,
            _ => interval * 5,
        };
        let work = match rng.random_range(0..50) {
            0 => rng.random_range(MINUTE..interval / 3),
            1..=5 => rng.random_range(10..5 * MINUTE),
            _ => rng.random_range(2..MINUTE),
        };
        let source = rng.random_range(0..script.sources.len());
        let destination = rng.random_range(0..script.destinations.len());
        Self {
            id: format!("a{}/l{number}", number / ACCOUNT).parse().expect("is an id"),
            source,
            destination,
            source_name: format!("mailchimp us{source}").into(),
            destination_name: format!("record-api d{destination}").into(),
            interval,
            phase: rng.random_range(0..interval),
            jitter: jitter(number, interval),
            max_lag,
            work,
            exists: false,
            created_at: 0,
            amended_at: None,
            version: 0,
            amended: Vec::new(),
            paused_since: None,
            resumed_at: None,
            edited_at: None,
            reread: false,
            damage: None,
            damage_at: None,
            remade_at: None,
            started_at: None,
            run: None,
            generation: 0,
            buffered: false,
            missed: false,
            commit: None,
            red: None,
            published: Published::default(),
            unpublished: false,
        }
    }

    /// Gives it other terms.
    pub(crate) fn amend(&mut self, number: usize, interval: i64, max_lag: i64, at: i64) {
        if max_lag != self.max_lag {
            self.amended.push(Amended { at, before: self.max_lag, after: max_lag });
        }
        (self.interval, self.max_lag) = (interval, max_lag);
        self.jitter = jitter(number, interval);
        // Nobody asks for more runs than there is time for.
        self.work = self.work.min(interval / 3);
        self.amended_at = Some(at);
        self.version += 1;
    }

    /// The first tick after an instant, without its jitter.
    pub(crate) fn tick_after(&self, at: i64) -> i64 {
        at + self.interval - (at - self.phase).rem_euclid(self.interval)
    }

    /// The longest time between two starts.
    pub(crate) fn interval_longest(&self) -> i64 {
        self.interval + self.jitter
    }

    /// Whether its newest run took longer than the lag that is allowed.
    pub(crate) fn behind_by_run(&self) -> bool {
        self.commit.is_some_and(|commit| commit.at - commit.read_at > self.max_lag)
    }

    /// Whether its schedule starts runs.
    pub(crate) fn fires(&self) -> bool {
        self.exists
            && self.paused_since.is_none()
            && !matches!(self.damage, Some(Damage::Deleted | Damage::Silent))
    }
}

/// That of a cron expression, which every fourth has: an interval has its phase.
fn jitter(number: usize, interval: i64) -> i64 {
    if number.is_multiple_of(4) { (interval / 10).min(5 * MINUTE) } else { 0 }
}
