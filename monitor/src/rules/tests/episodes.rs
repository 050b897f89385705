//! What is told of connections.

use super::*;

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
    facts.run = Some(OpenRun {
        started_at: at(401),
        heard_at: None,
        state: RunState::Queued { moved: false },
    });
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
fn one_that_was_told_alone_is_over_alone_though_a_group_took_it_in() {
    let late = failing(at(0), at(60), "HTTP 502");
    let names: Vec<String> = (0..8).map(|number| format!("acme/list-{number}")).collect();
    let looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &late)).collect();
    let mut scene = Scene::new(at(182));
    let alone = scene.see(at(182), &looks[..4]);
    alone.iter().for_each(|notice| scene.memory.sent(&notice.key));
    assert_eq!(alone.len(), 4);
    let told = scene.told(at(183), &looks);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("8 connections: late"), "{told:?}");
    // A receiver that forgets is told of each of the four until it is over, and of the group.
    let standing = |scene: &Scene, now: i64| {
        let standing = scene.memory.standing(&[], at(now));
        let (alone, groups): (Vec<Notice>, Vec<Notice>) = standing
            .into_iter()
            .partition(|notice| matches!(notice.subject, Subject::Connection { .. }));
        (alone.into_iter().map(|notice| notice.key).collect::<Vec<String>>(), groups.len())
    };
    let mut keys: Vec<String> = alone.iter().map(|notice| notice.key.clone()).collect();
    keys.sort();
    assert_eq!(standing(&scene, 183), (keys.clone(), 1));
    let mended = in_step(at(180));
    let over = scene.see(at(184), &[(looks[0].0, &mended), (looks[7].0, &mended)]);
    let [over] = over.as_slice() else { panic!("the other one was never told alone: {over:?}") };
    assert_eq!((over.key.clone(), over.phase), (format!("{}/closed", alone[0].key), Phase::Closed));
    scene.memory.sent(&over.key);
    assert_eq!(standing(&scene, 184), (keys[1..].to_vec(), 1));
    assert!(scene.told(at(185), &[(looks[0].0, &mended)]).is_empty(), "once");
    // Those that are left when the group ends are over once as well.
    let rest: Vec<(&str, &Facts)> = looks.iter().map(|(name, _)| (*name, &mended)).collect();
    let told = scene.told(at(186), &rest[3..]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().any(|text| text.starts_with("over for most: late; 2 are left")),
        "{told:?}"
    );
    assert_eq!(scene.told(at(187), &rest).len(), 2);
    assert!(scene.told(at(188), &rest).is_empty());
}

#[test]
fn one_that_a_group_left_is_over_alone_though_another_took_it_in() {
    let late = failing(at(0), at(60), "HTTP 502");
    let names: Vec<String> = (0..10).map(|number| format!("acme/list-{number}")).collect();
    let looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &late)).collect();
    let mended = in_step(at(180));
    let mended: Vec<(&str, &Facts)> = looks.iter().map(|(name, _)| (*name, &mended)).collect();
    let mut scene = Scene::new(at(182));
    assert_eq!(scene.told(at(182), &looks[..6]).len(), 1);
    let told = scene.told(at(183), &mended[..4]);
    assert!(told[0].starts_with("over for most: late; 2 are left"), "{told:?}");
    // A receiver that forgets hears of each of them from now on.
    let mut closed: Vec<String> = scene
        .memory
        .standing(&[], at(183))
        .iter()
        .map(|one| format!("{}/closed", one.key))
        .collect();
    closed.sort();
    assert_eq!(closed.len(), 2, "{closed:?}");
    let told = scene.told(at(184), &looks[6..]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("6 connections: late"), "{told:?}");
    assert_eq!(scene.memory.standing(&[], at(184)).len(), 3, "both of them, and the group");
    let over = scene.see(at(185), &mended[4..]);
    let mut alone: Vec<String> = over
        .iter()
        .filter(|notice| matches!(notice.subject, Subject::Connection { .. }))
        .map(|notice| notice.key.clone())
        .collect();
    alone.sort();
    assert_eq!(alone, closed);
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
fn a_commit_that_nobody_saw_in_time_ends_its_episode() {
    let mut scene = Scene::new(at(182));
    assert_eq!(scene.told(at(182), &[("acme/a", &failing(at(0), at(60), "HTTP 502"))]).len(), 1);
    // While the watch is away there is a commit, and then none again.
    let mut facts = failing(at(300), at(360), "HTTP 502");
    facts.commit = facts.commit.map(|commit| Commit { number: 8, ..commit });
    scene.settle(at(490));
    assert_eq!(scene.told(at(490), &[("acme/a", &facts)]), ["acme/a: in time again"]);
    let again = scene.told(at(491), &[("acme/a", &facts)]);
    assert!(again[0].starts_with("acme/a: late: failing"), "{again:?}");
    // One that took longer than is allowed was not in time.
    let slow = Commit { number: 9, committed_at: at(700), ..facts.commit.unwrap() };
    facts.commit = Some(slow);
    scene.settle(at(700));
    assert!(scene.told(at(700), &[("acme/a", &facts)]).is_empty());
}

