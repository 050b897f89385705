//! A run as Temporal drives it: step after step, attempt after attempt.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use object_store::{ObjectStore, path::Path};
use tidemark_connectors::HttpConnectors;
use tidemark_engine::{
    run::{Engine, Preview},
    store::Store,
};
use tidemark_model::{
    failure::{Failure, FailureKind},
    ids::ConnectionId,
    receipt::Receipt,
    secret::SecretLookup,
    step::{CommitRequest, ReadOutcome},
};
use tokio::sync::{Notify, oneshot};

use crate::{
    attempt::{Attempt, SoakHost},
    journal::plain,
    network::Wire,
    scene::{KEY, Scene},
    store::AttemptStore,
};

/// Milliseconds for which a step is tried.
pub(crate) const DEADLINE: u64 = 2 * 3_600_000;

/// How often a step asks to be carried out later, so that rows or requests have settled: twice for
/// each of four closing requests, and as often again for attempts that cross each other.
const MOST_WAITS: u32 = 16;

/// A workflow run.
pub(crate) struct Run {
    pub(crate) id: String,
    /// Whether trouble may strike it.
    pub(crate) stormy: bool,
    open: AtomicBool,
    cancelled: AtomicBool,
    terminated: AtomicBool,
    end: Notify,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    Committed(Box<Receipt>),
    Skipped,
    Failed(Failure),
    Terminated,
    TimedOut,
}

enum Stopped {
    Failed(Failure),
    Terminated,
    TimedOut,
}

type Step<T> = BoxFuture<'static, Result<T, Failure>>;

impl Run {
    pub(crate) fn new(id: String, stormy: bool) -> Self {
        Self {
            id,
            stormy,
            open: AtomicBool::new(true),
            cancelled: AtomicBool::new(false),
            terminated: AtomicBool::new(false),
            end: Notify::new(),
        }
    }

    pub(crate) fn begin(scene: &Scene, stormy: bool) -> Arc<Self> {
        let run = Arc::new(Self::new(format!("run-{}", scene.next_number()), stormy));
        scene.books().runs.insert(run.id.clone(), Arc::clone(&run));
        scene.count("runs");
        run
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// The workflow is gone at once; whatever its activity does, nobody hears of it.
    pub(crate) fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.end.notify_one();
    }

    /// The run ends at the next durable page or batch.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// Drives the run to its end.
    pub(crate) async fn drive(self: Arc<Self>, scene: Arc<Scene>) -> End {
        scene.note(&format!("{} begins", self.id));
        let end = match self.steps(&scene).await {
            Ok(end) => end,
            Err(Stopped::Failed(failure)) => End::Failed(failure),
            Err(Stopped::Terminated) => End::Terminated,
            Err(Stopped::TimedOut) => End::TimedOut,
        };
        self.open.store(false, Ordering::SeqCst);
        let said = match &end {
            End::Failed(failure) => {
                format!("failed, {}: {}", failure.kind.as_str(), plain(&failure.message))
            }
            End::Committed(receipt) => format!("committed {}", receipt.number),
            End::Skipped => "skipped".to_owned(),
            End::Terminated => "terminated".to_owned(),
            End::TimedOut => "timed out".to_owned(),
        };
        scene.note(&format!("{} ends: {said}", self.id));
        scene.count(counted(&end));
        if let End::Failed(failure) = &end {
            let lost = scene.books().lost_pages.contains(&self.id);
            match failure.kind {
                FailureKind::Bug => scene.fault(format!("{}: {}", self.id, failure.message)),
                FailureKind::Corrupt if !lost => {
                    scene.fault(format!("{}: {}", self.id, failure.message));
                }
                _ => {}
            }
        }
        end
    }

    async fn steps(self: &Arc<Self>, scene: &Arc<Scene>) -> Result<End, Stopped> {
        let read = self
            .step(scene, "read", |engine, host| {
                Box::pin(async move { engine.read(&*host, &connection()).await })
            })
            .await?;
        let request = match read {
            ReadOutcome::Skipped { .. } => return Ok(End::Skipped),
            ReadOutcome::Unchanged(summary) => CommitRequest::Unchanged(summary),
            ReadOutcome::Read(summary) => {
                self.lose_a_page(scene).await;
                let computed = self
                    .step(scene, "compute", move |engine, host| {
                        let summary = summary.clone();
                        Box::pin(
                            async move { engine.compute(&*host, &connection(), &summary).await },
                        )
                    })
                    .await?;
                let number = computed.number;
                if computed.batch_count > 0 {
                    if let Some(from) = computed.send_from {
                        let wait = from.duration_since(scene.worker_time());
                        self.wait(scene, Duration::try_from(wait).unwrap_or_default()).await?;
                    }
                    self.step(scene, "push", move |engine, host| {
                        Box::pin(async move { engine.push(&*host, &connection(), number).await })
                    })
                    .await?;
                }
                CommitRequest::Pushed { number }
            }
        };
        let receipt = self
            .step(scene, "commit", move |engine, host| {
                let request = request.clone();
                Box::pin(async move { engine.commit(&*host, &connection(), &request).await })
            })
            .await?;
        Ok(End::Committed(Box::new(receipt)))
    }

