//! Single steps, each with its outcome.

use rand::{SeedableRng, rngs::StdRng};
use tidemark_model::{
    definition::Deletions,
    entry::Coverage,
    receipt::{PushCounts, RowCounts},
};

use super::model::{Plan, SourceRow, World, runtime};
use crate::{
    diff::{BatchLimits, MemoryBudget, Resend},
    snapshot::Layout,
};

/// A world of `rows` rows that are sent, and a plan without surprises.
fn world(rows: usize) -> (World, Plan) {
    let mut world = World::new(&mut StdRng::seed_from_u64(1), 0);
    world.keys = (0..rows).map(|key| format!("{key:06}")).collect();
    for key in world.keys.clone() {
        world.listing.insert(key, SourceRow::sent(1_000, 1));
    }
    let plan = Plan {
        coverage: Coverage::Full,
        deletions: Deletions::Propagate,
        resend: Resend::Nothing,
        dirty: false,
        budget: MemoryBudget::default(),
        threads: 2,
        limits: BatchLimits { write_records: 500, removal_records: 500, bytes: 1 << 20 },
        layout: Layout { range_rows: 200, page_rows: 16, ..Layout::default() },
        page_rows: 100,
    };
    (world, plan)
}

fn push(added: u64, changed: u64, removed: u64, repeated: u64) -> PushCounts {
    PushCounts { added, changed, removed, repeated, ..PushCounts::default() }
}

#[test]
fn few_changes_of_many_partitions_are_one_batch_of_each_kind() {
    runtime().block_on(async {
        let (mut world, plan) = world(3_000);
        world.run(&plan).await;
        assert!(world.files.as_ref().unwrap().ranges.len() > 10);
        for key in ["000017", "001001", "002999"] {
            world.listing.insert(key.to_owned(), SourceRow::sent(1_001, 2));
        }
        for key in ["000000", "001500"] {
            world.listing.remove(key);
        }
        let output = world.run(&plan).await;
        assert_eq!(output.push, push(0, 3, 2, 0));
        assert_eq!(output.batch_count, 2);
        assert_eq!(
            output.rows,
            RowCounts {
                previous: 3_000,
                vanished: 2,
                next: 2_998,
                sent: 2_998,
                ..RowCounts::default()
            }
        );
    });
}

#[test]
fn a_row_that_only_moved_in_time_is_not_sent_and_the_ranges_stay() {
    runtime().block_on(async {
        let (mut world, plan) = world(3_000);
        let first = world.run(&plan).await;
        for coverage in [Coverage::Full, Coverage::Changes] {
            for row in world.listing.values_mut().step_by(100) {
                row.modified += 1;
            }
            let output = world.run(&Plan { coverage, ..plan.clone() }).await;
            assert_eq!(output.changes, None);
            assert_eq!(output.snapshot.ranges, first.snapshot.ranges);
            assert!(!output.snapshot.deltas.is_empty());
        }
    });
}

#[test]
fn small_runs_write_little_and_leave_few_files() {
    runtime().block_on(async {
        let (mut world, plan) = world(1_000);
        let first = world.run(&plan).await.snapshot;
        let layout = Layout { range_rows: 400, page_rows: 100, ..Layout::default() };
        let plan = Plan { coverage: Coverage::Changes, layout, ..plan };
        let (runs, mut written, mut folds) = (250, 0, 0);
        let mut known: Vec<String> =
            first.ranges.into_iter().map(|range| range.file.path).collect();
        for run in 0..runs {
            let key = world.keys[run * 701 % 1_000].clone();
            world.listing.insert(key, SourceRow::sent(2_000 + run as i64, 2));
            let output = world.run(&plan).await;
            let files = output.snapshot;
            assert!(files.deltas.len() <= 16, "{} deltas after {run} runs", files.deltas.len());
            let tiers: Vec<u32> = files.deltas.iter().map(|delta| delta.tier).collect();
            assert!(tiers.is_sorted_by(|old, new| old >= new), "{tiers:?}");
            let ranges = files.ranges.into_iter().map(|range| range.file);
            let all: Vec<_> = ranges.chain(files.deltas.into_iter().map(|d| d.file)).collect();
            for file in &all {
                if !known.contains(&file.path) {
                    written += file.row_count;
                    folds += u64::from(file.path.contains("range"));
                }
            }
            known = all.into_iter().map(|file| file.path).collect();
        }
        // Each row is written once into each tier and each range about once for a tenth of its
        // rows; rewriting the list in every run would be a thousand times the runs.
        assert!(folds > 0, "nothing was folded");
        assert!(written < runs as u64 * 25, "{written} rows written in {runs} runs");
    });
}

