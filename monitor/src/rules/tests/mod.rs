//! Scenes: one watch, what it sees, and what it tells.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_model::ids::ConnectionId;

use super::*;

mod due;
mod episodes;
mod outages;
mod pauses;

/// Minutes after midnight.
fn at(minutes: i64) -> Timestamp {
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    midnight + SignedDuration::from_mins(minutes)
}

fn id(text: &str) -> ConnectionId {
    text.parse().unwrap()
}

/// An hourly connection that was in step at `watermark`; three hours are allowed.
fn in_step(watermark: Timestamp) -> Facts {
    Facts {
        terms: Terms {
            max_lag: SignedDuration::from_hours(3),
            interval: SignedDuration::from_hours(1),
            created_at: at(-10_000),
            applied_at: at(-10_000),
            edits: Vec::new(),
            reread_at: None,
            source: "mailchimp us1".into(),
            destination: "record-api data.internal".into(),
        },
        schedule: ScheduleState::Present {
            paused: None,
            resumed_at: None,
            created_at: None,
            started_at: Some(watermark),
            as_defined: true,
        },
        commit: Some(Commit {
            number: 7,
            complete_as_of: watermark,
            committed_at: watermark,
            since_created: true,
            held_count: 0,
            rejected_count: 0,
            exception_count: 0,
        }),
        ended: None,
        run: None,
    }
}

fn failing(watermark: Timestamp, since: Timestamp, message: &str) -> Facts {
    Facts {
        schedule: ScheduleState::Present {
            paused: None,
            resumed_at: None,
            created_at: None,
            // It keeps trying.
            started_at: Some(Timestamp::MAX),
            as_defined: true,
        },
        ended: Some(Ended {
            at: since,
            failing_since: since,
            side: Side::Source,
            class: FailureClass::Source,
            kind: FailureKind::Transient,
            message: message.into(),
        }),
        ..in_step(watermark)
    }
}

/// A watch whose workers poll, and what it shares with others.
struct Scene {
    watch: Watch,
    memory: Memory,
    mutes: Vec<Mute>,
    temporal: bool,
    workers: bool,
    /// Whether it made passes all the time.
    attentive: bool,
    activity: Option<Activity>,
}

impl Scene {
    /// It has seen a worker poll just before `now`.
    fn new(now: Timestamp) -> Self {
        let mut scene = Self {
            watch: Watch::new(Settings::default()),
            memory: Memory::default(),
            mutes: Vec::new(),
            temporal: true,
            workers: true,
            attentive: true,
            activity: None,
        };
        scene.settle(now);
        scene
    }

    /// Two passes, so that a new watch has seen a worker poll.
    fn settle(&mut self, now: Timestamp) {
        self.see(now - SignedDuration::from_secs(40), &[]);
        self.see(now - SignedDuration::from_secs(20), &[]);
    }

    fn restart(&mut self, now: Timestamp) {
        let stored = serde_json::to_string(&self.memory).unwrap();
        self.memory = serde_json::from_str(&stored).unwrap();
        self.watch = Watch::new(Settings::default());
        self.settle(now);
    }

    /// A pass, of which no notice is noted as sent.
    fn see(&mut self, now: Timestamp, looks: &[(&str, &Facts)]) -> Vec<Notice> {
        let look = |(name, facts): &(&str, &Facts)| Look {
            connection: id(name),
            facts: Some((*facts).clone()),
            orphaned: false,
        };
        self.look(now, looks.iter().map(look).collect())
    }

    fn look(&mut self, now: Timestamp, looks: Vec<Look>) -> Vec<Notice> {
        if self.attentive {
            self.memory.signs.awake_at = Some(now);
        }
        let seen = Seen {
            now,
            temporal: self.temporal,
            workers: if self.workers { Some(now) } else { Some(Timestamp::MIN) },
            looks,
            mutes: &self.mutes,
            activity: self.activity.clone(),
        };
        self.watch.pass(&mut self.memory, seen).notices
    }

    /// A pass whose notices are sent, as text.
    fn told(&mut self, now: Timestamp, looks: &[(&str, &Facts)]) -> Vec<String> {
        let notices = self.see(now, looks);
        notices.iter().for_each(|notice| self.memory.sent(&notice.key));
        notices.iter().map(ToString::to_string).collect()
    }
}

fn alarm_at(facts: &Facts, outages: &[Outage]) -> Option<Timestamp> {
    Due::of(facts, outages, &Settings::default()).alarm_at
}
