//! What all parts of a seed share: time, chance, the list, the destination, the store, and the books.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use object_store::{memory::InMemory, path::Path};
use tidemark_engine::{
    diff::MemoryBudget,
    run::{FenceTimes, Settings},
    store::Store,
};
use tidemark_model::{
    entry::{Committed, FileRef, RunNumber},
    exception::Decision,
    receipt::PushCounts,
};
use tidemark_simulator::World;
use tokio::time::Instant;

use crate::{
    chance::Chance, journal::Journal, run::Run, shape::Shape, tally::Tally, terms::Terms,
    truth::Truth,
};

/// When every seed begins: 2026-01-01 00:00 UTC.
const BEGIN: i64 = 1_767_225_600;

pub(crate) const LIST: &str = "a1b2c3";
pub(crate) const KEY: &str = "secret-us1";

pub(crate) struct Scene {
    pub(crate) shape: Shape,
    pub(crate) world: Arc<World>,
    pub(crate) app: Router,
    pub(crate) objects: Arc<InMemory>,
    /// Of every worker.
    pub(crate) settings: Settings,
    /// Which of the objects that runs write was the how manieth, and when it was written.
    written: Mutex<BTreeMap<String, (usize, u64)>>,
    started: Instant,
    chance: Mutex<Chance>,
    journal: Mutex<Journal>,
    truth: Mutex<Truth>,
    books: Mutex<Books>,
    tally: Mutex<Tally>,
    /// No more trouble from now on.
    calm: AtomicBool,
    numbers: AtomicU64,
}

/// What is known of the runs from outside the engine.
#[derive(Default)]
pub(crate) struct Books {
    /// Version n of the definition is at n − 1.
    pub(crate) terms: Vec<Terms>,
    pub(crate) runs: BTreeMap<String, Arc<Run>>,
    /// Who took a number of the log.
    pub(crate) taken: BTreeMap<u64, Taken>,
    pub(crate) commits: BTreeMap<u64, Committed>,
    pub(crate) newest: Option<Committed>,
    /// Holds that commits named, the oldest first.
    pub(crate) holds: Vec<FileRef>,
    pub(crate) decisions: BTreeMap<u64, Decision>,
    /// What a preview showed, by its digest.
    pub(crate) previewed: BTreeMap<String, PushCounts>,
    /// The runs whose sets were marked as sent late, and when.
    pub(crate) late_marks: Vec<(u64, u64)>,
    /// The last request that touched an id at an address.
    pub(crate) touched: BTreeMap<(u32, String), Touch>,
    /// Runs of whose reading the store lost a page.
    pub(crate) lost_pages: BTreeSet<String>,
    pub(crate) first_fault: Option<String>,
}

/// A number of the log, taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) run: String,
    /// The commit that the run builds on.
    pub(crate) base: Option<RunNumber>,
    /// The exceptions as its entry has them, before anything was sent.
    pub(crate) exceptions: Option<FileRef>,
}

impl Books {
    /// Of the newest definition.
    pub(crate) fn prefix(&self) -> String {
        self.terms.last().map(|terms| terms.prefix.clone()).unwrap_or_default()
    }
}

/// A request that took effect at the destination.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) run: String,
    pub(crate) sent_at: u64,
    pub(crate) at: u64,
    /// Its sender stood still between its look at the log and the request, for longer than a look
    /// counts.
    pub(crate) after_freeze: bool,
}

