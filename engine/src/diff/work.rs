//! The course of a comparison: off the async runtime, on threads, and stoppable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::ScopedJoinHandle,
};

use tidemark_model::{
    definition::Deletions,
    entry::{Coverage, DeltaFile, RangeFile, SnapshotFiles},
};
use tracing::Span;

use super::{
    DiffError, DiffOutput, DiffRequest, changes::NewChanges, decide::Rules, outcome::Outcomes,
    tally::Tally,
};
use crate::{
    blocking::{Runtime, blocking},
    snapshot::NewFiles,
    store::Folder,
};

/// Compares staged pages with a snapshot; when this returns, the change set and the next
/// snapshot's files are durable in `folder`, and nothing refers to them yet.
///
/// The same request may be compared again under another name: the answer is the same but for the
/// names of files and the order of batches. Dropping the future gives the comparison up soon.
///
/// # Errors
/// The store's, the spill folder's; a damaged or missing file is named.
pub async fn diff(folder: &Folder, request: DiffRequest) -> Result<DiffOutput, DiffError> {
    let runtime = Runtime::current();
    let stop = Arc::new(AtomicBool::new(false));
    let given_up = GiveUp(Arc::clone(&stop));
    let folder = folder.clone();
    let output = blocking(move || {
        Work {
            new_files: NewFiles::new(&folder, &runtime, request.layout, &request.name),
            new_changes: NewChanges::new(&folder, &runtime, request.limits, &request.name),
            runtime,
            stop,
            request,
        }
        .run()
    })
    .await;
    drop(given_up);
    output
}

/// Tells the threads when nobody waits any more.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A comparison at work.
pub(super) struct Work {
    pub(super) request: DiffRequest,
    pub(super) runtime: Runtime,
    pub(super) new_files: NewFiles,
    new_changes: NewChanges,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(&self) -> Result<DiffOutput, DiffError> {
        if let Some(base) = &self.request.base
            && let Some(entries) = self.few_entries()?
        {
            return self.compare_directly(base, &entries);
        }
        self.compare_by_partition()
    }

    pub(super) fn check_stop(&self) -> Result<(), DiffError> {
        if self.stop.load(Ordering::Relaxed) { Err(DiffError::GivenUp) } else { Ok(()) }
    }

    pub(super) fn threads(&self) -> usize {
        self.request.threads.max(1)
    }

    /// Bytes of entries that a thread may hold. The rest of the budget is for what reads the base
    /// and writes the next snapshot beside them.
    pub(super) fn load_limit(&self) -> u64 {
        self.request.budget.0 * 3 / 8 / self.threads() as u64
    }

    /// Bytes that a thread may collect before they are spilled.
    pub(super) fn spill_memory(&self) -> usize {
        let bytes = self.request.budget.0 / 8 / self.threads() as u64;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn outcomes(&self) -> Outcomes<'_> {
        let request = &self.request;
        let rules = Rules {
            full: request.coverage == Coverage::Full,
            propagate: request.deletions == Deletions::Propagate,
            resend: request.resend,
        };
        Outcomes::new(rules, request.base.clone(), &*request.pages, self.new_changes.writer())
    }

    /// Runs a step on every thread, each within the span of this one.
    pub(super) fn on_threads<T: Send>(
        &self,
        step: impl Fn() -> Result<T, DiffError> + Sync,
    ) -> Result<Vec<T>, DiffError> {
        if self.threads() == 1 {
            return Ok(vec![step()?]);
        }
        let span = Span::current();
        let step = || span.in_scope(&step);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads()).map(|_| scope.spawn(step)).collect();
            threads.into_iter().map(joined).collect()
        })
    }

    /// Ends the change set and adds everything up.
    pub(super) fn close(
        &self,
        outcomes: Vec<Outcomes<'_>>,
        (ranges, deltas): (Vec<RangeFile>, Vec<DeltaFile>),
    ) -> Result<DiffOutput, DiffError> {
        let mut tally = Tally::default();
        let mut writers = Vec::new();
        for outcomes in outcomes {
            tally.add(&outcomes.tally);
            writers.push(outcomes.changes);
        }
        let (changes, batch_count) = self.new_changes.finish(writers)?;
        let base = self.request.base.as_ref().map(|base| base.files());
        let (counts, rows, records) = tally.close(base);
        let snapshot = SnapshotFiles { ranges, deltas, ..counts };
        Ok(DiffOutput { snapshot, changes, rows, records, push: tally.push, batch_count })
    }
}

/// What a thread came to; its panic goes on here.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A place in a reading, as entries carry it.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a reading has fewer than four billion pages and rows per page")
}
