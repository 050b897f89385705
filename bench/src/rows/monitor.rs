//! One pass of the monitor over many schedules, a few of which visibility proposes as late.
//!
//! The monitor is the whole role with the defaults of production, but for its own first pass being
//! all that is waited for. Requests are the server's own count; the time is that of the pass by the
//! monitor's own metrics, beside that of listing all schedules, alternately. Every schedule was
//! made a moment ago, so the commit log dismisses those that are proposed: what it costs to find
//! out is the same.

use std::{net::SocketAddr, path::Path, time::Duration, time::Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use temporalio_client::{ClientOptions, ConnectionOptions};
use tidemark_model::{ids::ConnectionId, secret::SecretLookup};
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
    server_calls::ServerCalls,
    spread::Spread,
    stage::Stage,
};

/// How many of them visibility proposes.
const LATE: usize = 20;
const MOST_REQUESTS: f64 = 30.0;
const MOST_TIME: f64 = 1.5;
/// Schedules that are made at once.
const SIMULTANEOUS: usize = 16;
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
    // Visibility shows a schedule a moment after it is made.
    let mut shown = 0;
    while shown < many {
        shown = schedules.list(&ScheduleFilter::default()).await?.len();
    }
    let calls = ServerCalls::of(stage.temporal())?;
    let (mut passes, mut lists, mut requests) = (Vec::new(), Vec::new(), 0);
    for _ in 0..options.pick(5, 2) {
        let before = calls.read().await?;
        passes.push(Box::pin(pass(&stage)).await?);
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
    let now = Timestamp::now();
    let made = stream::iter(0..many).map(|number| async move {
        let name = format!("c{number:05}");
        let plan = Plan { name: &name, list: "l", space: Space::First, delete: Delete::Tombstone };
        let definition = stage.define(&plan).await?;
        let away = SignedDuration::from_hours(if number < LATE { -1 } else { 24 });
        let standing = Standing {
            health: Health::InStep,
            synced_through: None,
            lag_deadline: now + away,
            committed: None,
        };
        let projection = Projection::new(&definition, 1, &ProjectionSettings::default());
        schedules.create(&projection, &standing).await?;
        anyhow::Ok(ConnectionId::clone(definition.id()))
    });
    made.buffer_unordered(SIMULTANEOUS).try_for_each(async |_| Ok(())).await
}

/// Seconds of the first pass of a monitor that remembers nothing.
async fn pass(stage: &Stage) -> anyhow::Result<f64> {
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
        let before = total(&http, ops).await?;
        loop {
            let (passes, seconds) = total(&http, ops).await?;
            if passes > before.0 {
                drop(stop);
                return Ok(seconds - before.1);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (ran, seconds): (_, anyhow::Result<f64>) = tokio::join!(
        tidemark_monitor::run(&config, temporal, &NoSecrets, open, shutdown),
        measured
    );
    ran?;
    seconds
}

/// How many complete passes there were in this process, and their seconds.
async fn total(http: &reqwest::Client, ops: SocketAddr) -> anyhow::Result<(f64, f64)> {
    let text = http.get(format!("http://{ops}/metrics")).send().await?.text().await?;
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    let passes = value("tidemark_monitor_passes_total{result=\"complete\"}").unwrap_or(0.0);
    Ok((passes, value("tidemark_monitor_pass_seconds_sum").unwrap_or(0.0)))
}
