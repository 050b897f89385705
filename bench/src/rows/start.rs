//! From the trigger of a run to its first request at the source, at an idle server.
//!
//! Held against an empty workflow with one empty activity on the same server, from the request to
//! start it to its result. The two alternate, with a pause in which the server becomes idle again.
//! Also printed: the ratio to the begin of the empty activity, which is what the first request
//! corresponds to most closely; nothing is promised about that one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use temporalio_client::{WorkflowGetResultOptions, WorkflowStartOptions};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    runtime::RuntimeOptions,
};
use tidemark_model::ids::ConnectionId;
use tidemark_simulator::{Seed, Side};

use super::Row;
use crate::{
    definition::{Delete, Plan, Space},
    figure::{Figure, Unit},
    options::Options,
    spread::Spread,
    stage::Stage,
};

const TASK_QUEUE: &str = "bench-empty";
const LIST: &str = "start";
/// The server is idle again after this.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that a start may take, as a multiple of the empty workflow.
const RATIO: f64 = 3.0;

/// Notes when it began, and does nothing.
struct Empty {
    began: Arc<Mutex<Option<Instant>>>,
}

#[activities]
impl Empty {
    #[activity]
    #[expect(clippy::unused_async, reason = "an activity is asynchronous, an empty one too")]
    async fn nothing(
        self: Arc<Self>,
        _context: ActivityContext,
        _number: u32,
    ) -> Result<(), ActivityError> {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct EmptyWorkflow;

#[workflow_methods]
impl EmptyWorkflow {
    #[run]
    async fn run(context: &mut WorkflowContext<Self>, number: u32) -> WorkflowResult<()> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(10));
        context.execute_activity(Empty::nothing, number, options).await?;
        Ok(())
    }
}

/// Seconds of each repetition.
#[derive(Default)]
struct Laps {
    first_requests: Vec<f64>,
    activity_begins: Vec<f64>,
    results: Vec<f64>,
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut stage = Stage::open().await?;
    stage.start_worker()?;
    stage.fill(LIST, &Seed::of(1_000))?;
    let plan = Plan { name: "start", list: LIST, space: Space::First, delete: Delete::Tombstone };
    let definition = stage.connect(&plan).await?;

    let began = Arc::default();
    let empty = Empty { began: Arc::clone(&began) };
    let runtime = Runtime::from_current_tokio(RuntimeOptions::default())?;
    let worker_options = WorkerOptions::new(TASK_QUEUE)
        .register_workflow::<EmptyWorkflow>()?
        .register_activities(empty)
        .build();
    let mut worker = Worker::new(&runtime, stage.client().clone(), worker_options)?;
    let stop = worker.shutdown_handle();
    let repetitions = options.pick(15, 4);
    let measuring = async {
        let laps = alternate(&stage, definition.id(), &began, repetitions).await;
        stop();
        laps
    };
    let (ended, laps) = Box::pin(async { tokio::join!(worker.run(), measuring) }).await;
    ended.context("the worker of the empty workflow did not end well")?;
    let laps = laps?;
    stage.close().await;
    Ok(figures(&laps))
}

async fn alternate(
    stage: &Stage,
    connection: &ConnectionId,
    began: &Mutex<Option<Instant>>,
    repetitions: u32,
) -> anyhow::Result<Laps> {
    let mut laps = Laps::default();
    // The first of each warms everything up and does not count.
    for repetition in 0..=repetitions {
        tokio::time::sleep(PAUSE).await;
        let (activity_begin, result) = empty(stage, began, repetition).await?;
        tokio::time::sleep(PAUSE).await;
        let mark = stage.world().ledger().mark;
        let run = stage.run(connection).await?;
        let calls = stage.world().ledger_since(mark).calls;
        let first = calls.iter().filter(|call| call.side == Side::Source);
        let first = first.map(|call| call.started_at).min().context("the run asked nothing")?;
        if repetition > 0 {
            laps.first_requests.push(first.duration_since(run.triggered_at).as_secs_f64());
            laps.activity_begins.push(activity_begin);
            laps.results.push(result);
        }
    }
    Ok(laps)
}

/// The empty workflow: seconds to the begin of its activity, and to its result.
async fn empty(
    stage: &Stage,
    began: &Mutex<Option<Instant>>,
    number: u32,
) -> anyhow::Result<(f64, f64)> {
    let options = WorkflowStartOptions::new(TASK_QUEUE, format!("empty-{number}")).build();
    let started = Instant::now();
    let handle = stage.client().start_workflow(EmptyWorkflow::run, number, options).await?;
    handle.get_result(WorkflowGetResultOptions::default()).await?;
    let result = started.elapsed();
    let began = began.lock().unwrap_or_else(PoisonError::into_inner).take();
    let begin = began.context("the empty activity did not run")?.duration_since(started);
    Ok((begin.as_secs_f64(), result.as_secs_f64()))
}

fn figures(laps: &Laps) -> Vec<Figure> {
    let show = |value: f64| Unit::Seconds.show(value);
    let first = Spread::of(laps.first_requests.iter().copied());
    let begin = Spread::of(laps.activity_begins.iter().copied());
    let result = Spread::of(laps.results.iter().copied());
    let note =
        |spread: &Spread| format!("median of {}, {}", laps.results.len(), spread.range(show));
    let printed = |what: &str, spread: &Spread| {
        Figure::printed(Row::Start, what, spread.median(), Unit::Seconds).note(note(spread))
    };
    let ratio = first.median() / result.median();
    let strict = first.median() / begin.median();
    vec![
        printed("trigger to first source request", &first),
        printed("empty workflow, start to result", &result),
        printed("empty workflow, start to its activity", &begin),
        Figure::at_most(
            Row::Start,
            "first source request ÷ empty workflow's result",
            RATIO,
            ratio,
            Unit::Ratio,
        ),
        Figure::printed(
            Row::Start,
            "first source request ÷ begin of the empty activity",
            strict,
            Unit::Ratio,
        ),
    ]
}