#[test]
fn an_episode_that_comes_again_without_a_commit_is_the_same() {
    let mut scene = Scene::new(at(182));
    let facts = failing(at(0), at(60), "HTTP 502");
    assert_eq!(scene.told(at(182), &[("acme/a", &facts)]).len(), 1);
    let mut lenient = facts.clone();
    lenient.terms.max_lag = SignedDuration::from_hours(9);
    assert_eq!(scene.told(at(183), &[("acme/a", &lenient)]), ["acme/a: in time again"]);
    scene.restart(at(184));
    assert!(scene.told(at(184), &[("acme/a", &facts)]).is_empty());
    assert_eq!(scene.memory.standing(&[], at(0)).len(), 1);
}

#[test]
fn one_that_was_allowed_more_and_is_late_again_is_told_again() {
    let mut scene = Scene::new(at(182));
    let mut facts = failing(at(0), at(60), "HTTP 502");
    let first = scene.see(at(182), &[("acme/a", &facts)]);
    let (before, after) = (facts.terms.max_lag, SignedDuration::from_hours(9));
    facts.terms.edits = vec![Edit { at: at(200), before, after }];
    facts.terms.max_lag = after;
    scene.settle(at(201));
    assert_eq!(scene.told(at(201), &[("acme/a", &facts)]), ["acme/a: in time again"]);
    scene.settle(at(542));
    let again = scene.see(at(542), &[("acme/a", &facts)]);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].key, first[0].key, "a receiver drops what it knows");
}

#[test]
fn a_schedule_that_was_edited_has_time_until_its_first_tick() {
    let mut facts = in_step(at(0));
    facts.terms.max_lag = SignedDuration::from_hours(999);
    let mut scene = Scene::new(at(20 * 60));
    let over = |scene: &mut Scene, minutes: std::ops::Range<i64>, facts: &Facts| {
        let told = minutes.flat_map(|minute| scene.told(at(minute), &[("acme/a", facts)]));
        told.collect::<Vec<String>>()
    };
    // It ran once a day, twenty hours ago.
    facts.terms.interval = SignedDuration::from_hours(6);
    facts.terms.applied_at = at(20 * 60);
    assert!(over(&mut scene, 20 * 60..26 * 60, &facts).is_empty());
    let told = over(&mut scene, 26 * 60..27 * 60, &facts);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("has started no run since 2026-11-21T00:00:00Z"), "{told:?}");
    // Another edit does not show that it fires.
    facts.terms.applied_at = at(27 * 60);
    assert!(over(&mut scene, 27 * 60..28 * 60, &facts).is_empty());
    if let ScheduleState::Present { started_at, .. } = &mut facts.schedule {
        *started_at = Some(at(28 * 60));
    }
    let told = over(&mut scene, 28 * 60..29 * 60, &facts);
    assert_eq!(told, ["acme/a: the schedule is as it should be again"]);
}

#[test]
fn a_schedule_that_was_made_again_has_time_until_its_first_tick() {
    let mut facts = in_step(at(0));
    facts.terms.max_lag = SignedDuration::from_hours(99);
    let made = |at| ScheduleState::Present {
        paused: None,
        resumed_at: None,
        created_at: Some(at),
        started_at: None,
        as_defined: true,
    };
    let mut scene = Scene::new(at(200));
    facts.schedule = made(at(190));
    (200..260).for_each(|minute| {
        assert!(scene.told(at(minute), &[("acme/a", &facts)]).is_empty());
    });
    let told: Vec<String> =
        (260..270).flat_map(|minute| scene.told(at(minute), &[("acme/a", &facts)])).collect();
    assert_eq!(told.len(), 1, "{told:?}");
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
fn a_mute_leaves_what_was_told_before_and_its_end_is_told() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut scene = Scene::new(at(182));
    assert_eq!(scene.told(at(182), &[("acme/a", &late)]).len(), 1);
    scene.mutes = vec![Mute {
        what: Muted::Connection(id("acme/a")),
        until: at(9_000),
        reason: "known".to_owned(),
        by: "ops".to_owned(),
    }];
    assert!(scene.told(at(183), &[("acme/a", &late)]).is_empty());
    assert_eq!(scene.memory.standing(&scene.mutes, at(183)).len(), 1, "for who forgets");
    let tomorrow = 182 + 24 * 60;
    assert!(scene.told(at(tomorrow), &[("acme/a", &late)]).is_empty(), "no reminder");
    let mended = in_step(at(tomorrow));
    let told = scene.told(at(tomorrow + 1), &[("acme/a", &mended)]);
    assert_eq!(told, ["acme/a: in time again"]);
    assert!(scene.memory.standing(&scene.mutes, at(tomorrow + 1)).is_empty());
}

