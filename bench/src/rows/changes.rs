//! A few changes in a large list: how many requests bring both sides in step again.
//!
//! Twenty members are changed and three archived; then, in further runs, the same and one more
//! deleted for ever, which no listing shows, and the same and five more. Two connections see the
//! same changes: one whose destination takes tombstones, and one that has to be asked to delete each
//! record. Then the same over a list in which 300,000 members changed in the same second, as after
//! an import; nothing is promised about its number of requests.

use anyhow::ensure;
use tidemark_model::definition::Definition;
use tidemark_simulator::{Operation, RandomKind, Seed};

use super::{Row, grouped};
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    stage::Stage,
};

const CHANGED: usize = 20;
const ARCHIVED: usize = 3;

/// What a list is like, and whether anything is promised about it.
struct Shape {
    list: &'static str,
    title: String,
    seed: Seed,
    promised: bool,
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let size: u32 = options.pick(1_000_000, 20_000);
    let ties: u32 = options.pick(300_000, 6_000);
    let shapes = [
        Shape { list: "even", title: grouped(size.into()), seed: Seed::of(size), promised: true },
        Shape {
            list: "tied",
            title: format!("{}, {} in one second", grouped(size.into()), grouped(ties.into())),
            seed: Seed { ties, ..Seed::of(size) },
            promised: false,
        },
    ];
    let mut figures = Vec::new();
    for shape in shapes {
        // A stage for each: the memory of two such lists and four such spaces is not needed.
        let mut stage = Stage::open().await?;
        stage.start_worker()?;
        figures.extend(over(&stage, &shape).await?);
        stage.close().await;
    }
    Ok(figures)
}

async fn over(stage: &Stage, shape: &Shape) -> anyhow::Result<Vec<Figure>> {
    stage.fill(shape.list, &shape.seed)?;
    let plan = |name, space, delete| Plan { name, list: shape.list, space, delete };
    let plans = [
        plan("tombstone", Space::First, Delete::Tombstone),
        plan("method", Space::Second, Delete::Method),
    ];
    let mut connections = Vec::new();
    for plan in plans {
        let definition = stage.connect(&plan).await?;
        stage.run(definition.id()).await?;
        connections.push((plan.delete, definition));
    }
    let mut figures = Vec::new();
    for (deleted, source_limit) in [(0, 3.0), (1, 14.0), (5, 90.0)] {
        let world = stage.world();
        let seed = u64::try_from(deleted)? + 1;
        world.mutate_random(shape.list, RandomKind::Change, CHANGED, seed)?;
        world.mutate_random(shape.list, RandomKind::Archive, ARCHIVED, seed + 10)?;
        world.mutate_random(shape.list, RandomKind::DeleteForEver, deleted, seed + 20)?;
        for (delete, definition) in &connections {
            figures.extend(run(stage, shape, *delete, definition, deleted, source_limit).await?);
        }
    }
    Ok(figures)
}

async fn run(
    stage: &Stage,
    shape: &Shape,
    delete: Delete,
    definition: &Definition,
    deleted: usize,
    source_limit: f64,
) -> anyhow::Result<Vec<Figure>> {
    let mark = stage.world().ledger().mark;
    let run = stage.run(definition.id()).await?;
    let ledger = stage.world().ledger_since(mark);
    let members = u64::try_from(stage.world().member_count(shape.list)?)?;
    let held = run.receipt.records.next;
    ensure!(held == members, "{members} members and {held} records: not in step");

    let removals = count(u64::try_from(ARCHIVED + deleted)?);
    let (rule, destination_limit) = match delete {
        Delete::Tombstone => ("tombstones", 2.0),
        Delete::Method => ("DELETE", 1.0 + removals),
    };
    let also = match deleted {
        0 => String::new(),
        deleted => format!(" + {deleted} deleted for ever"),
    };
    let what = |side: &str| {
        format!(
            "{side} requests, {CHANGED} changed + {ARCHIVED} archived{also}, {rule}, of {}",
            shape.title
        )
    };
    let figure = |side: &str, limit: f64, measured: u64| {
        let measured = count(measured);
        if shape.promised {
            Figure::at_most(Row::Changes, what(side), limit, measured, Unit::Count)
        } else {
            Figure::printed(Row::Changes, what(side), measured, Unit::Count)
        }
    };
    let parts = format!(
        "{} POST, {} DELETE; {:.1} s from trigger to end",
        ledger.count(Operation::Write),
        ledger.count(Operation::Delete),
        run.seconds()?,
    );
    Ok(vec![
        figure("source", source_limit, ledger.source.call_count),
        figure("destination", destination_limit, ledger.destination.call_count).note(parts),
    ])
}
