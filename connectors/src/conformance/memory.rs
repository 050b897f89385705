//! A reading's other side in memory: a snapshot, the staged pages over it, and the mirror of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_engine::port::{KeyTime, Mirror, MirrorRow, Page, PageHead, PageWriter, Reading};
use tidemark_model::{
    entry::Coverage,
    failure::{Failure, FailureKind, Side},
    row::Row,
};

/// The rows of a commit, by key.
pub type MemorySnapshot = BTreeMap<String, Row>;

/// One reading over a snapshot, over all its attempts.
#[derive(Debug)]
pub struct MemoryReading {
    committed: MemorySnapshot,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pages: Vec<Page>,
    full: bool,
    /// Pages that may still be staged, if there is an end to it.
    left: Option<usize>,
    /// The newest reading of each key, from the snapshot or the pages: when it was asked for, and
    /// the row, unless it is gone.
    newest: BTreeMap<String, (Rank, Option<Row>)>,
    /// The change times of the rows, in order; made when they are asked for.
    times: Option<Vec<i64>>,
}

/// Of what is known of a key the greatest counts: by change time, then by request, then a gone mark
/// before a reading.
type Rank = (i64, Timestamp, bool);

impl State {
    fn lay(&mut self, page: &Page) {
        let sent_at = page.head.sent_at;
        let rows = page.rows.iter().map(|row| (&row.key, row.modified, Some(row)));
        let gone = page.gone.iter().map(|gone| (&gone.key, gone.modified, None));
        for (key, modified, row) in rows.chain(gone) {
            let rank = (modified, sent_at, row.is_none());
            match self.newest.get_mut(key) {
                Some(known) if known.0 <= rank => *known = (rank, row.cloned()),
                Some(_) => {}
                None => drop(self.newest.insert(key.clone(), (rank, row.cloned()))),
            }
        }
        self.times = None;
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.newest.values().filter_map(|(_, row)| row.as_ref())
    }

    fn times(&mut self) -> &[i64] {
        if self.times.is_none() {
            let mut times: Vec<i64> = self.rows().map(|row| row.modified).collect();
            times.sort_unstable();
            self.times = Some(times);
        }
        self.times.as_deref().unwrap_or_default()
    }
}

impl MemoryReading {
    #[must_use]
    pub fn over(committed: MemorySnapshot) -> Self {
        let newest = committed
            .iter()
            .map(|(key, row)| {
                (key.clone(), ((row.modified, Timestamp::MIN, false), Some(row.clone())))
            })
            .collect();
        let state = Mutex::new(State { newest, ..State::default() });
        Self { committed, state }
    }

    /// Staging fails once so many more pages are durable, as if the store were lost.
    pub fn fail_after(&self, page_count: Option<usize>) {
        self.state().left = page_count;
    }

    /// The pages that are durable.
    #[must_use]
    pub fn pages(&self) -> Vec<Page> {
        self.state().pages.clone()
    }

    /// The rows that a commit of the reading would hold.
    #[must_use]
    pub fn commit(&self, reading: &Reading) -> MemorySnapshot {
        let state = self.state();
        assert_eq!(reading.coverage == Coverage::Full, state.full, "the coverage is told");
        state.rows().map(|row| (row.key.clone(), row.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PageWriter for MemoryReading {
    async fn staged(&self) -> Result<Vec<PageHead>, Failure> {
        let mut heads: Vec<PageHead> =
            self.state().pages.iter().map(|page| page.head.clone()).collect();
        heads.sort_by_key(|head| head.sent_at);
        Ok(heads)
    }

    async fn stage(&self, page: Page) -> Result<(), Failure> {
        let mut state = self.state();
        let name = (page.head.window.clone(), page.head.number);
        let names: BTreeSet<_> =
            state.pages.iter().map(|page| (page.head.window.clone(), page.head.number)).collect();
        assert!(!names.contains(&name), "the page {name:?} is durable already");
        if state.left == Some(0) {
            let message = "the store is lost";
            return Err(Failure::new(FailureKind::Transient, Side::Platform, message));
        }
        state.left = state.left.map(|left| left - 1);
        state.lay(&page);
        state.pages.push(page);
        Ok(())
    }
}

#[async_trait]
impl Mirror for MemoryReading {
    async fn row_count(&self) -> Result<u64, Failure> {
        Ok(self.state().times().len() as u64)
    }

    async fn count_until(&self, until: i64) -> Result<u64, Failure> {
        Ok(self.state().times().partition_point(|time| *time <= until) as u64)
    }

    async fn keys_between(&self, after: i64, until: i64) -> Result<Vec<KeyTime>, Failure> {
        let state = self.state();
        let between = state.rows().filter(|row| after < row.modified && row.modified <= until);
        Ok(between.map(|row| KeyTime { key: row.key.clone(), modified: row.modified }).collect())
    }

    async fn look_up(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        let state = self.state();
        let row = |key| state.newest.get(key)?.1.as_ref().map(held);
        Ok(keys.iter().map(row).collect())
    }

    async fn look_up_committed(&self, keys: &[String]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        Ok(keys.iter().map(|key| self.committed.get(key).map(held)).collect())
    }

    async fn begin_full(&self) -> Result<(), Failure> {
        let mut state = self.state();
        if !state.full {
            state.full = true;
            state.newest.clear();
            for page in std::mem::take(&mut state.pages) {
                state.lay(&page);
                state.pages.push(page);
            }
            state.times = None;
        }
        Ok(())
    }
}

fn held(row: &Row) -> MirrorRow {
    MirrorRow { state: row.state, digest: row.digest, modified: row.modified }
}
