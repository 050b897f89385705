//! Outages, and what a watch does not see.

use super::*;

#[test]
fn without_workers_there_is_one_notice_and_time_to_catch_up() {
    let mut scene = Scene::new(at(180));
    let mut late = in_step(at(0));
    late.run = Some(OpenRun {
        started_at: at(60),
        heard_at: None,
        state: RunState::Queued { moved: false },
    });
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
fn workers_that_have_their_hands_full_are_not_out() {
    let mut scene = Scene::new(at(0));
    let mut busy = in_step(at(0));
    let progress: std::sync::Arc<str> = "read 7".into();
    let mut pass = |scene: &mut Scene, second: i64, heard: Option<i64>| {
        let now = at(0) + SignedDuration::from_secs(second);
        // Temporal's clock is ten minutes behind.
        let heard_at = heard.map(|heard| at(-10) + SignedDuration::from_secs(heard));
        let state = RunState::Working { moved_at: now, progress: progress.clone() };
        busy.run = Some(OpenRun { started_at: at(0), heard_at, state });
        let facts = Some(busy.clone());
        let look = Look { connection: id("acme/a"), facts, orphaned: false };
        scene.memory.signs.awake_at = Some(now);
        let seen = Seen {
            now,
            temporal: true,
            workers: Some(at(-10) + SignedDuration::from_secs(second.min(40))),
            looks: vec![look],
            mutes: &[],
            activity: None,
        };
        let notices = scene.watch.pass(&mut scene.memory, seen).notices;
        notices.iter().for_each(|notice| scene.memory.sent(&notice.key));
        notices
    };
    // None asks for more after 40 seconds, and the step at work is heard of until 1,200.
    for second in (0..1_200).step_by(20) {
        assert!(pass(&mut scene, second, Some(second)).is_empty(), "{second}");
    }
    let mut told_at = Vec::new();
    for second in (1_200..2_400).step_by(20) {
        told_at.extend(pass(&mut scene, second, Some(1_200)).iter().map(|_| second));
    }
    let [told_at] = told_at[..] else { panic!("{told_at:?}") };
    assert!((1_420..=1_460).contains(&told_at), "four minutes of silence: {told_at}");
    // Its worker was not gone after all.
    let over = pass(&mut scene, 2_420, Some(2_415));
    assert!(over[0].to_string().starts_with("over: no worker polls"), "{over:?}");
}

/// A pass at a second after midnight. A worker asked for work at the second `polled`, and at the
/// second `heard` it was heard of at its step, which is looked at if the watch listens to it.
fn listen(scene: &mut Scene, second: i64, polled: i64, heard: i64, looked: bool) -> Vec<String> {
    let now = at(0) + SignedDuration::from_secs(second);
    // Temporal's clock is an hour behind.
    let server = |second: i64| at(-60) + SignedDuration::from_secs(second);
    let busy = id("acme/a");
    let listened = scene.watch.listened(now).is_some_and(|whom| whom.contains(&&busy));
    let mut looks = Vec::new();
    if looked || listened {
        let mut facts = in_step(now);
        let state = RunState::Working { moved_at: now, progress: "read 7".into() };
        let heard_at = Some(server(heard));
        facts.run = Some(OpenRun { started_at: at(-60), heard_at, state });
        looks.push(Look { connection: busy, facts: Some(facts), orphaned: false });
    }
    scene.memory.signs.awake_at = Some(now);
    let workers = Some(server(polled));
    let seen = Seen { now, temporal: true, workers, looks, mutes: &[], activity: None };
    let notices = scene.watch.pass(&mut scene.memory, seen).notices;
    notices.iter().for_each(|notice| scene.memory.sent(&notice.key));
    notices.iter().map(ToString::to_string).collect()
}

#[test]
fn who_is_at_work_is_listened_to_when_no_worker_asks_for_more() {
    let mut scene = Scene::new(at(0));
    // It is in time, so that nobody looks at it but the audit, at the second 20.
    for second in (0..=1_200).step_by(20) {
        let told = listen(&mut scene, second, second.min(40), second, second == 20);
        assert!(told.is_empty(), "{second}: {told:?}");
        let now = at(0) + SignedDuration::from_secs(second);
        assert_eq!(scene.watch.listened(now).is_some(), second >= 100, "{second}");
    }
    // Then its worker is gone as well.
    let mut told_at = Vec::new();
    for second in (1_220..2_400).step_by(20) {
        told_at.extend(listen(&mut scene, second, 40, 1_200, false).iter().map(|_| second));
    }
    let [told_at] = told_at[..] else { panic!("{told_at:?}") };
    assert!((1_400..=1_440).contains(&told_at), "four minutes of silence: {told_at}");
}

#[test]
fn who_is_at_work_is_heard_of_though_there_was_a_gap_between_two_passes() {
    let mut scene = Scene::new(at(0));
    // Nothing was seen for 100 seconds, and since then no worker has asked for more.
    for second in (0..=200).step_by(20).chain((300..=1_200).step_by(20)) {
        let told = listen(&mut scene, second, second.min(40), second, true);
        assert!(told.is_empty(), "{second}: {told:?}");
    }
    // So somebody may be called late.
    let now = at(0) + SignedDuration::from_secs(1_220);
    let facts = failing(at(-300), at(-200), "HTTP 502");
    let late = Look { connection: id("acme/b"), facts: Some(facts), orphaned: false };
    scene.memory.signs.awake_at = Some(now);
    let workers = Some(at(-60) + SignedDuration::from_secs(40));
    let seen = Seen { now, temporal: true, workers, looks: vec![late], mutes: &[], activity: None };
    let told = scene.watch.pass(&mut scene.memory, seen).notices;
    assert!(told[0].to_string().starts_with("acme/b: late: failing"), "{told:?}");
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
    assert_eq!(told, ["the lag watch was away: from 2026-11-21T01:00:00Z to 2026-11-21T03:05:00Z"]);
    // It looks into it as soon as it knows that workers poll now.
    assert_eq!(scene.watch.away_since(&scene.memory, at(186)), Some(at(60)));
    assert_eq!(
        scene.told(at(186), &[("acme/a", &late)]),
        ["no run ended while the lag watch was away: from 2026-11-21T01:39:00Z to \
          2026-11-21T02:50:00Z"]
    );
    assert_eq!(scene.watch.away_since(&scene.memory, at(187)), None);
    assert_eq!(alarm_at(&late, &scene.memory.stops()), Some(at(182 + 71)));
}

#[test]
fn an_outage_that_ended_unseen_ends_when_runs_end_again() {
    let mut scene = Scene::new(at(0));
    scene.workers = false;
    (0..10).for_each(|minute| drop(scene.told(at(minute), &[])));
    // The watch is away from 0:09 to 3:00; the workers are back before 1:00.
    scene.attentive = false;
    scene.workers = true;
    let ends = (60..180).map(at).collect();
    scene.activity = Some(Activity { ended_at: ends, runs_per_hour: 60.0 });
    scene.told(at(180), &[]);
    assert_eq!(
        scene.told(at(181), &[]),
        ["over: no worker polls, from 2026-11-21T00:00:00Z to 2026-11-21T01:02:00Z"]
    );
    let stops = scene.memory.stops();
    assert_eq!(stops.iter().map(|stop| stop.until).collect::<Vec<_>>(), [Some(at(62))]);
    // What counts since then has no more time.
    assert_eq!(alarm_at(&in_step(at(65)), &stops), Some(at(65 + 182)));
}

#[test]
fn an_outage_that_began_unseen_began_after_the_last_run() {
    let mut scene = Scene::new(at(0));
    scene.told(at(0), &[]);
    scene.attentive = false;
    scene.temporal = false;
    let told: Vec<String> = (180..190).flat_map(|minute| scene.told(at(minute), &[])).collect();
    assert_eq!(
        told,
        [
            "the lag watch was away: from 2026-11-21T00:00:00Z to 2026-11-21T03:00:00Z",
            "Temporal does not answer, since 2026-11-21T00:00:00Z; nobody is called late meanwhile",
        ]
    );
    scene.temporal = true;
    let ends = (1..150).map(at).collect();
    scene.activity = Some(Activity { ended_at: ends, runs_per_hour: 60.0 });
    let told: Vec<String> = (190..193).flat_map(|minute| scene.told(at(minute), &[])).collect();
    assert_eq!(
        told,
        ["over: Temporal does not answer, from 2026-11-21T00:00:00Z to 2026-11-21T03:10:00Z"]
    );
    let stops = scene.memory.stops();
    assert_eq!((stops[0].since, stops.len()), (at(147), 1), "two minutes for the clocks");
}

#[test]
fn clocks_of_two_watches_need_not_agree() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut scene = Scene::new(at(100));
    let mut other = Watch::new(Settings::default());
    let mut told = Vec::new();
    for step in 0..600 {
        let now = at(100) + SignedDuration::from_secs(20 * step);
        // One is two minutes ahead of the other.
        if step % 2 == 0 {
            std::mem::swap(&mut scene.watch, &mut other);
            told.extend(scene.told(now + SignedDuration::from_mins(2), &[("acme/a", &late)]));
            std::mem::swap(&mut scene.watch, &mut other);
        } else {
            told.extend(scene.told(now, &[("acme/a", &late)]));
        }
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_mute_of_everything_keeps_outages_quiet_too() {
    let mut scene = Scene::new(at(0));
    let mute = |until| Mute {
        what: Muted::Everything,
        until: at(until),
        reason: "we move".to_owned(),
        by: "ops".to_owned(),
    };
    scene.mutes = vec![mute(30)];
    scene.temporal = false;
    let told = |scene: &mut Scene, minutes: std::ops::Range<i64>| -> Vec<String> {
        minutes.flat_map(|minute| scene.told(at(minute), &[])).collect()
    };
    assert!(told(&mut scene, 0..30).is_empty());
    assert!(scene.memory.standing(&[], at(0)).is_empty());
    assert_eq!(told(&mut scene, 30..40).len(), 1, "it still lasts");
    scene.mutes = vec![mute(60)];
    scene.temporal = true;
    let over = told(&mut scene, 40..60);
    assert_eq!(over.len(), 1, "whoever was told that it began has to know: {over:?}");
    assert!(over[0].starts_with("over: Temporal does not answer"), "{over:?}");
    scene.temporal = false;
    let minutes = 60..60 + 2 * 24 * 60;
    assert_eq!(told(&mut scene, minutes).len(), 2, "it is said again every day");
}

#[test]
fn an_edit_that_was_mended_before_an_outage_is_over_after_it() {
    let mut scene = Scene::new(at(0));
    let mut facts = in_step(at(0));
    facts.terms.max_lag = SignedDuration::from_hours(99);
    let edited = |as_defined| ScheduleState::Present {
        paused: None,
        resumed_at: None,
        created_at: None,
        started_at: Some(at(0)),
        as_defined,
    };
    facts.schedule = edited(false);
    (0..10).for_each(|minute| drop(scene.told(at(minute), &[("acme/a", &facts)])));
    assert_eq!(scene.memory.standing(&[], at(0)).len(), 1);
    scene.temporal = false;
    (10..100).for_each(|minute| drop(scene.told(at(minute), &[])));
    scene.temporal = true;
    facts.schedule = edited(true);
    let told = scene.told(at(100), &[("acme/a", &facts)]);
    assert!(told.iter().any(|text| text.ends_with("as it should be again")), "{told:?}");
    // The tick that the outage took is not its fault.
    (101..130).for_each(|minute| {
        assert!(scene.told(at(minute), &[("acme/a", &facts)]).is_empty());
    });
}
