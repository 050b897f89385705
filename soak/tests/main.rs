//! A fixed small set of seeds, the same to the letter each time; `cargo xtask soak` plays more, and
//! so does `TIDEMARK_SOAK_SEEDS`.

use std::{env, thread::available_parallelism};

use tidemark_model::defect::Defect;
use tidemark_soak::{hunt::hunt, play};

/// Few enough for a build without optimisation.
const SEEDS: u64 = 12;

fn seeds() -> u64 {
    let wanted = env::var("TIDEMARK_SOAK_SEEDS").ok();
    wanted.map_or(SEEDS, |count| count.parse().expect("TIDEMARK_SOAK_SEEDS is a number"))
}

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[test]
fn no_green_run_of_these_seeds_breaks_its_promise() {
    let hunted = hunt(1, seeds(), threads(), None, 1, &|| false);
    if let Some(played) = hunted.faults.first() {
        panic!(
            "seed {}: {}\nreplay: cargo xtask soak --seed {0} --log",
            played.seed,
            played.fault.as_deref().unwrap_or_default()
        );
    }
    let (runs, green) = (hunted.tally.get("runs"), hunted.tally.get("green runs"));
    assert!(green * 3 >= runs, "{green} of {runs} runs end green: that proves nothing");
    assert!(hunted.tally.sum("trouble: ") > runs, "next to nothing went wrong");
}

#[test]
fn a_seed_plays_the_same_history_again() {
    for seed in 1..=3 {
        let (one, other) = (play(seed, true, None), play(seed, true, None));
        if one.hash != other.hash {
            let differs = one.log.iter().zip(&other.log).find(|(one, other)| one != other);
            panic!("seed {seed} differs at {differs:#?}");
        }
    }
}

#[test]
fn rules_that_are_switched_off_are_noticed() {
    for defect in [Defect::AcknowledgeFirst, Defect::ForgetInvalid, Defect::SkipClosing] {
        let hunted = hunt(1, 60, threads(), Some(defect), 1, &|| false);
        assert!(!hunted.faults.is_empty(), "{defect:?} in {} seeds", hunted.seed_count);
    }
}

/// In this seed another run takes a number and begins to send while one that opened the log before
/// stands still: nothing is lost.
#[test]
fn a_run_whose_log_is_old_takes_nothing_for_lost() {
    assert_eq!(play(1_102_939, false, None).fault, None);
}

/// Another test of the same program, on another thread, has all rules.
#[test]
fn a_rule_is_off_on_one_thread_only() {
    tidemark_model::defect::set(Some(Defect::SkipFence));
    let elsewhere = std::thread::spawn(|| tidemark_model::defect::on(Defect::SkipFence));
    assert!(!elsewhere.join().unwrap());
    assert!(tidemark_model::defect::on(Defect::SkipFence));
    tidemark_model::defect::set(None);
    assert!(!tidemark_model::defect::on(Defect::SkipFence));
}
