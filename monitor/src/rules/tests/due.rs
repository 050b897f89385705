//! Until when a connection has time.

use super::*;

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
    let run = |state| Some(OpenRun { started_at: at(10), heard_at: None, state });
    let working = |moved_at| RunState::Working { moved_at, progress: "1 of 9".into() };
    let new = |run, ended: Option<Timestamp>| {
        let mut facts = failing(at(0), ended.unwrap_or(at(0)), "no answer");
        facts.terms.created_at = at(0);
        facts.ended = facts.ended.filter(|_| ended.is_some());
        Facts { commit: None, run, ..facts }
    };
    let day = Some(at(24 * 60 + 2));
    assert_eq!(alarm_at(&new(run(RunState::Queued { moved: false }), None), &[]), day);
    assert_eq!(alarm_at(&new(run(working(at(400))), None), &[]), Some(at(432)));
    assert_eq!(alarm_at(&new(run(working(at(2_000))), None), &[]), day);
    assert_eq!(alarm_at(&new(None, Some(at(300))), &[]), Some(at(182)), "it gave up");
    let again = |state| new(run(state), Some(at(300)));
    assert_eq!(
        alarm_at(&again(RunState::Queued { moved: false }), &[]),
        Some(at(182)),
        "and waits to try again"
    );
    assert_eq!(alarm_at(&again(working(at(400))), &[]), Some(at(432)));
    assert_eq!(alarm_at(&again(RunState::Queued { moved: true }), &[]), day, "between two steps");
    assert_eq!(alarm_at(&new(None, Some(at(100))), &[]), Some(at(182)), "the deadline stands");
    assert_eq!(alarm_at(&new(None, None), &[]), Some(at(182)));
}

/// One whose runs all fail, the last one just before an instant, since it was in step at midnight.
fn failing_for_ever(now: Timestamp, run: Option<RunState>) -> Facts {
    let mut facts = failing(at(0), now, "HTTP 400");
    facts.run = run.map(|state| OpenRun { started_at: now, heard_at: None, state });
    facts
}

#[test]
fn a_run_that_began_just_now_is_not_why_those_before_it_failed() {
    let waiting = || RunState::Queued { moved: false };
    let working = || RunState::Working { moved_at: at(600), progress: "1 of 9".into() };
    let cause = |run: RunState, minutes: i64| {
        let facts = failing_for_ever(at(600), Some(run));
        Cause::of_lag(&facts, at(600 + minutes), &Settings::default()).name()
    };
    assert_eq!(cause(waiting(), 1), "failing, source");
    assert_eq!(cause(waiting(), 2), "waiting for a worker");
    assert_eq!(cause(working(), 30), "failing, source");
    assert_eq!(cause(working(), 31), "stalled");
    let progressing = RunState::Working { moved_at: at(770), progress: "8 of 9".into() };
    assert_eq!(cause(progressing.clone(), 179), "failing, source");
    assert_eq!(cause(progressing, 180), "still running", "longer than `max_lag`");
    let asked = RunState::RateLimited { side: Side::Source, until: at(700) };
    assert_eq!(cause(asked, 1), "rate limited", "it says so itself");
    let facts = Facts { ended: None, ..failing_for_ever(at(600), Some(working())) };
    let cause = Cause::of_lag(&facts, at(601), &Settings::default());
    assert_eq!(cause.name(), "still running", "no run failed since the commit");
}

#[test]
fn a_run_that_failed_gives_no_time_after_a_commit_soon_after_the_creation() {
    for created_at in [-1, 0, 1] {
        let created = |facts: Facts| {
            let terms = Terms { created_at: at(created_at), ..facts.terms.clone() };
            Facts { terms, ..facts }
        };
        let since = created_at.max(0);
        for now in [60, 600, 1_200] {
            let facts = created(failing_for_ever(at(now), None));
            assert_eq!(alarm_at(&facts, &[]), Some(at(since + 182)), "{created_at}, {now}");
            let due = Due::of(&facts, &[], &Settings::default());
            assert_eq!(due.at, at(since + 180), "what it is late by counts from one instant");
        }
        // Nor does the next one, be the last one red or not: the first sync is over.
        let queued = created(failing_for_ever(at(600), Some(RunState::Queued { moved: false })));
        assert_eq!(alarm_at(&queued, &[]), Some(at(since + 182)));
        let queued = Facts { ended: None, ..queued };
        assert_eq!(alarm_at(&queued, &[]), Some(at(since + 182)));
    }
}

#[test]
fn a_run_that_failed_gives_no_time_after_a_commit_soon_after_a_resume() {
    let resumed = |mut facts: Facts| {
        if let ScheduleState::Present { resumed_at, .. } = &mut facts.schedule {
            *resumed_at = Some(at(-1));
        }
        facts
    };
    for now in [60, 600, 1_200] {
        let facts = resumed(failing_for_ever(at(now), None));
        assert_eq!(alarm_at(&facts, &[]), Some(at(182)), "{now}");
        let queued = resumed(failing_for_ever(at(now), Some(RunState::Queued { moved: false })));
        assert_eq!(alarm_at(&queued, &[]), Some(at(182)), "{now}");
        // That commit may have been just before it: the first run after it has its place in line.
        let first = Facts { ended: None, ..queued };
        assert_eq!(alarm_at(&first, &[]), Some(at(-1 + 24 * 60 + 2)));
    }
    // A run that failed just then may have done so before it.
    let queued = resumed(failing_for_ever(at(1), Some(RunState::Queued { moved: false })));
    assert_eq!(alarm_at(&queued, &[]), Some(at(-1 + 24 * 60 + 2)));
}

