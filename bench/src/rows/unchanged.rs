//! A list in which nothing changed: what a run costs that its schedule starts.
//!
//! Requests are those of the simulator's ledger between the trigger and the end of the run. History
//! events are those of the run's history. Temporal actions are
//! - starts: the run itself, 1;
//! - activity attempts: the numbers of the last attempts in the history;
//! - upserts: the events of that name in the history;
//! - signals: those in the history, and the server's own count of signals and schedule updates
//!   (an update is a signal to the schedule's workflow). A run publishes its watermark by an
//!   update when it moved by a quarter of `max_lag`, which it did not here, minutes after the last
//!   run: so at least one is counted. The trigger is left out, for a tick of the schedule needs
//!   none;
//! - queries: the server's own count of queries and of looks at schedules, each of which is a
//!   query to the schedule's workflow.
//!
//! Nobody else talks to the server meanwhile but the bench itself, which lists and fetches
//! histories, and neither is an action.
//!
//! What a run asks of its schedule to publish how it ended is counted over another, small list, for
//! its size changes nothing of it: of a run that finds what the one before it left, which only looks
//! whether that is news, and of one that sends a change, which must be published. The one patch is
//! left out that is the bench's own trigger.

use anyhow::ensure;
use tidemark_schedules::ScheduleClient;
use tidemark_simulator::{RandomKind, Seed};

use super::{Row, grouped};
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    server_calls::ServerCalls,
    stage::Stage,
};

const SIGNALS: [&str; 3] =
    ["UpdateSchedule", "SignalWorkflowExecution", "SignalWithStartWorkflowExecution"];
const QUERIES: [&str; 2] = ["DescribeSchedule", "QueryWorkflow"];

/// The list of the connection whose publications are counted.
const PUBLISHED: &str = "published";
const MOST_PUBLISHING: f64 = 2.0;

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let sizes: &[u32] = options.pick(&[10_000, 100_000, 1_000_000], &[1_000, 10_000]);
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    let mut figures = Vec::new();
    for &size in sizes {
        figures.extend(one(&stage, size).await?);
    }
    figures.extend(publishing(&stage).await?);
    stage.close().await;
    Ok(figures)
}

async fn one(stage: &Stage, size: u32) -> anyhow::Result<Vec<Figure>> {
    let list = format!("list{size}");
    stage.fill(&list, &Seed::of(size))?;
    let plan = Plan {
        name: &format!("unchanged-{size}"),
        list: &list,
        space: Space::First,
        delete: Delete::Tombstone,
    };
    let definition = stage.connect(&plan).await?;
    stage.run(definition.id()).await?;

    let calls = ServerCalls::of(stage.temporal())?;
    let before = calls.read().await?;
    let mark = stage.world().ledger().mark;
    let run = stage.run(definition.id()).await?;
    let ledger = stage.world().ledger_since(mark);
    let after = calls.read().await?;

    let history = &run.history;
    let starts = 1;
    let attempts = history.attempt_count();
    let upserts = history.upsert_count();
    let sent_signals = history.signal_count() + after.since(&before, &SIGNALS);
    let signals = sent_signals.max(1);
    let queries = after.since(&before, &QUERIES);
    let actions = starts + attempts + upserts + signals + queries;
    let parts = format!(
        "{starts} start, {attempts} attempts, {upserts} upserts, {signals} signals \
         ({sent_signals} in this run), {queries} queries"
    );
    let what = |figure: &str| format!("{figure}, {} members", grouped(size.into()));
    let figure = |name: &str, limit: f64, measured: u64| {
        Figure::at_most(Row::Unchanged, what(name), limit, count(measured), Unit::Count)
    };
    Ok(vec![
        figure("source requests", 1.0, ledger.source.call_count),
        figure("destination requests", 0.0, ledger.destination.call_count),
        figure("Temporal actions", 8.0, actions).note(parts),
        figure("history events", 25.0, history.event_count()),
        Figure::printed(Row::Unchanged, what("trigger to end"), run.seconds()?, Unit::Seconds),
    ])
}

/// Requests of runs to publish their state: one that has no news, then one that has.
async fn publishing(stage: &Stage) -> anyhow::Result<Vec<Figure>> {
    stage.fill(PUBLISHED, &Seed::of(1_000))?;
    let plan =
        Plan { name: PUBLISHED, list: PUBLISHED, space: Space::First, delete: Delete::Tombstone };
    let definition = stage.connect(&plan).await?;
    stage.run(definition.id()).await?;

    let calls = ServerCalls::of(stage.temporal())?;
    let mut before = calls.read().await?;
    let (mut figures, mut newest) = (Vec::new(), None);
    for (state, changed) in [("no news", 0), ("news", 1)] {
        stage.world().mutate_random(PUBLISHED, RandomKind::Change, changed, 1)?;
        let run = stage.run(definition.id()).await?;
        let after = calls.read().await?;
        let sent = run.receipt.push.sent();
        ensure!(sent == u64::try_from(changed)?, "{sent} records were sent, not {changed}");
        let asked = |operation: &str| after.since(&before, &[operation]);
        let (looks, updates) = (asked("DescribeSchedule"), asked("UpdateSchedule"));
        let patches = asked("PatchSchedule");
        ensure!(patches > 0, "the server did not count the trigger");
        let patches = patches - 1;
        let requests = count(looks + updates + patches);
        let figure = format!("requests of publishing a run's state, {state}");
        figures.push(
            Figure::at_most(Row::Unchanged, figure, MOST_PUBLISHING, requests, Unit::Count)
                .note(format!("{looks} looks, {updates} updates, {patches} patches")),
        );
        newest = Some(run.receipt.number);
        before = after;
    }
    let seen = ScheduleClient::new(stage.client()).describe(definition.id()).await?;
    ensure!(seen.known.committed == newest, "the news are not on the schedule");
    Ok(figures)
}
