//! The first sync of a large list, against the least that it can be.
//!
//! One simulator serves all of them, one after the other: a run of the worker that its schedule
//! starts, the [baseline](mod@crate::baseline), the same sync by the engine alone in this process, and
//! the baseline twice more. A run lasts from the trigger to its last event. Each sync is held
//! against the median of the baselines.

use anyhow::{Context as _, ensure};
use tidemark_simulator::{Operation, Seed};

use super::{Row, grouped};
use crate::{
    baseline,
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, mebibytes},
    in_process,
    options::Options,
    spread::Spread,
    stage::Stage,
};

/// A sync may take so many times as long as its requests alone.
const RATIO: f64 = 2.0;
/// What the worker may have resident at most.
const MEBIBYTES: f64 = 256.0;

const LIST: &str = "first";

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let size: u32 = options.pick(1_000_000, 50_000);
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    stage.fill(LIST, &Seed::of(size))?;
    let plan = |name, space| Plan { name, list: LIST, space, delete: Delete::Tombstone };

    let definition = stage.connect(&plan("first-sync", Space::First)).await?;
    let worker = stage.worker()?;
    let cpu_before = worker.cpu_seconds()?;
    let mark = stage.world().ledger().mark;
    let run = stage.run(definition.id()).await?;
    let cpu = worker.cpu_seconds()? - cpu_before;
    let peak = worker.peak_memory()?;
    let ledger = stage.world().ledger_since(mark);
    ensure!(run.receipt.records.next == u64::from(size), "not every member arrived");
    // What it holds is not needed any more.
    stage.world().remove_destination(Space::First.key());

    // The baseline asks for the same fields.
    let fields = ledger.calls.iter().find_map(|call| call.parameter("fields"));
    let fields = fields.context("the run asked for no page")?;
    let batches = baseline::batches(stage.world(), LIST)?;
    let mut baselines = vec![baseline::measure(&stage, LIST, &fields, &batches).await?];
    let definition = plan("in-process", Space::Second).definition(&stage.url())?;
    let alone = in_process::first_sync(&definition).await?;
    ensure!(alone.receipt.records.next == u64::from(size), "not every member arrived");
    stage.world().remove_destination(Space::Second.key());
    for _ in 0..2 {
        baselines.push(baseline::measure(&stage, LIST, &fields, &batches).await?);
    }
    stage.close().await;

    let seconds = |value: f64| Unit::Seconds.show(value);
    let baseline = Spread::of(baselines.iter().map(|one| one.seconds()));
    let base = baseline.median();
    let members = grouped(size.into());
    let what = |who: &str| format!("{who}, {members} members ÷ its requests alone");
    let ratio = |who: &str, took: f64| {
        Figure::at_most(Row::FirstSync, what(who), RATIO, took / base, Unit::Ratio)
    };
    let run_seconds = run.seconds()?;
    let activity = |name: &str| run.history.activity(name).map(|took| took.as_secs_f64());
    let note = format!(
        "{} ÷ {}: read {}, compute {}, push {}, commit {}; {cpu:.1} s CPU; {} source and {} \
         destination requests",
        seconds(run_seconds),
        seconds(base),
        seconds(activity("read_source")?),
        seconds(activity("compute_changes")?),
        seconds(activity("push_changes")?),
        seconds(activity("commit")?),
        ledger.count(Operation::Page),
        ledger.count(Operation::Write),
    );
    let alone_note = format!(
        "{} ÷ {}: read {}, compute {}, push {}, commit {}",
        seconds(alone.seconds()),
        seconds(base),
        seconds(alone.read.as_secs_f64()),
        seconds(alone.compute.as_secs_f64()),
        seconds(alone.push.as_secs_f64()),
        seconds(alone.commit.as_secs_f64()),
    );
    let memory = format!("the worker's peak memory, {members} members");
    let base_note = format!(
        "{}; fetching {}, posting {}",
        baseline.range(seconds),
        Spread::of(baselines.iter().map(|one| one.fetch)).range(seconds),
        Spread::of(baselines.iter().map(|one| one.post)).range(seconds),
    );
    Ok(vec![
        ratio("a run of the worker", run_seconds).note(note),
        ratio("the engine alone in one process", alone.seconds()).note(alone_note),
        Figure::at_most(Row::FirstSync, memory, MEBIBYTES, mebibytes(peak), Unit::Mebibytes),
        Figure::printed(Row::FirstSync, "its requests alone, median", base, Unit::Seconds)
            .note(base_note),
    ])
}