#[test]
fn one_that_fails_every_minute_after_an_early_commit_is_told() {
    let mut scene = Scene::new(at(0));
    let mut told = Vec::new();
    for minute in 1..200 {
        let mut facts = failing_for_ever(at(minute), None);
        facts.terms.created_at = at(0);
        told.extend(scene.told(at(minute), &[("acme/a", &facts)]).into_iter().map(|_| minute));
    }
    assert_eq!(told, [182]);
}

#[test]
fn the_run_after_a_long_first_sync_belongs_to_it() {
    let mut facts = in_step(at(10));
    facts.terms.created_at = at(0);
    facts.commit = facts.commit.map(|commit| Commit { committed_at: at(600), ..commit });
    let state = RunState::Working { moved_at: at(605), progress: "1 of 9".into() };
    facts.run = Some(OpenRun { started_at: at(600), heard_at: None, state });
    assert_eq!(alarm_at(&facts, &[]), Some(at(637)));
    facts.terms.created_at = at(-2_000);
    assert_eq!(alarm_at(&facts, &[]), Some(at(192)), "not of one that has always been slow");
}

#[test]
fn an_edit_that_forces_a_full_read_gives_time_too() {
    let mut facts = in_step(at(0));
    facts.terms.reread_at = Some(at(60));
    facts.run = Some(OpenRun {
        started_at: at(70),
        heard_at: None,
        state: RunState::Queued { moved: false },
    });
    assert_eq!(alarm_at(&facts, &[]), Some(at(60 + 24 * 60 + 2)));
}

#[test]
fn an_edit_that_allows_less_counts_from_then_on() {
    let edit = |minutes, before, after| Edit {
        at: at(minutes),
        before: SignedDuration::from_hours(before),
        after: SignedDuration::from_hours(after),
    };
    let edited = |edits: &[Edit]| {
        let mut facts = in_step(at(0));
        facts.terms.max_lag = edits.last().unwrap().after;
        facts.terms.edits = edits.to_vec();
        facts
    };
    // Its newest run is twenty hours old, as it was allowed to be.
    let day = edit(20 * 60, 72, 18);
    assert_eq!(alarm_at(&edited(&[day]), &[]), Some(at((20 + 18) * 60 + 2)));
    let again = edit(21 * 60, 18, 3);
    assert_eq!(alarm_at(&edited(&[day, again]), &[]), Some(at((21 + 3) * 60 + 2)));
    let late = edit(80 * 60, 72, 18);
    assert_eq!(alarm_at(&edited(&[late]), &[]), Some(at(72 * 60 + 2)), "it was late before");
    let more = edit(2 * 60, 3, 9);
    assert_eq!(alarm_at(&edited(&[more]), &[]), Some(at(9 * 60 + 2)));
    // A run after it has the time of any other.
    let mut facts = edited(&[day]);
    facts.commit = in_step(at(21 * 60)).commit;
    assert_eq!(alarm_at(&facts, &[]), Some(at((21 + 18) * 60 + 2)));
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
fn a_commit_just_after_a_resume_may_have_been_just_before_it() {
    let resumed = |minutes| {
        let mut facts = in_step(at(60));
        facts.schedule = ScheduleState::Present {
            paused: None,
            resumed_at: Some(at(minutes)),
            created_at: None,
            started_at: Some(at(60)),
            as_defined: true,
        };
        facts.run = Some(OpenRun {
            started_at: at(61),
            heard_at: None,
            state: RunState::Queued { moved: false },
        });
        facts
    };
    assert_eq!(alarm_at(&resumed(59), &[]), Some(at(59 + 24 * 60 + 2)));
    assert_eq!(alarm_at(&resumed(57), &[]), Some(at(60 + 182)));
}

#[test]
fn what_has_time_need_not_be_looked_at_again() {
    let mut scene = Scene::new(at(100));
    let mut later = |now, facts: &Facts| {
        let look = Look { connection: id("acme/a"), facts: Some(facts.clone()), orphaned: false };
        let seen = Seen {
            now,
            temporal: true,
            workers: Some(now),
            looks: vec![look],
            mutes: &[],
            activity: None,
        };
        // It made passes all the time.
        scene.memory.signs.awake_at = Some(now);
        scene.watch.pass(&mut scene.memory, seen).later
    };
    let facts = in_step(at(0));
    assert_eq!(later(at(100), &facts), [(id("acme/a"), at(105))]);
    assert_eq!(later(at(180), &facts), [(id("acme/a"), at(182))]);
    // One that has time only while it progresses has to be watched.
    let mut resumed = facts.clone();
    if let ScheduleState::Present { resumed_at, .. } = &mut resumed.schedule {
        *resumed_at = Some(at(0));
    }
    resumed.run = Some(OpenRun {
        started_at: at(1),
        heard_at: None,
        state: RunState::Queued { moved: false },
    });
    assert!(later(at(181), &resumed).is_empty());
}

#[test]
fn one_that_is_late_since_its_schedule_was_edited_is_so_for_that_reason() {
    let edited = |mut facts: Facts| {
        if let ScheduleState::Present { as_defined, .. } = &mut facts.schedule {
            *as_defined = false;
        }
        facts
    };
    let cause = |facts: &Facts, now| Cause::of_lag(facts, at(now), &Settings::default());
    // Its tick is overdue, or is not yet, as after a start by hand.
    let facts = edited(in_step(at(0)));
    assert_eq!(cause(&facts, 200), Cause::ScheduleEdited);
    assert_eq!(cause(&facts, 60), Cause::ScheduleEdited);
    let facts = in_step(at(0));
    assert_eq!(cause(&facts, 200), Cause::NotFiring { since: Some(at(0)) });
    // Runs that are started and fail do not fail for that reason.
    let facts = edited(failing(at(0), at(60), "HTTP 502"));
    assert!(matches!(cause(&facts, 200), Cause::Failing { .. }));
}
