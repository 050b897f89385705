//! One pass of the monitor over many schedules, a few of which visibility proposes as late.
//!
//! The monitor is the whole role with the defaults of production, but for its own first pass being
//! all that is waited for. Requests are the server's own count; the time is that of the pass by the
//! monitor's own metrics, beside that of listing all schedules, alternately. Every schedule was
//! made a moment ago, so the commit log dismisses those that are proposed: what it costs to find
//! out is the same.
//!
//! A development server makes some tens of schedules a second, and works on for a while on what each
//! of them left behind. Meanwhile a list takes many times as long, so nothing is measured before the
//! server is at rest.

use std::{net::SocketAddr, path::Path, time::Duration, time::Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use temporalio_client::{ClientOptions, ConnectionOptions};
use tidemark_model::{secret::SecretLookup, step::Known};
use tidemark_monitor::{
    Temporal,
    config::{MonitorConfig, MonitorFlags},
};
use tidemark_schedules::{
    Projection, ProjectionSettings, ScheduleClient, ScheduleFilter, Standing,
};
use tidemark_workflows::health::Health;
use tokio::sync::oneshot;

use super::{Row, grouped};
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit, count},
    options::Options,
    process, say,
    server_calls::ServerCalls,
    spread::Spread,
    stage::Stage,
};

/// How many of them visibility proposes.
const LATE: usize = 20;
const MOST_REQUESTS: f64 = 30.0;
const MOST_TIME: f64 = 1.5;
/// Schedules that are made at once: the server writes one after the other, and gives a request up
/// after ten seconds.
const SIMULTANEOUS: usize = 8;
/// How often a schedule is asked for whose making was not answered in time.
const ATTEMPTS: usize = 5;
/// A line is said after so many.
const SAID_EVERY: usize = 1_000;
/// How long it is looked at how much the server works.
const REST: Duration = Duration::from_secs(10);
/// Seconds of CPU that a server at rest uses at most in a second: one that works on its schedules
/// uses several times as many, also beside others on a busy machine.
const REST_CPU: f64 = 0.1;
/// What a pass asks Temporal, the identity of the cluster at the monitor's start included.
const ASKED: [&str; 6] = [
    "ListSchedules",
    "DescribeSchedule",
    "DescribeWorkflowExecution",
    "DescribeTaskQueue",
    "ListWorkflowExecutions",
    "GetClusterInfo",
];

/// There are no secrets: without sinks, notices are lines of a log.
struct NoSecrets;

impl SecretLookup for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let many: usize = options.pick(10_000, 500);
    let stage = Stage::open().await?;
    let schedules = ScheduleClient::new(stage.client());
    make(&stage, &schedules, many).await?;
    rest(&stage).await?;
    let shown = schedules.list(&ScheduleFilter::default()).await?.len();
    ensure!(shown == many, "{shown} of {many} schedules are listed by a server at rest");
    let calls = ServerCalls::of(stage.temporal())?;
    let (mut passes, mut lists, mut requests) = (Vec::new(), Vec::new(), 0);
    let mut seen = Passes::default();
    for _ in 0..options.pick(5, 2) {
        let before = calls.read().await?;
        let now = Box::pin(pass(&stage, seen)).await?;
        passes.push(now.seconds - seen.seconds);
        seen = now;
        requests = calls.read().await?.since(&before, &ASKED).max(requests);
        let began = Instant::now();
        ensure!(schedules.list(&ScheduleFilter::default()).await?.len() == many, "all are listed");
        lists.push(began.elapsed().as_secs_f64());
    }
    stage.close().await;
    let (pass, list) = (Spread::of(passes), Spread::of(lists));
    let at = grouped(u32::try_from(many)?.into());
    let ratio = pass.median() / list.median();
    let seconds = |spread: &Spread| spread.range(|value| Unit::Seconds.show(value));
    Ok(vec![
        Figure::at_most(
            Row::Monitor,
            format!("requests of a pass over {at} schedules, {LATE} proposed as late"),
            MOST_REQUESTS,
            count(requests),
            Unit::Count,
        ),
        Figure::at_most(
            Row::Monitor,
            "its time ÷ listing all schedules",
            MOST_TIME,
            ratio,
            Unit::Ratio,
        )
        .note(format!("pass {}, list {}", seconds(&pass), seconds(&list))),
    ])
}

