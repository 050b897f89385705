//! Reading a large list from a source that takes 200 ms longer for each page.
//!
//! Eight requests may be under way at once, and no second holds more than 10,000 members, so the
//! least that reading can take is the number of pages × 200 ms ÷ 8. Measured is the worker's
//! reading step in a first sync, from the start of the activity to its end, as the run's history
//! has them. The number of pages is that of the members ÷ 1,000: pages asked for twice are on the
//! reader's account.

use std::time::Duration;

use tidemark_simulator::{Operation, Seed};

use super::{Row, grouped};
use crate::{
    definition::{Delete, Plan, SOURCE_KEY, Space},
    figure::{Figure, Unit},
    options::Options,
    stage::Stage,
};

/// What each page takes longer.
const LATENCY: Duration = Duration::from_millis(200);
/// Requests at once: the default of the source.
const SIMULTANEOUS: f64 = 8.0;
/// The most that reading may take, as a multiple of the least.
const RATIO: f64 = 1.5;

const LIST: &str = "slow";

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let size: u32 = options.pick(1_000_000, 100_000);
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    stage.fill(LIST, &Seed::of(size))?;
    stage.world().set_latency(LATENCY);
    let plan = Plan { name: "reading", list: LIST, space: Space::First, delete: Delete::Tombstone };
    let definition = stage.connect(&plan).await?;
    let run = stage.run(definition.id()).await?;
    let ledger = stage.world().ledger();
    stage.close().await;

    let took = run.history.activity("read_source")?.as_secs_f64();
    let pages = f64::from(size.div_ceil(1_000));
    let least = pages * LATENCY.as_secs_f64() / SIMULTANEOUS;
    let peak = ledger.peaks.iter().find(|(key, _)| key.contains(SOURCE_KEY));
    let note = format!(
        "{took:.1} s ÷ {least:.1} s; {} pages asked for, at most {} at once",
        ledger.count(Operation::Page),
        peak.map_or(0, |(_, peak)| *peak),
    );
    let what = format!("reading {} members ÷ (pages × 200 ms ÷ 8)", grouped(size.into()));
    Ok(vec![Figure::at_most(Row::Reading, what, RATIO, took / least, Unit::Ratio).note(note)])
}