    /// One step, as often as it takes.
    async fn step<T: Send + 'static>(
        self: &Arc<Self>,
        scene: &Arc<Scene>,
        name: &'static str,
        work: impl Fn(Arc<Engine>, Arc<SoakHost>) -> Step<T>,
    ) -> Result<T, Stopped> {
        let deadline = scene.now() + DEADLINE;
        let mut failure_count = 0_u32;
        let mut wait_count = 0;
        loop {
            if self.terminated.load(Ordering::SeqCst) {
                return Err(Stopped::Terminated);
            }
            if scene.now() > deadline {
                return Err(Stopped::TimedOut);
            }
            let attempt = Attempt::begin(scene, self, scene.next_number());
            scene.note(&format!("{} {name}", attempt.name()));
            scene.count("attempts");
            let host = Arc::new(SoakHost::new(&attempt));
            let (answer, answered) = oneshot::channel();
            let work = work(engine(&attempt), host);
            let worker = tokio::spawn(async move {
                // Nobody may be listening any more.
                answer.send(work.await).ok();
            });
            let outcome = tokio::select! {
                biased;
                () = self.end.notified() => {
                    if attempt.is_dead() {
                        worker.abort();
                    } else if scene.strikes(scene.shape.trouble.partition) {
                        scene.count("trouble: run terminated, its worker cut off");
                        attempt.cut_off();
                    } else {
                        attempt.tell(scene.chance(|chance| chance.below(4_000)));
                    }
                    return Err(Stopped::Terminated);
                }
                answer = answered => match answer {
                    Ok(outcome) => Some(outcome),
                    Err(_) => std::panic::resume_unwind(
                        worker.await.expect_err("a worker answers or panics").into_panic(),
                    ),
                },
                () = attempt.lost.notified() => None,
            };
            let failure = match outcome {
                Some(outcome) if !attempt.is_dead() => match outcome {
                    Ok(done) => return Ok(done),
                    Err(failure) => failure,
                },
                // It found out that it is dead where nothing else can run.
                Some(_) => {
                    attempt.lost.notified().await;
                    continue;
                }
                None => {
                    if attempt.is_dead() {
                        worker.abort();
                    }
                    continue;
                }
            };
            scene.note(&format!(
                "{} {name}: {}: {}",
                attempt.name(),
                failure.kind.as_str(),
                plain(&failure.message)
            ));
            let superseded = failure.kind == FailureKind::Conflict
                && failure.message.starts_with("another attempt of this step");
            if !failure.kind.retryable() && !superseded {
                return Err(Stopped::Failed(failure));
            }
            wait_count += u32::from(failure.kind == FailureKind::Waiting);
            if wait_count > MOST_WAITS {
                scene.fault(format!("{} {name} waits without an end", self.id));
            }
            let delay = match (failure.kind, failure.retry_after) {
                (FailureKind::Draining, _) => Duration::from_millis(1),
                (_, Some(asked)) => asked.max(Duration::from_millis(1)),
                (_, None) => {
                    let longest = 1_u64 << failure_count.min(6);
                    Duration::from_secs(longest.min(60))
                }
            };
            failure_count += 1;
            self.wait(scene, delay).await?;
        }
    }

    async fn wait(&self, scene: &Scene, delay: Duration) -> Result<(), Stopped> {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        tokio::select! {
            biased;
            () = self.end.notified() => Err(Stopped::Terminated),
            () = scene.pass(milliseconds) => Ok(()),
        }
    }

    /// The store loses a page that the reading names.
    async fn lose_a_page(&self, scene: &Scene) {
        if !self.stormy || !scene.strikes(scene.shape.trouble.lost_page) {
            return;
        }
        use futures::TryStreamExt;
        use object_store::ObjectStoreExt;
        let folder = Path::from(format!("connections/acme/newsletter/pages/{}", self.id));
        let pages: Vec<Path> = scene
            .objects
            .list(Some(&folder))
            .map_ok(|object| object.location)
            .try_filter(|path| futures::future::ready(path.as_ref().ends_with(".page")))
            .try_collect()
            .await
            .expect("the store in memory");
        if pages.is_empty() {
            return;
        }
        let page = scene.chance(|chance| chance.pick(&pages).clone());
        scene.note(&format!("the store loses {page}"));
        scene.count("trouble: store loses a page");
        scene.books().lost_pages.insert(self.id.clone());
        scene.objects.delete(&page).await.expect("the store in memory");
    }
}

fn counted(end: &End) -> &'static str {
    match end {
        End::Committed(_) => "ends: committed",
        End::Skipped => "ends: skipped",
        End::Terminated => "ends: terminated",
        End::TimedOut => "ends: timed out",
        End::Failed(failure) => match failure.kind {
            FailureKind::Unproven => "ends: unproven",
            FailureKind::Conflict => "ends: overtaken",
            FailureKind::Corrupt => "ends: corrupt",
            FailureKind::Invalid => "ends: refused by a rule of the definition, or an operator's",
            FailureKind::Rejected => "ends: too many refused",
            FailureKind::Cancelled => "ends: cancelled",
            FailureKind::Bug => "ends: bug",
            _ => "ends: other failure",
        },
    }
}

/// What the next run would do, by a command that meets no trouble of its own.
pub(crate) async fn preview(scene: &Arc<Scene>) -> Option<Preview> {
    let run = Arc::new(Run::new(format!("preview-{}", scene.next_number()), false));
    let attempt = Attempt::begin(scene, &run, scene.next_number());
    let host = SoakHost::new(&attempt);
    engine(&attempt).preview(&host, &connection(), 2).await.ok()
}

pub(crate) fn connection() -> ConnectionId {
    ConnectionId::new("acme/newsletter").expect("an id")
}

/// The engine of one worker.
fn engine(attempt: &Arc<Attempt>) -> Arc<Engine> {
    let scene = &attempt.scene;
    let objects: Arc<dyn ObjectStore> = Arc::new(AttemptStore::new(attempt));
    let store = Store::over(objects, Path::default(), "memory:///");
    let connectors = HttpConnectors::over(Arc::new(Wire(Arc::clone(attempt))), Secrets);
    Arc::new(Engine::new(store, Arc::new(connectors), scene.settings.clone()))
}

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        Some(if name == "KEY" { KEY.to_owned() } else { name.to_owned() })
    }

    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}
