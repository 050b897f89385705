//! Pauses and resumes of which no note tells.

use super::*;

/// Paused by somebody who wrote nothing down.
fn paused(watermark: Timestamp) -> Facts {
    Facts {
        schedule: ScheduleState::Present {
            paused: Some(Paused { since: None }),
            resumed_at: None,
            created_at: None,
            started_at: Some(watermark),
            as_defined: true,
        },
        ..in_step(watermark)
    }
}

fn resumed(mut facts: Facts, at: Timestamp) -> Facts {
    if let ScheduleState::Present { resumed_at, .. } = &mut facts.schedule {
        *resumed_at = Some(at);
    }
    facts
}

impl Scene {
    /// What is told of a connection in passes a minute apart.
    fn over(&mut self, minutes: std::ops::Range<i64>, facts: &Facts) -> Vec<String> {
        minutes.flat_map(|minute| self.told(at(minute), &[("acme/a", facts)])).collect()
    }
}

#[test]
fn a_resume_of_which_no_note_tells_counts_from_when_it_was_seen() {
    let mut scene = Scene::new(at(60));
    assert_eq!(scene.over(60..600, &paused(at(0))), [""; 0]);
    let running = failing(at(0), at(600), "HTTP 502");
    assert_eq!(scene.over(600..700, &running), [""; 0]);
    scene.restart(at(700));
    // The resume of a pause before that one says nothing.
    assert_eq!(scene.over(700..782, &resumed(running.clone(), at(30))), [""; 0]);
    let told = scene.over(782..790, &running);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("acme/a: late: failing since"), "{told:?}");
    let mended = in_step(at(785));
    assert_eq!(scene.told(at(790), &[("acme/a", &mended)]), ["acme/a: in time again"]);
    assert!(scene.memory.pauses.is_empty(), "it does not matter any more");
}

#[test]
fn a_slow_first_run_after_such_a_resume_is_made_up_for_by_the_next() {
    let mut scene = Scene::new(at(60));
    scene.over(60..600, &paused(at(0)));
    let mut slow = in_step(at(610));
    slow.commit = slow.commit.map(|commit| Commit { committed_at: at(800), ..commit });
    scene.over(600..601, &slow);
    let moved = |moved_at| RunState::Working { moved_at, progress: "1 of 9".into() };
    let run =
        |moved_at| Some(OpenRun { started_at: at(800), heard_at: None, state: moved(moved_at) });
    assert_eq!(scene.over(800..815, &Facts { run: run(at(800)), ..slow.clone() }), [""; 0]);
    assert!(!scene.memory.pauses.is_empty());
    scene.over(601 + 24 * 60..602 + 24 * 60, &slow);
    assert!(scene.memory.pauses.is_empty(), "it had its time");
}

#[test]
fn what_a_note_says_of_a_resume_is_not_remembered() {
    let mut scene = Scene::new(at(60));
    scene.over(60..100, &paused(at(0)));
    assert!(!scene.memory.pauses.is_empty());
    scene.over(130..131, &resumed(in_step(at(60)), at(100)));
    assert!(scene.memory.pauses.is_empty());
    // Neither is a pause of a schedule that is no more.
    scene.over(131..140, &paused(at(0)));
    scene.over(140..141, &Facts { schedule: ScheduleState::Missing, ..in_step(at(60)) });
    assert!(scene.memory.pauses.is_empty());
}

#[test]
fn a_pause_of_which_no_note_tells_is_as_long_as_it_was_seen() {
    let mut scene = Scene::new(at(60));
    let long = 60 + 7 * 24 * 60 + 2;
    assert_eq!(scene.over(60..long, &paused(at(0))), [""; 0]);
    assert_eq!(
        scene.over(long..long + 2, &paused(at(0))),
        ["acme/a: paused for long: paused since 2026-11-21T01:00:00Z"]
    );
    assert!(troubles(&paused(at(0)), at(long), &Settings::default()).is_empty());
}

#[test]
fn a_pause_after_a_resume_is_another_one() {
    let mut scene = Scene::new(at(60));
    scene.over(60..100, &paused(at(0)));
    scene.over(100..101, &in_step(at(60)));
    scene.over(101..110, &paused(at(60)));
    let week = 7 * 24 * 60;
    assert_eq!(scene.over(101 + week..103 + week, &paused(at(60))), [""; 0]);
    assert_eq!(scene.over(103 + week..104 + week, &paused(at(60))).len(), 1);
}