#[test]
fn a_key_shown_without_end_fits_into_a_small_budget() {
    runtime().block_on(async {
        let (mut world, plan) = world(3);
        let plan = Plan { budget: MemoryBudget(1_000), ..plan };
        world.repeat_readings(3_000);
        let output = world.run(&plan).await;
        assert_eq!(output.push, push(3, 0, 0, 0));
    });
}

#[test]
fn wrong_claims_of_the_filter_are_read_again() {
    runtime().block_on(async {
        let (mut world, plan) = world(3_000);
        // Five blocks for three thousand digests: it claims to know everything.
        let plan = Plan { budget: MemoryBudget(1_000), ..plan };
        world.run(&plan).await;
        for row in world.listing.values_mut().step_by(3) {
            *row = SourceRow::sent(1_001, 2);
        }
        let output = world.run(&plan).await;
        assert_eq!(output.push, push(0, 1_000, 0, 0));
    });
}

#[test]
fn what_a_dead_run_sent_is_sent_again_when_the_source_went_back() {
    runtime().block_on(async {
        let (mut world, plan) = world(10);
        world.run(&plan).await;
        let plan = Plan { coverage: Coverage::Changes, ..plan };
        let key = world.keys[3].clone();
        world.listing.insert(key.clone(), SourceRow::sent(1_001, 2));
        world.listing.insert("new".to_owned(), SourceRow::sent(1_001, 2));
        world.die(&plan).await;
        world.listing.insert(key, SourceRow::sent(1_002, 1));
        world.listing.remove("new");
        let output = world.run(&plan).await;
        assert_eq!(output.push, PushCounts { repeated_removals: 1, ..push(0, 0, 0, 2) });
    });
}

#[test]
fn an_old_id_that_a_dead_run_sent_is_removed_once() {
    runtime().block_on(async {
        let (mut world, plan) = world(10);
        world.run(&plan).await;
        let key = world.keys[3].clone();
        world.listing.insert(key, SourceRow::sent(1_001, 2));
        world.die(&Plan { coverage: Coverage::Changes, ..plan.clone() }).await;
        world.listing.values_mut().for_each(|row| row.incarnation += 1);
        let resend = Resend::Everything { remove_old_ids: true };
        let output = world.run(&Plan { resend, ..plan }).await;
        assert_eq!(output.push, push(10, 0, 10, 0));
    });
}

#[test]
fn everything_is_sent_again_to_a_new_destination() {
    runtime().block_on(async {
        let (mut world, plan) = world(1_000);
        world.run(&plan).await;
        for coverage in [Coverage::Full, Coverage::Changes] {
            let resend = Resend::Everything { remove_old_ids: false };
            let output = world.run(&Plan { coverage, resend, ..plan.clone() }).await;
            assert_eq!(output.push, push(0, 0, 0, 1_000));
            assert_eq!(output.batch_count, 2);
        }
    });
}

#[test]
fn an_empty_listing_removes_everything_and_may_fill_again() {
    runtime().block_on(async {
        let (mut world, plan) = world(500);
        world.run(&plan).await;
        let listing = std::mem::take(&mut world.listing);
        let output = world.run(&plan).await;
        assert_eq!(output.push, push(0, 0, 500, 0));
        assert!(output.snapshot.ranges.is_empty() && output.snapshot.deltas.is_empty());
        world.listing = listing;
        let changes = Plan { coverage: Coverage::Changes, ..plan };
        let output = world.run(&changes).await;
        assert_eq!(output.push, push(500, 0, 0, 0));
    });
}