#[test]
fn who_is_left_of_a_group_while_muted_is_not_told_by_itself() {
    let late = failing(at(0), at(60), "HTTP 502");
    let names: Vec<String> = (0..6).map(|number| format!("acme/list-{number}")).collect();
    let looks: Vec<(&str, &Facts)> = names.iter().map(|name| (name.as_str(), &late)).collect();
    let mut scene = Scene::new(at(182));
    scene.told(at(182), &looks);
    scene.mutes = vec![Mute {
        what: Muted::Connection(id("acme/list-5")),
        until: at(900),
        reason: "known".to_owned(),
        by: "ops".to_owned(),
    }];
    let mended = in_step(at(180));
    let mended: Vec<(&str, &Facts)> = looks.iter().map(|(name, _)| (*name, &mended)).collect();
    scene.told(at(183), &mended[..4]);
    assert_eq!(scene.memory.open().count(), 2);
    assert_eq!(scene.memory.standing(&scene.mutes, at(183)).len(), 1);
    assert_eq!(scene.memory.standing(&[], at(183)).len(), 2);
}

#[test]
fn what_fails_all_the_time_fails_since_the_earliest_that_was_seen() {
    let mut scene = Scene::new(at(182));
    assert_eq!(scene.told(at(182), &[("acme/a", &failing(at(0), at(60), "HTTP 502"))]).len(), 1);
    // The schedule has forgotten the first of its runs.
    let tomorrow = 182 + 24 * 60;
    let slid = failing(at(0), at(900), "HTTP 503");
    assert_eq!(
        scene.told(at(tomorrow), &[("acme/a", &slid)]),
        ["acme/a: still: late: failing since 2026-11-21T01:00:00Z (transient; source must act): \
          HTTP 503"]
    );
    let mut other = failing(at(0), at(1_000), "HTTP 401");
    let ended = other.ended.as_mut().unwrap();
    (ended.class, ended.kind) = (FailureClass::User, FailureKind::Unauthenticated);
    let told = scene.told(at(tomorrow + 24 * 60), &[("acme/a", &other)]);
    assert!(told[0].contains("failing since 2026-11-21T16:40:00Z"), "{told:?}");
}

#[test]
fn one_that_was_never_in_step_says_so() {
    let mut facts = failing(at(0), at(0), "");
    (facts.ended, facts.commit, facts.terms.created_at) = (None, None, at(0));
    assert_eq!(
        Scene::new(at(182)).told(at(182), &[("acme/a", &facts)]),
        ["acme/a: late: never in step: no run has committed or failed since it was applied at \
          2026-11-21T00:00:00Z"]
    );
    facts.commit = in_step(at(0)).commit;
    let cause = Cause::of_lag(&facts, at(182), &Settings::default());
    assert_eq!(cause.to_string(), "no run has committed or failed since its last commit");
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
fn a_schedule_without_a_definition_is_told_until_it_is_gone() {
    let mut scene = Scene::new(at(10));
    let mut told = |now, orphaned| {
        let look = Look { connection: id("acme/a"), facts: None, orphaned };
        let notices = scene.look(now, vec![look]);
        notices.iter().for_each(|notice| scene.memory.sent(&notice.key));
        notices.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    (10..15).for_each(|minute| assert!(told(at(minute), true).is_empty()));
    assert_eq!(
        told(at(15), true),
        ["acme/a: the schedule is not as it should be: a schedule without a definition: it runs \
             nothing that is defined"]
    );
    assert!(told(at(16), true).is_empty());
    assert_eq!(told(at(17), false), ["acme/a: over: it was removed"]);
    assert!(told(at(18), false).is_empty());
    assert_eq!(scene.memory.open().count() + scene.watch.doubted().count(), 0);
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
        paused: Some(Paused { since: Some(at(-7 * 24 * 60)) }),
        resumed_at: None,
        created_at: None,
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
    let standing = scene.memory.standing(&[], at(0));
    assert_eq!(keys(&standing), keys(&[told, told_out].concat()));
    let times: Vec<Timestamp> = standing.iter().map(|one| one.at).collect();
    assert!(times.contains(&at(182)), "those of the openings: {times:?}");
    // What is over does not stand.
    scene.workers = true;
    scene.see(at(191), &[("acme/z", &in_step(at(150)))]);
    assert_eq!(scene.memory.standing(&[], at(0)).len(), 1);
}

#[test]
fn what_is_over_before_it_is_known_to_be_told_is_not_told_any_more() {
    let late = failing(at(0), at(60), "HTTP 502");
    let mut scene = Scene::new(at(182));
    assert_eq!(scene.see(at(182), &[("acme/a", &late)]).len(), 1);
    scene.temporal = false;
    assert!(scene.see(at(185), &[]).is_empty(), "nobody knows whether it is still so");
    scene.temporal = true;
    assert_eq!(scene.told(at(200), &[("acme/a", &in_step(at(190)))]), ["acme/a: in time again"]);
}
