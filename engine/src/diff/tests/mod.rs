//! Properties of the comparison against a model, over many successive runs.

mod damage;
mod give_up;
mod model;
mod steps;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidemark_model::definition::Deletions;
use tidemark_model::entry::Coverage;

use super::Resend;
use model::{Plan, World, runtime};

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// After every run the destination holds exactly the records of the next snapshot, the next
    /// snapshot is the listing, its queries answer as the model does, and the receipt balances.
    #[test]
    fn every_run_ends_in_step(seed: u64, keys in 1_usize..60, runs in 1_usize..9) {
        let mut random = StdRng::seed_from_u64(seed);
        runtime().block_on(async {
            let mut world = World::new(&mut random, keys);
            for _ in 0..runs {
                world.change();
                let plan = Plan::any(&mut world.random);
                if world.random.random_bool(0.3) {
                    world.die(&plan).await;
                } else {
                    world.run(&plan).await;
                }
            }
        });
    }

    /// What is the same is not sent, and the files of the snapshot stay.
    #[test]
    fn the_same_listing_changes_nothing(seed: u64, keys in 1_usize..60, full: bool) {
        let mut random = StdRng::seed_from_u64(seed);
        runtime().block_on(async {
            let mut world = World::new(&mut random, keys);
            for _ in 0..3 {
                world.change();
                let plan = Plan::any(&mut world.random);
                world.run(&plan).await;
            }
            let before = world.files.clone();
            let coverage = if full { Coverage::Full } else { Coverage::Changes };
            let plan = Plan { coverage, resend: Resend::Nothing, dirty: false, ..Plan::any(&mut world.random) };
            let output = world.run(&plan).await;
            assert_eq!(output.changes, None);
            assert_eq!(Some(output.snapshot), before);
        });
    }

    /// However the readings are put into pages and in whatever order, the same comes out.
    #[test]
    fn neither_pages_nor_their_order_matter(seed: u64, keys in 1_usize..60) {
        let outcome = |shuffle: u64| {
            let mut random = StdRng::seed_from_u64(seed);
            runtime().block_on(async {
                let mut world = World::new(&mut random, keys);
                world.change();
                world.run(&Plan::first()).await;
                world.change();
                world.random = StdRng::seed_from_u64(shuffle);
                let plan = Plan { coverage: Coverage::Full, deletions: Deletions::Propagate, resend: Resend::Nothing, dirty: false, ..Plan::any(&mut world.random) };
                let output = world.run(&plan).await;
                (output.push, output.rows, output.records, world.snapshot_rows().await)
            })
        };
        prop_assert_eq!(outcome(seed ^ 1), outcome(seed ^ 2));
    }
}

#[test]
fn random_worlds_reach_every_way() {
    // The properties above are worth something only if their plans lead everywhere.
    let mut random = StdRng::seed_from_u64(7);
    let plans: Vec<Plan> = (0..200).map(|_| Plan::any(&mut random)).collect();
    assert!(
        plans.iter().any(|plan| plan.coverage == Coverage::Changes && plan.layout.direct_rows == 0)
    );
    assert!(
        plans.iter().any(|plan| plan.coverage == Coverage::Changes && plan.layout.direct_rows > 0)
    );
    assert!(plans.iter().any(|plan| plan.budget.0 < 4_096));
    assert!(plans.iter().any(|plan| plan.resend != Resend::Nothing));
    assert!(plans.iter().any(|plan| plan.deletions == Deletions::Keep));
    assert!(random.random_bool(1.0));
}
