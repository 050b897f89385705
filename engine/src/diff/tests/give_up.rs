//! Nobody waits: the threads must not go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tidemark_model::{definition::Deletions, entry::Coverage};
use tokio::sync::{Notify, oneshot};

use super::model::runtime;
use crate::{
    diff::{BatchLimits, DiffRequest, Dirty, MemoryBudget, Resend, StagedPage, StagedPages, diff},
    snapshot::Layout,
    store::{Store, StoreError},
};

/// More pages than anyone can read; tells when it is read and when nobody holds it any more.
struct Endless {
    read: AtomicUsize,
    begun: Arc<Notify>,
    dropped: Option<oneshot::Sender<()>>,
}

impl StagedPages for Endless {
    fn page_count(&self) -> usize {
        1 << 31
    }

    fn page(&self, _: usize) -> Result<StagedPage, StoreError> {
        if self.read.fetch_add(1, Ordering::Relaxed) == 100 {
            self.begun.notify_one();
        }
        Ok(StagedPage { sent_at: Timestamp::UNIX_EPOCH, rows: Vec::new(), gone: Vec::new() })
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            dropped.send(()).ok();
        }
    }
}

#[test]
fn a_comparison_that_nobody_waits_for_ends() {
    runtime().block_on(async {
        let begun = Arc::new(Notify::new());
        let (dropped, gone) = oneshot::channel();
        let pages = Endless {
            read: AtomicUsize::new(0),
            begun: Arc::clone(&begun),
            dropped: Some(dropped),
        };
        let spill = tempfile::tempdir().unwrap();
        let request = DiffRequest {
            base: None,
            pages: Arc::new(pages),
            coverage: Coverage::Full,
            dirty: Dirty::default(),
            deletions: Deletions::Propagate,
            resend: Resend::Nothing,
            limits: BatchLimits { write_records: 1, removal_records: 1, bytes: 1 },
            budget: MemoryBudget::default(),
            threads: 2,
            spill: spill.path().to_owned(),
            name: "given-up".to_owned(),
            layout: Layout::default(),
            rows_read: Arc::default(),
        };
        let folder = Store::in_memory().root();
        let comparison = tokio::spawn(async move { diff(&folder, request).await });
        begun.notified().await;
        comparison.abort();
        // Not a timed assertion: if it does not end, it does not for minutes.
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap().unwrap();
    });
}
