//! Three records of a batch of 1,000 that the destination refuses: how many requests find them.
//!
//! Once the answer says only that the batch was refused, and once it names the records. The others
//! are delivered in the same run.

use anyhow::ensure;
use tidemark_model::receipt::Outcome;
use tidemark_simulator::{RejectRule, Seed};

use super::Row;
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    stage::Stage,
};

const LIST: &str = "refused";
const SIZE: u32 = 1_000;
/// Which of the members are refused: far apart, so that no half of a batch is without one for long.
const REFUSED: [usize; 3] = [130, 470, 860];

pub(super) async fn measure(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    stage.fill(LIST, &Seed::of(SIZE))?;
    let mut ids = Vec::new();
    stage.world().each_member(LIST, |member| ids.push(member.contact_id()))?;
    // A record's id begins with the name of its connection.
    let refused = |space: Space| REFUSED.map(|place| format!("{}:{}", space.key(), ids[place]));
    let mut figures = Vec::new();
    for (space, what, limit, rule) in [
        (
            Space::First,
            "and the whole batch with them",
            60.0,
            RejectRule::batches_with(refused(Space::First)),
        ),
        (
            Space::Second,
            "and named by the answer",
            2.0,
            RejectRule::records(refused(Space::Second), 207),
        ),
    ] {
        stage.world().reject_when(space.key(), rule)?;
        let plan = Plan { name: space.key(), list: LIST, space, delete: Delete::Tombstone };
        let definition = stage.connect(&plan).await?;
        let mark = stage.world().ledger().mark;
        let triggered_at = stage.trigger(definition.id()).await?;
        let run = stage.finish(definition.id(), triggered_at, Outcome::InStepExcept).await?;
        let asked = stage.world().ledger_since(mark).destination.call_count;
        let delivered = stage.world().record_count(space.key())?;
        let excused = run.receipt.rejected_count;
        ensure!(delivered == ids.len() - REFUSED.len(), "{delivered} records were delivered");
        ensure!(excused == 3, "{excused} records are excused in the receipt");
        let figure = format!("destination requests, 3 of a batch of 1,000 refused, {what}");
        let note = format!("{delivered} delivered in the same run");
        let measured = count(asked);
        figures
            .push(Figure::at_most(Row::Refused, figure, limit, measured, Unit::Count).note(note));
    }
    stage.close().await;
    Ok(figures)
}
