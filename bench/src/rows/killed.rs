//! A worker that is killed by SIGKILL in the middle of a first sync, with the default times: when
//! another one is at work, and what it does again.
//!
//! Once it is killed while pages are on their way, and once while batches are. The other worker is
//! started at once, as whatever watches over workers does: that it takes longer is Temporal waiting
//! for heartbeats. A page that was fetched again is a question that was asked twice; a batch that was
//! sent again is one more than the records need.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use tidemark_model::receipt::Outcome;
use tidemark_simulator::{Call, Operation, Seed, Side};

use super::{Row, grouped};
use crate::{
    definition::{BATCH_RECORDS, Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    stage::Stage,
};

/// From the kill to the first request after it, in seconds.
const AGAIN_WITHIN: f64 = 25.0;
/// Windows that are open at once, of each of which a page may be in hand: eight whose requests are
/// on their way, and half as many whose page is being written.
const WINDOWS: f64 = 12.0;
/// What the destination takes at once: its default.
const BATCHES_AT_ONCE: f64 = 4.0;
/// What the dead worker had handed to the network may still be taken in for so long. No other one
/// can be at work by then: Temporal waits for a heartbeat.
const LAST_WORDS: SignedDuration = SignedDuration::from_secs(1);
/// What each call takes longer, so that some are on their way when the worker is killed.
const LATENCY: Duration = Duration::from_millis(50);

/// Where the worker is killed.
#[derive(Clone, Copy)]
struct Place {
    side: Side,
    operation: Operation,
    what: &'static str,
    space: Space,
}

const PLACES: [Place; 2] = [
    Place {
        side: Side::Source,
        operation: Operation::Page,
        what: "while it reads",
        space: Space::First,
    },
    Place {
        side: Side::Destination,
        operation: Operation::Write,
        what: "while it pushes",
        space: Space::Second,
    },
];

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let size: u32 = options.pick(200_000, 60_000);
    let mut figures = Vec::new();
    for place in PLACES {
        let mut stage = Stage::open().await?;
        stage.start_worker()?;
        let list = place.space.key();
        stage.fill(list, &Seed::of(size))?;
        stage.world().set_latency(LATENCY);
        figures.extend(killed(&mut stage, place, size).await?);
        stage.close().await;
    }
    Ok(figures)
}

async fn killed(stage: &mut Stage, place: Place, size: u32) -> anyhow::Result<Vec<Figure>> {
    let Place { side, operation, what, space } = place;
    let plan = Plan { name: space.key(), list: space.key(), space, delete: Delete::Tombstone };
    let definition = stage.connect(&plan).await?;
    let some = usize::try_from(size)?.div_ceil(BATCH_RECORDS) / 4;
    let triggered_at = stage.trigger(definition.id()).await?;
    let world = stage.world();
    world.wait_until(some, |call| call.side == side && call.operation == operation).await;
    let killed_at = Timestamp::now();
    stage.kill_worker()?;
    stage.start_worker()?;
    let run = stage.finish(definition.id(), triggered_at, Outcome::InStep).await?;
    ensure!(run.receipt.records.next == u64::from(size), "not in step");

    let calls = stage.world().ledger().calls;
    let after = calls.iter().filter(|call| call.started_at > killed_at + LAST_WORDS);
    let first = after.map(|call| call.started_at).min().context("nothing was asked after it")?;
    let seconds = first.duration_since(killed_at).as_secs_f64();
    let at = grouped(size.into());
    let time = format!("a worker killed {what}, {at} members: seconds to the next request");
    let (again, limit, repeated) = match side {
        Side::Source => ("pages of windows fetched again", WINDOWS, asked_twice(&calls)),
        Side::Destination => {
            let written = calls.iter().filter(|call| call.operation == Operation::Write).count();
            let needed = usize::try_from(size)?.div_ceil(BATCH_RECORDS);
            // On their way, or applied and their acknowledgement on its way to the store.
            ("batches sent again", 2.0 * BATCHES_AT_ONCE, written.saturating_sub(needed))
        }
    };
    let again = format!("a worker killed {what}: {again}");
    let repeated = count(u64::try_from(repeated)?);
    Ok(vec![
        Figure::at_most(Row::Killed, time, AGAIN_WITHIN, seconds, Unit::Seconds),
        Figure::at_most(Row::Killed, again, limit, repeated, Unit::Count),
    ])
}

/// How many pages of windows were asked for a second time. The question that opens a reading (the
/// newest rows and the total) is asked by each attempt anew, and is no window's.
fn asked_twice(calls: &[Call]) -> usize {
    let windowed = |call: &&Call| call.path.contains("_last_changed=");
    let pages = calls.iter().filter(|call| call.operation == Operation::Page).filter(windowed);
    let mut seen = HashSet::new();
    pages.filter(|call| !seen.insert(&call.path)).count()
}