impl Scene {
    pub(crate) fn new(shape: Shape, chance: Chance, keep_lines: bool) -> Arc<Self> {
        let world = Arc::new(World::new());
        world.set_clock(Some(BEGIN));
        world.add_account(KEY);
        world.add_list(KEY, LIST, "Newsletter").expect("the world is empty");
        Arc::new(Self {
            app: tidemark_simulator::app(Arc::clone(&world)),
            world,
            objects: Arc::new(InMemory::new()),
            settings: Settings {
                memory_budget: MemoryBudget(if shape.spills { 64 * 1024 } else { 8 * 1024 * 1024 }),
                spill_folder: std::env::temp_dir(),
                keys_in_memory: if shape.spills { 3 } else { 100_000 },
                threads: 1,
                fence: FenceTimes::default(),
            },
            shape,
            written: Mutex::default(),
            started: Instant::now(),
            chance: Mutex::new(chance),
            journal: Mutex::new(Journal::new(keep_lines)),
            truth: Mutex::default(),
            books: Mutex::default(),
            tally: Mutex::default(),
            calm: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
        })
    }

    /// Milliseconds since the seed began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).expect("a seed lasts days at most")
    }

    /// The clock of the source and the destination.
    pub(crate) fn true_time(&self) -> Timestamp {
        instant(self.now())
    }

    /// The clock of the workers.
    pub(crate) fn worker_time(&self) -> Timestamp {
        let skew = SignedDuration::from_millis(self.shape.skew);
        self.true_time().checked_add(skew).expect("a seed lasts days at most")
    }

    /// An instant of the source's clock, in milliseconds since the seed began.
    pub(crate) fn milliseconds(&self, at: Timestamp) -> u64 {
        u64::try_from(at.as_millisecond() - BEGIN * 1_000).unwrap_or(0)
    }

    /// An instant of the workers' clock, in the same.
    pub(crate) fn milliseconds_of_worker(&self, at: Timestamp) -> u64 {
        let since = at.as_millisecond() - BEGIN * 1_000 - self.shape.skew;
        u64::try_from(since).unwrap_or(0)
    }

    /// Both simulated systems see the time as it is now.
    pub(crate) fn set_world_clock(&self) {
        self.world.set_clock(Some(self.true_time().as_second()));
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut lock(&self.chance))
    }

    /// Yes in so many of a thousand cases, while there is trouble.
    pub(crate) fn strikes(&self, permille: u32) -> bool {
        permille > 0 && !self.is_calm() && self.chance(|chance| chance.permille(permille))
    }

    pub(crate) fn note(&self, line: &str) {
        lock(&self.journal).note(self.now(), line);
    }

    pub(crate) fn take_journal(&self) -> Journal {
        std::mem::replace(&mut *lock(&self.journal), Journal::new(false))
    }

    pub(crate) fn truth(&self) -> MutexGuard<'_, Truth> {
        lock(&self.truth)
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// The store as those see it who meet no trouble.
    pub(crate) fn plain_store(&self) -> Store {
        let objects = Arc::clone(&self.objects);
        Store::over(objects, Path::default(), "memory:///")
    }

    pub(crate) fn has_written(&self, path: &Path) {
        let mut written = lock(&self.written);
        let next = (written.len(), self.now());
        written.entry(path.as_ref().to_owned()).or_insert(next).1 = self.now();
    }

    /// When an object was written, by the store's clock.
    pub(crate) fn written_at(&self, path: &Path) -> Timestamp {
        instant(lock(&self.written).get(path.as_ref()).map_or(0, |(_, at)| *at))
    }

    /// The order in which objects came to be: their names are partly random.
    pub(crate) fn written_before(&self, path: &Path) -> usize {
        lock(&self.written).get(path.as_ref()).map_or(0, |(before, _)| *before)
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    pub(crate) fn count(&self, what: &'static str) {
        self.tally().add(what, 1);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Something that must never be. The first one counts.
    pub(crate) fn fault(&self, what: String) {
        lock(&self.journal).note_fault(self.now(), &what);
        self.books().first_fault.get_or_insert(what);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.books().first_fault.is_some()
    }

    pub(crate) async fn pass(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

fn instant(milliseconds: u64) -> Timestamp {
    let since = i64::try_from(milliseconds).expect("a seed lasts days at most");
    Timestamp::from_millisecond(BEGIN * 1_000 + since).expect("a seed lasts days at most")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
