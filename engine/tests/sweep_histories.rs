//! Random histories of one connection that is swept between any two steps of any run, and beside
//! them: every later run still commits and is in step, what the newest commits name is there, and
//! what nothing names is gone in the end.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use tidemark_engine::{log::Log, run::exceptions};
use tidemark_model::{
    entry::Manifest,
    step::{CommitRequest, ReadOutcome},
};

use crate::support::{FaultAt, World};

/// How far a run comes before it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Until {
    Read,
    Computed,
    Pushed,
    Committed,
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: u8,
        value: u8,
    },
    Archive {
        key: u8,
    },
    TakeBack {
        key: u8,
    },
    Pass {
        hours: u64,
    },
    Sweep,
    /// It dies at some operation of the store.
    DyingSweep {
        operation: u64,
        after: bool,
    },
    /// Time passes and a sweep comes after each of its steps.
    SweptRun {
        until: Until,
        hours: u64,
    },
    /// A sweep is at work at the same time.
    RunBesideSweep,
    /// The destination refuses a record.
    RefusedRun {
        key: u8,
    },
    Run,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    keep_commits: u32,
    keep_raw_hours: u64,
    deadline_minutes: u64,
}

fn limits() -> impl Strategy<Value = Limits> {
    (1_u32..4, prop_oneof![Just(0_u64), Just(100)], prop_oneof![Just(1_u64), Just(600)]).prop_map(
        |(keep_commits, keep_raw_hours, deadline_minutes)| Limits {
            keep_commits,
            keep_raw_hours,
            deadline_minutes,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..6;
    let hours = prop_oneof![Just(0_u64), Just(1), Just(30), Just(300)];
    let until = prop_oneof![
        Just(Until::Read),
        Just(Until::Computed),
        Just(Until::Pushed),
        Just(Until::Committed)
    ];
    prop_oneof![
        5 => (key.clone(), 0_u8..3).prop_map(|(key, value)| Step::Put { key, value }),
        1 => key.clone().prop_map(|key| Step::Archive { key }),
        1 => key.clone().prop_map(|key| Step::TakeBack { key }),
        2 => hours.clone().prop_map(|hours| Step::Pass { hours }),
        2 => Just(Step::Sweep),
        1 => (0_u64..60, any::<bool>())
            .prop_map(|(operation, after)| Step::DyingSweep { operation, after }),
        4 => (until, hours).prop_map(|(until, hours)| Step::SweptRun { until, hours }),
        2 => Just(Step::RunBesideSweep),
        1 => key.prop_map(|key| Step::RefusedRun { key }),
        3 => Just(Step::Run),
    ]
}

async fn swept_run(world: &World, until: Until, hours: u64) {
    let host = world.host();
    let (engine, id) = (&world.engine, &world.connection);
    let sweep = async || {
        world.clock.advance(Duration::from_hours(hours));
        world.sweep().await.unwrap();
    };
    let read = engine.read(&host, id).await.unwrap();
    sweep().await;
    let mut request = None;
    match read {
        ReadOutcome::Skipped { reason } => panic!("no other run is open: {reason}"),
        ReadOutcome::Unchanged(read) => request = Some(CommitRequest::Unchanged(read)),
        ReadOutcome::Read(read) if until > Until::Read => {
            let number = engine.compute(&host, id, &read).await.unwrap().number;
            sweep().await;
            if until > Until::Computed {
                world.attempts(async || engine.push(&host, id, number).await).await.unwrap();
                sweep().await;
                request = Some(CommitRequest::Pushed { number });
            }
        }
        ReadOutcome::Read(_) => {}
    }
    if until == Until::Committed {
        engine.commit(&host, id, &request.unwrap()).await.unwrap();
        sweep().await;
    }
    host.close();
}

/// What a commit's manifest names, besides change sets.
fn files(manifest: &Manifest) -> BTreeSet<String> {
    let ranges = manifest.snapshot.ranges.iter().map(|range| &range.file);
    let deltas = manifest.snapshot.deltas.iter().map(|delta| &delta.file);
    let files = ranges.chain(deltas).chain(&manifest.exceptions);
    files.map(|file| file.path.clone()).collect()
}

/// Looks at the newest commits; gives back what they name.
async fn check(world: &World, limits: Limits) -> BTreeSet<String> {
    let log = Log::open(&world.folder()).await.unwrap();
    let mut named = BTreeSet::new();
    let entries = log.recent(1_000).await.unwrap();
    let commits = entries.iter().filter_map(|entry| entry.committed.as_ref());
    // A run may have begun on the commit below the newest one.
    for commit in commits.take(limits.keep_commits.max(2) as usize) {
        let files = files(&commit.manifest);
        for file in &files {
            assert!(world.folder().exists(file).await.unwrap(), "{file} is gone");
        }
        if let Some(list) = &commit.manifest.exceptions {
            exceptions(&world.folder(), list).await.unwrap();
        }
        named.extend(files);
    }
    named
}

async fn play(limits: Limits, steps: Vec<Step>) {
    let policy = format!(
        "keep_commits = {}\nkeep_raw = \"{}h\"\ndeadline = \"{}m\"\nretry_rejected = 1",
        limits.keep_commits, limits.keep_raw_hours, limits.deadline_minutes
    );
    let world = World::with_policy(&policy).await;
    let mut committed = world.listing.snapshot();
    let name = |key: u8| format!("k{key}");
    for step in steps {
        world.clock.advance(Duration::from_secs(1));
        match step {
            Step::Put { key, value } => world.listing.put(&name(key), &value.to_string()),
            Step::Archive { key } => world.listing.archive(&name(key)),
            Step::TakeBack { key } => world.listing.take_back(&name(key), &committed),
            Step::Pass { hours } => world.clock.advance(Duration::from_hours(hours)),
            Step::Sweep => drop(world.sweep().await.unwrap()),
            Step::DyingSweep { operation, after } => {
                let at = if after { FaultAt::After } else { FaultAt::Before };
                world.objects.fail(operation, at);
                world.sweep().await.ok();
                world.objects.forget_fault();
            }
            Step::SweptRun { until, hours } => {
                swept_run(&world, until, hours).await;
                if until == Until::Committed {
                    committed = world.listing.snapshot();
                }
            }
            Step::RunBesideSweep => {
                let (swept, ()) = tokio::join!(world.sweep(), world.run_and_approve());
                swept.unwrap();
                world.assert_in_step();
                committed = world.listing.snapshot();
            }
            Step::RefusedRun { key } => {
                let id = format!("newsletter:{}", name(key));
                world.destination().state().refuses.insert(id);
                world.run_and_approve().await;
                world.destination().state().refuses.clear();
                committed = world.listing.snapshot();
            }
            Step::Run => {
                world.run_and_approve().await;
                world.assert_in_step();
                committed = world.listing.snapshot();
            }
        }
        check(&world, limits).await;
    }
    world.run_and_approve().await;
    world.assert_in_step();

    world.clock.advance(Duration::from_hours(1_000));
    world.sweep().await.unwrap();
    let named = check(&world, limits).await;
    for folder in ["snapshots/", "exceptions/"] {
        let left = world.paths_with(folder).await;
        let unnamed: Vec<_> = left.iter().filter(|path| !named.contains(*path)).collect();
        assert!(unnamed.is_empty(), "nothing names {unnamed:?}");
    }
    assert_eq!(world.paths_with("pages/").await, [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_sweep_takes_what_a_later_run_needs(
        limits in limits(),
        steps in proptest::collection::vec(step(), 1..28),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(limits, steps));
    }
}
