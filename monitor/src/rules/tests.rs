use jiff::{SignedDuration, Timestamp};
use tidemark_model::failure::{FailureClass, FailureKind, Side};
use tidemark_model::ids::ConnectionId;

use super::*;

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
            reread_at: None,
            source: "mailchimp us1".into(),
            destination: "record-api data.internal".into(),
        },
        schedule: ScheduleState::Present {
            paused_since: None,
            resumed_at: None,
            started_at: Some(watermark),
            as_defined: true,
        },
        commit: Some(Commit {
            number: 7,
            complete_as_of: watermark,
            committed_at: watermark,
            held_count: 0,
            rejected_count: 0,
        }),
        ended: None,
        run: None,
    }
}

fn failing(watermark: Timestamp, since: Timestamp, message: &str) -> Facts {
    Facts {
        schedule: ScheduleState::Present {
            paused_since: None,
            resumed_at: None,
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
        };
        if self.attentive {
            self.memory.awake_at = Some(now);
        }
        let seen = Seen {
            now,
            temporal: self.temporal,
            workers: if self.workers { Some(now) } else { Some(Timestamp::MIN) },
            looks: looks.iter().map(look).collect(),
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

#[test]
fn a_connection_is_late_when_its_deadline_passed_by_every_clock() {
    let facts = in_step(at(0));
    assert_eq!(alarm_at(&facts, &[]), Some(at(182)));
    let due = Due::of(&facts, &[], &Settings::default());
    assert_eq!((due.strict, due.at), (at(180), at(180)));
    assert!(!due.late(at(181)) && due.late(at(182)));
}

#[test]
fn a_first_sync_has_a_day_while_it_progresses() {
    let run = |state| Some(OpenRun { started_at: at(10), state });
    let working = |moved_at| RunState::Working { moved_at, progress: "1 of 9".into() };
    let new = |run, ended: Option<Timestamp>| {
        let mut facts = failing(at(0), ended.unwrap_or(at(0)), "no answer");
        facts.terms.created_at = at(0);
        facts.ended = facts.ended.filter(|_| ended.is_some());
        Facts { commit: None, run, ..facts }
    };
    let day = Some(at(24 * 60 + 2));
    assert_eq!(alarm_at(&new(run(RunState::Queued), None), &[]), day);
    assert_eq!(alarm_at(&new(run(working(at(400))), None), &[]), Some(at(432)));
    assert_eq!(alarm_at(&new(run(working(at(2_000))), None), &[]), day);
    assert_eq!(alarm_at(&new(None, Some(at(300))), &[]), Some(at(302)), "it gave up");
    assert_eq!(alarm_at(&new(None, Some(at(100))), &[]), Some(at(182)), "the deadline stands");
    assert_eq!(alarm_at(&new(None, None), &[]), Some(at(182)));
}

#[test]
fn the_run_after_a_long_first_sync_belongs_to_it() {
    let mut facts = in_step(at(10));
    facts.terms.created_at = at(0);
    facts.commit = facts.commit.map(|commit| Commit { committed_at: at(600), ..commit });
    let state = RunState::Working { moved_at: at(605), progress: "1 of 9".into() };
    facts.run = Some(OpenRun { started_at: at(600), state });
    assert_eq!(alarm_at(&facts, &[]), Some(at(637)));
    facts.terms.created_at = at(-2_000);
    assert_eq!(alarm_at(&facts, &[]), Some(at(192)), "not of one that has always been slow");
}

#[test]
fn an_edit_that_forces_a_full_read_gives_time_too() {
    let mut facts = in_step(at(0));
    facts.terms.reread_at = Some(at(60));
    facts.run = Some(OpenRun { started_at: at(70), state: RunState::Queued });
    assert_eq!(alarm_at(&facts, &[]), Some(at(60 + 24 * 60 + 2)));
}

#[test]
fn an_outage_does_not_count_and_leaves_time_to_catch_up() {
    let facts = in_step(at(0));
    let out = |since, until| Outage {
        part: Part::Temporal,
        since: at(since),
        until: if until == 0 { None } else { Some(at(until)) },
    };
    assert_eq!(alarm_at(&facts, &[out(100, 0)]), None);
    assert_eq!(alarm_at(&facts, &[out(20, 50)]), Some(at(182 + 30)));
    assert_eq!(alarm_at(&facts, &[out(170, 180)]), Some(at(180 + 30 + 2)));
    assert_eq!(alarm_at(&facts, &[out(200, 300)]), Some(at(182)), "it was late before");
    let overlapping = [out(20, 50), Outage { part: Part::Unseen, ..out(30, 60) }];
    assert_eq!(alarm_at(&facts, &overlapping), Some(at(182 + 40)), "no minute counts twice");
    let watch = Outage { part: Part::Watch, ..out(100, 160) };
    assert_eq!(alarm_at(&facts, &[watch]), Some(at(182)), "runs went on");
}

#[test]
fn an_episode_is_told_when_it_opens_once_a_day_and_when_it_is_over() {
    let mut scene = Scene::new(at(182));
    let late = failing(at(0), at(60), "HTTP 502");
    assert_eq!(
        scene.told(at(182), &[("acme/a", &late)]),
        ["acme/a: late: failing since 2026-11-21T01:00:00Z (transient; source must act): HTTP 502"]
    );
    assert!(scene.told(at(183), &[("acme/a", &late)]).is_empty());
    let changed = failing(at(0), at(60), "HTTP 503");
    let tomorrow = 182 + 24 * 60;
    assert!(scene.told(at(tomorrow - 1), &[("acme/a", &changed)]).is_empty());
    assert_eq!(
        scene.told(at(tomorrow), &[("acme/a", &changed)]),
        ["acme/a: still: late: failing since 2026-11-21T01:00:00Z (transient; source must act): \
          HTTP 503"]
    );
    let mended = in_step(at(tomorrow));
    assert_eq!(scene.told(at(tomorrow + 1), &[("acme/a", &mended)]), ["acme/a: in time again"]);
    assert!(scene.told(at(tomorrow + 2), &[("acme/a", &mended)]).is_empty());
}

#[test]
fn a_first_sync_that_tries_again_does_not_end_its_episode() {
    let mut scene = Scene::new(at(400));
    let mut facts = failing(at(0), at(300), "HTTP 502");
    (facts.commit, facts.terms.created_at) = (None, at(0));
    assert_eq!(scene.told(at(400), &[("acme/a", &facts)]).len(), 1);
    facts.run = Some(OpenRun { started_at: at(401), state: RunState::Queued });
    assert!(scene.told(at(402), &[("acme/a", &facts)]).is_empty());
}

#[test]
fn a_restart_tells_nothing_again_and_loses_nothing() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut scene = Scene::new(at(182));
    let first = scene.see(at(182), &[("acme/a", &late)]);
    assert_eq!(first.len(), 1);
    // It died before it noted that it had sent it.
    scene.restart(at(184));
    let again = scene.see(at(184), &[("acme/a", &late)]);
    assert!(again.is_empty(), "handed out while it started: {again:?}");
    let again = scene.see(at(185), &[("acme/a", &late)]);
    assert_eq!(again, first, "with the same key");
    scene.memory.sent(&first[0].key);
    scene.restart(at(187));
    assert!(scene.see(at(187), &[("acme/a", &late)]).is_empty());
}

#[test]
fn many_with_one_cause_are_one_notice() {
    let late = failing(at(0), at(60), "HTTP 502");
    let names: Vec<String> = (0..30).map(|number| format!("acme/list-{number:02}")).collect();
    let looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &late)).collect();
    let mut scene = Scene::new(at(182));
    let told = scene.told(at(182), &looks[..10]);
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("10 connections: late; acme/list-00: failing since"), "{told:?}");
    // Others join it; that it grew is told within the hour.
    assert!(scene.told(at(183), &looks[..15]).is_empty());
    let told = scene.told(at(242), &looks[..15]);
    assert!(told[0].starts_with("still 15 connections: late"), "{told:?}");
    assert_eq!(scene.told(at(243), &looks).len(), 1, "twice as many are told at once");
    // Most recover without a word; the last ones are told by themselves from then on.
    let mended = in_step(at(240));
    let mended: Vec<(&str, &Facts)> = looks.iter().map(|(name, _)| (*name, &mended)).collect();
    assert!(scene.told(at(244), &mended[..27]).is_empty());
    let told = scene.told(at(245), &mended[..28]);
    assert!(told[0].starts_with("over for most: late; 2 are left; acme/list-28"), "{told:?}");
    assert_eq!(scene.told(at(246), &mended).len(), 2);
}

