//! Random histories of one connection: rows change, runs die anywhere, answers and operations of
//! the store are lost. Whatever came before, a run that commits leaves both sides equal.

use std::time::Duration;

use proptest::prelude::*;
use tidemark_model::step::ReadOutcome;

use crate::support::{Fault, FaultAt, World};

/// Where a run dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Reading,
    Read,
    Computed,
    /// After so many batches; the last one's answer is lost.
    Pushing(usize),
    Pushed,
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
    DeleteForEver {
        key: u8,
    },
    /// The row is again what it was at the last commit, its change time included.
    TakeBack {
        key: u8,
    },
    Pass {
        seconds: u64,
    },
    Die(Death),
    Run {
        lost_answer: Option<usize>,
        store_fault: Option<(u64, FaultAt)>,
    },
}

fn death() -> impl Strategy<Value = Death> {
    prop_oneof![
        Just(Death::Reading),
        Just(Death::Read),
        Just(Death::Computed),
        (0_usize..3).prop_map(Death::Pushing),
        Just(Death::Pushed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..8;
    let at = prop_oneof![Just(FaultAt::Before), Just(FaultAt::After)];
    prop_oneof![
        4 => (key.clone(), 0_u8..3).prop_map(|(key, value)| Step::Put { key, value }),
        2 => key.clone().prop_map(|key| Step::Archive { key }),
        1 => key.clone().prop_map(|key| Step::DeleteForEver { key }),
        2 => key.prop_map(|key| Step::TakeBack { key }),
        1 => prop_oneof![Just(1_u64), Just(70), Just(3_600)].prop_map(|seconds| Step::Pass { seconds }),
        3 => death().prop_map(Step::Die),
        3 => (proptest::option::of(0_usize..4), proptest::option::of((0_u64..90, at)))
            .prop_map(|(lost_answer, store_fault)| Step::Run { lost_answer, store_fault }),
    ]
}

/// The destination answers so many requests; the next one's answer is lost.
fn lose_answer(world: &World, after: usize) {
    let destination = world.destination();
    let mut state = destination.state();
    state.script.extend((0..after).map(|_| Fault::None));
    state.script.push_back(Fault::FailAfterWrite);
}

async fn die(world: &World, death: Death) {
    let host = world.host();
    let (engine, id) = (&world.engine, &world.connection);
    if matches!(death, Death::Reading) {
        let next = world.listing.state().request_count + 2;
        world.listing.state().fails_at = Some(next);
    }
    if let Ok(ReadOutcome::Read(read)) = engine.read(&host, id).await
        && !matches!(death, Death::Reading | Death::Read)
    {
        let computed = engine.compute(&host, id, &read).await.unwrap();
        let number = computed.number;
        match death {
            Death::Pushing(batches) => {
                if let Some(send_from) = computed.send_from {
                    world.wait_until(send_from);
                }
                lose_answer(world, batches);
                engine.push(&host, id, number).await.ok();
            }
            Death::Pushed => {
                world.attempts(async || engine.push(&host, id, number).await).await.unwrap();
            }
            Death::Reading | Death::Read | Death::Computed => {}
        }
    }
    world.listing.state().fails_at = None;
    world.destination().state().script.clear();
    host.close();
}

async fn play(steps: Vec<Step>) {
    let world = World::new().await;
    let mut committed = world.listing.snapshot();
    let name = |key: u8| format!("k{key}");
    for step in steps {
        world.clock.advance(Duration::from_secs(1));
        match step {
            Step::Put { key, value } => world.listing.put(&name(key), &value.to_string()),
            Step::Archive { key } => world.listing.archive(&name(key)),
            Step::DeleteForEver { key } => world.listing.delete_for_ever(&name(key)),
            Step::TakeBack { key } => world.listing.take_back(&name(key), &committed),
            Step::Pass { seconds } => world.clock.advance(Duration::from_secs(seconds)),
            Step::Die(death) => die(&world, death).await,
            Step::Run { lost_answer, store_fault } => {
                if let Some(before) = lost_answer {
                    lose_answer(&world, before);
                }
                if let Some((operation, at)) = store_fault {
                    world.objects.fail(operation, at);
                }
                world.run_and_approve().await;
                world.assert_in_step();
                world.objects.forget_fault();
                world.destination().state().script.clear();
                committed = world.listing.snapshot();
            }
        }
    }
    world.run_and_approve().await;
    world.assert_in_step();
}

proptest! {
    #[test]
    fn a_committed_run_leaves_both_sides_equal(steps in proptest::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(play(steps));
    }
}