/// Defines connections, and makes their schedules as `apply` does.
async fn make(stage: &Stage, schedules: &ScheduleClient, many: usize) -> anyhow::Result<()> {
    let (began, now) = (Instant::now(), Timestamp::now());
    let mut making = stream::iter(0..many)
        .map(|number| async move {
            let name = format!("c{number:05}");
            let plan =
                Plan { name: &name, list: "l", space: Space::First, delete: Delete::Tombstone };
            let definition = stage.define(&plan).await?;
            let away = SignedDuration::from_hours(if number < LATE { -1 } else { 24 });
            let standing = Standing {
                health: Health::InStep,
                synced_through: None,
                lag_deadline: now + away,
                known: Known::default(),
            };
            let projection = Projection::new(&definition, 1, &ProjectionSettings::default());
            create(schedules, &projection, &standing).await
        })
        .buffer_unordered(SIMULTANEOUS);
    let mut made = 0_usize;
    while making.try_next().await?.is_some() {
        made += 1;
        if made.is_multiple_of(SAID_EVERY) {
            say(&format!("  {made} of {many} schedules made, {:.0?}", began.elapsed()));
        }
    }
    Ok(())
}

/// Makes one schedule. One that was made though the answer did not come in time is there already.
async fn create(
    schedules: &ScheduleClient,
    projection: &Projection,
    standing: &Standing,
) -> anyhow::Result<()> {
    for _ in 1..ATTEMPTS {
        match schedules.create(projection, standing).await {
            Err(error) if error.unreachable() => {}
            made => {
                made?;
                return Ok(());
            }
        }
    }
    schedules.create(projection, standing).await?;
    Ok(())
}

/// Waits until the server has done what the making of the schedules left behind.
async fn rest(stage: &Stage) -> anyhow::Result<()> {
    let pid = stage.temporal().pid().context("the Temporal server does not run")?;
    let began = Instant::now();
    let mut used = process::cpu_seconds(pid)?;
    loop {
        tokio::time::sleep(REST).await;
        let before = std::mem::replace(&mut used, process::cpu_seconds(pid)?);
        if used - before < REST.as_secs_f64() * REST_CPU {
            say(&format!("  the server is at rest, after {:.0?} more", began.elapsed()));
            return Ok(());
        }
    }
}

/// What the monitors of this process counted so far.
#[derive(Clone, Copy, Default)]
struct Passes {
    ended: f64,
    complete: f64,
    seconds: f64,
}

/// The first pass of a monitor that remembers nothing, counted with those `before` it.
async fn pass(stage: &Stage, before: Passes) -> anyhow::Result<Passes> {
    stage.store().root().delete_all("monitor").await?;
    let flags = MonitorFlags::default()
        .with("store", stage.store().url())
        .with("pass_every", "1m")
        .with("ops_address", "127.0.0.1:0");
    let config = MonitorConfig::load(&flags, &|_| None)?;
    let address: reqwest::Url = format!("http://{}", stage.temporal().address()).parse()?;
    let temporal = Temporal {
        connection: ConnectionOptions::new(address).build(),
        client: ClientOptions::new(crate::stage::NAMESPACE).build(),
    };
    let (open, opened) = oneshot::channel();
    let open = |ops: Option<SocketAddr>| open.send(ops).unwrap_or_default();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let http = reqwest::Client::new();
    let measured = async {
        let ops = opened.await.ok().flatten().context("the monitor serves no metrics")?;
        while count_passes(&http, ops).await?.ended <= before.ended {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Once more: what is counted of a pass is not counted at the same instant.
        let now = count_passes(&http, ops).await?;
        drop(stop);
        ensure!(now.complete > before.complete, "Temporal did not answer all that a pass asks");
        Ok(now)
    };
    let (ran, passes): (_, anyhow::Result<Passes>) = tokio::join!(
        tidemark_monitor::run(&config, temporal, &NoSecrets, open, shutdown),
        measured
    );
    ran?;
    passes
}

/// By the monitor's metrics.
async fn count_passes(http: &reqwest::Client, ops: SocketAddr) -> anyhow::Result<Passes> {
    let text = http.get(format!("http://{ops}/metrics")).send().await?.text().await?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    let value = |name: &str| value(name).unwrap_or(0.0);
    Ok(Passes {
        ended: value("tidemark_monitor_pass_seconds_count"),
        complete: value("tidemark_monitor_passes_total{result=\"complete\"}"),
        seconds: value("tidemark_monitor_pass_seconds_sum"),
    })
}
