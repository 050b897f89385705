//! A list that never stops changing: 100 rows a second, while run after run reads it.
//!
//! Rows that change or come are in the next answer, so a reading catches up with them. Those that go
//! leave only a lower count behind, so a reading needs a moment in which none goes. So the time is cut
//! into parts in which ever more of them go.
//!
//! After each green run every member that has not changed since the run's watermark must be at the
//! destination as it is, and none may be there that was gone before it. A run that cannot prove its
//! reading must say so and send nothing.

use std::{cell::Cell, cell::RefCell, collections::HashMap, time::Duration, time::Instant};

use anyhow::ensure;
use serde_json::json;
use tidemark_model::receipt::Outcome;
use tidemark_simulator::{RandomKind, Seed};

use super::{Row, grouped};
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    stage::Stage,
};

const LIST: &str = "restless";
const TICK: Duration = Duration::from_millis(100);
/// Rows that change in a tick; one more is added.
const CHANGED: usize = 9;
/// A reading takes its time, so that there are changes in the middle of it.
const LATENCY: Duration = Duration::from_millis(200);

/// How many rows go in a part of the time.
struct Loss {
    what: &'static str,
    /// One is archived in each so many ticks.
    archived_every: u64,
    /// One is deleted for ever in each so many ticks.
    deleted_every: u64,
}

const LOSSES: [Loss; 3] = [
    Loss { what: "none goes", archived_every: u64::MAX, deleted_every: u64::MAX },
    Loss { what: "one goes every two seconds", archived_every: 30, deleted_every: 60 },
    Loss { what: "ten go a second", archived_every: 1, deleted_every: 50 },
];

/// How runs ended in a part of the time.
#[derive(Clone, Copy, Default)]
struct Ended {
    green: u64,
    unproven: u64,
}

/// What was found wrong after green runs.
#[derive(Default)]
struct Wrong {
    differing: u64,
    left: u64,
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let (size, lasts) =
        options.pick((20_000, Duration::from_mins(10)), (5_000, Duration::from_secs(20)));
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    stage.fill(LIST, &Seed::of(size))?;
    stage.world().set_latency(LATENCY);
    let plan = Plan { name: LIST, list: LIST, space: Space::First, delete: Delete::Tombstone };
    let definition = stage.connect(&plan).await?;
    stage.run(definition.id()).await?;

    // By contact id, when it went; written before it does.
    let gone: RefCell<HashMap<String, i64>> = RefCell::default();
    let (changed, over) = (Cell::new(0_u64), Cell::new(false));
    let began = Instant::now();
    let part = || {
        let parts = u32::try_from(LOSSES.len()).expect("a few");
        let part = began.elapsed().as_millis() / (lasts / parts).as_millis();
        usize::try_from(part).unwrap_or(usize::MAX).min(LOSSES.len() - 1)
    };
    let changing = async {
        let mut ticks = tokio::time::interval(TICK);
        let mut number = 0;
        while !over.get() {
            ticks.tick().await;
            changed.set(changed.get() + change(&stage, &gone, &LOSSES[part()], number)?);
            number += 1;
        }
        anyhow::Ok(())
    };
    let running = async {
        let (mut wrong, mut ended) = (Wrong::default(), [Ended::default(); LOSSES.len()]);
        while began.elapsed() < lasts {
            let ended = &mut ended[part()];
            let mark = stage.world().ledger().mark;
            let triggered_at = stage.trigger(definition.id()).await?;
            match stage.finish(definition.id(), triggered_at, Outcome::InStep).await {
                Ok(run) => {
                    let watermark = run.receipt.complete_as_of.as_second();
                    check(&stage, &gone.borrow(), watermark, &mut wrong)?;
                    ended.green += 1;
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    ensure!(text.contains("unproven"), "a run failed otherwise: {text}");
                    let sent = stage.world().ledger_since(mark).destination.call_count;
                    ensure!(sent == 0, "a run that proved nothing sent {sent} requests");
                    ended.unproven += 1;
                }
            }
        }
        over.set(true);
        anyhow::Ok((wrong, ended))
    };
    let (changing, running) = tokio::join!(changing, running);
    changing?;
    let (wrong, ended) = running?;
    let seconds = began.elapsed().as_secs();
    let green: u64 = ended.iter().map(|ended| ended.green).sum();
    ensure!(
        ended[0].green > 0,
        "no run was green while rows only changed, so nothing was shown of green runs"
    );
    stage.close().await;

    let at = grouped(size.into());
    let note = format!(
        "{green} green runs in {seconds} s, {} changes a second",
        changed.get() / seconds.max(1)
    );
    let figure = |what: &str, measured: u64| {
        let figure = format!("{what} after green runs, {at} members, 100 changes a second");
        Figure::at_most(Row::Restless, figure, 0.0, count(measured), Unit::Count).note(&note)
    };
    let mut figures = vec![
        figure("records that differ", wrong.differing),
        figure("records of members that were gone", wrong.left),
    ];
    figures.extend(LOSSES.iter().zip(ended).map(|(loss, Ended { green, unproven })| {
        let figure = format!("green runs while {}", loss.what);
        Figure::printed(Row::Restless, figure, count(green), Unit::Count)
            .note(format!("beside {unproven} that proved nothing, and sent nothing"))
    }));
    Ok(figures)
}

/// Plays what happens in a tick; how many rows changed.
fn change(
    stage: &Stage,
    gone: &RefCell<HashMap<String, i64>>,
    loss: &Loss,
    number: u64,
) -> anyhow::Result<u64> {
    let world = stage.world();
    let now = world.now();
    let one_every = |ticks: u64| usize::from(ticks != u64::MAX && number.is_multiple_of(ticks));
    let kinds = [
        (RandomKind::Change, CHANGED),
        (RandomKind::Add, 1),
        (RandomKind::Archive, one_every(loss.archived_every)),
        (RandomKind::DeleteForEver, one_every(loss.deleted_every)),
    ];
    let mut many = 0;
    for (offset, (kind, count)) in (0..).zip(kinds) {
        let changed = world.mutate_random(LIST, kind, count, number * 10 + offset)?;
        many += changed.len();
        if matches!(kind, RandomKind::Archive | RandomKind::DeleteForEver) {
            gone.borrow_mut().extend(changed.into_iter().map(|ids| (ids.contact_id, now)));
        }
    }
    Ok(u64::try_from(many)?)
}

/// Holds the destination, at which no run is at work, against the list.
fn check(
    stage: &Stage,
    gone: &HashMap<String, i64>,
    watermark: i64,
    wrong: &mut Wrong,
) -> anyhow::Result<()> {
    let mut held = stage.world().live_records(Space::First.key(), "deleted")?;
    stage.world().each_member(LIST, |member| {
        let id = format!("{LIST}:{}", member.contact_id());
        let found = held.remove(&id);
        if member.last_changed() >= watermark {
            return;
        }
        let expected = json!({
            "id": id,
            "firstname": member.merge_field("FNAME"),
            "lastname": member.merge_field("LNAME"),
            "email": member.email(),
        });
        let found = found.map(|mut record| {
            record.as_object_mut().map(|fields| fields.remove("deleted"));
            record
        });
        wrong.differing += u64::from(found.as_ref() != Some(&expected));
    })?;
    for id in held.keys() {
        let contact = id.rsplit(':').next().unwrap_or_default();
        // One that went in the watermark's own second may be there or not.
        let went_before = gone.get(contact).is_none_or(|at| *at < watermark);
        wrong.left += u64::from(went_before);
    }
    Ok(())
}