#[test]
fn a_credential_is_no_cause_of_another_account() {
    let mut refused = failing(at(0), at(60), "HTTP 401");
    let ended = refused.ended.as_mut().unwrap();
    ended.class = FailureClass::User;
    let names: Vec<String> = (0..6).map(|number| format!("account-{number}/a")).collect();
    let looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &refused)).collect();
    assert_eq!(Scene::new(at(182)).told(at(182), &looks).len(), 6);
}

#[test]
fn without_workers_there_is_one_notice_and_time_to_catch_up() {
    let mut scene = Scene::new(at(180));
    let mut late = in_step(at(0));
    late.run = Some(OpenRun { started_at: at(60), state: RunState::Queued });
    scene.workers = false;
    let mut told = Vec::new();
    for minute in 180..300 {
        told.extend(scene.told(at(minute), &[("acme/a", &late), ("acme/b", &late)]));
    }
    assert_eq!(
        told,
        ["no worker polls, since 2026-11-21T03:00:00Z; nobody is called late meanwhile"]
    );
    scene.workers = true;
    let back = scene.told(at(300), &[("acme/a", &late)]);
    assert_eq!(back, ["over: no worker polls, from 2026-11-21T03:00:00Z to 2026-11-21T05:00:00Z"]);
    let late = failing(at(0), at(301), "HTTP 502");
    // The two hours do not count either.
    assert!(scene.told(at(301), &[("acme/a", &late)]).is_empty());
    assert!(scene.told(at(331), &[("acme/a", &late)]).is_empty());
    assert_eq!(scene.told(at(332), &[("acme/a", &late)]).len(), 1);
}

#[test]
fn a_silent_temporal_is_told_once() {
    let mut scene = Scene::new(at(0));
    scene.see(at(0), &[]);
    scene.temporal = false;
    let told: Vec<String> = (1..60).flat_map(|minute| scene.told(at(minute), &[])).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    scene.temporal = true;
    assert_eq!(scene.told(at(60), &[]).len(), 1);
}

#[test]
fn a_stop_that_nobody_watched_is_found_by_the_runs_that_did_not_end() {
    let late = in_step(at(0));
    let mut scene = Scene::new(at(60));
    scene.told(at(60), &[]);
    scene.attentive = false;
    let ends = (60..100).chain(170..185).map(at).collect();
    scene.activity = Some(Activity { ended_at: ends, runs_per_hour: 60.0 });
    let told = scene.told(at(185), &[("acme/a", &late)]);
    assert_eq!(
        told,
        [
            "no run ended while the lag watch was away: from 2026-11-21T01:39:00Z to \
             2026-11-21T02:50:00Z",
            "the lag watch was away: from 2026-11-21T01:00:00Z to 2026-11-21T03:05:00Z",
        ]
    );
    scene.activity = None;
    scene.told(at(186), &[("acme/a", &late)]);
    assert_eq!(alarm_at(&late, &scene.memory.outages), Some(at(182 + 71)));
}

#[test]
fn what_is_muted_is_told_when_the_mute_ends() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut scene = Scene::new(at(182));
    scene.mutes = vec![Mute {
        what: Muted::Account("acme".parse().unwrap()),
        until: at(190),
        reason: "known".to_owned(),
        by: "ops".to_owned(),
    }];
    assert!(scene.told(at(189), &[("acme/a", &late)]).iter().all(|text| !text.contains("acme")));
    assert!(!scene.mutes[0].covers(&id("acme-2/a"), at(189)));
    scene.settle(at(190));
    assert_eq!(scene.told(at(190), &[("acme/a", &late)]).len(), 1);
}

#[test]
fn a_schedule_has_to_look_wrong_for_a_while() {
    let mut facts = in_step(at(0));
    facts.schedule = ScheduleState::Missing;
    let mut scene = Scene::new(at(10));
    assert!(scene.told(at(10), &[("acme/a", &facts)]).is_empty());
    assert_eq!(scene.watch.doubted().collect::<Vec<_>>(), [&id("acme/a")]);
    scene.told(at(14), &[("acme/a", &facts)]);
    scene.settle(at(15));
    assert_eq!(
        scene.told(at(15), &[("acme/a", &facts)]),
        ["acme/a: the schedule is not as it should be: its schedule is missing"]
    );
}

#[test]
fn a_hold_and_a_forgotten_pause_are_told_by_themselves() {
    let mut facts = in_step(at(60));
    facts.commit = facts.commit.map(|commit| Commit { held_count: 3, ..commit });
    let mut scene = Scene::new(at(70));
    assert_eq!(
        scene.told(at(70), &[("acme/a", &facts)]),
        ["acme/a: held: removals wait for a decision: 3"]
    );
    let mut paused = in_step(at(60));
    paused.schedule = ScheduleState::Present {
        paused_since: Some(at(-7 * 24 * 60)),
        resumed_at: None,
        started_at: None,
        as_defined: true,
    };
    assert_eq!(
        scene.told(at(71), &[("acme/b", &paused)]),
        ["acme/b: paused for long: paused since 2026-11-14T00:00:00Z"]
    );
}

#[test]
fn what_stands_is_known_to_a_receiver_that_forgets() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut refused = in_step(at(60));
    refused.commit = refused.commit.map(|commit| Commit { rejected_count: 2, ..commit });
    let names: Vec<String> = (0..6).map(|number| format!("acme/list-{number}")).collect();
    let mut looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &late)).collect();
    looks.push(("acme/z", &refused));
    let mut scene = Scene::new(at(182));
    let told = scene.see(at(182), &looks);
    assert_eq!(told.len(), 2);
    scene.workers = false;
    let told_out = (183..190).flat_map(|minute| scene.see(at(minute), &[])).collect::<Vec<_>>();
    let keys = |notices: &[Notice]| {
        let mut keys: Vec<_> = notices.iter().map(|one| (one.key.clone(), one.phase)).collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        keys.dedup();
        keys
    };
    scene.restart(at(190));
    let standing = scene.memory.standing();
    assert_eq!(keys(&standing), keys(&[told, told_out].concat()));
    let times: Vec<Timestamp> = standing.iter().map(|one| one.at).collect();
    assert!(times.contains(&at(182)), "those of the openings: {times:?}");
    // What is over does not stand.
    scene.workers = true;
    scene.see(at(191), &[("acme/z", &in_step(at(150)))]);
    assert_eq!(scene.memory.standing().len(), 1);
}
