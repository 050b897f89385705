//! A listing that a test edits, read in pages of a few rows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tidemark_engine::port::{
    FoundRow, Host, KeyTime, Mirror, Page, PageHead, PageWriter, ReadRequest, Reading, Source,
};
use tidemark_model::{
    check::SourceCheck,
    entry::Coverage,
    failure::{Failure, FailureKind, Side},
    receipt::{Cost, Proof, ProofKind},
    row::{Row, RowState},
};

use super::clock::TestClock;

const PAGE_ROWS: usize = 3;

/// What the listing shows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Record(String),
    Filtered,
    Invalid,
}

/// What is shown of each key, and its change time.
pub(crate) type Rows = BTreeMap<String, (Shown, i64)>;

/// The source's state.
#[derive(Default)]
pub(crate) struct State {
    rows: Rows,
    /// Rows that were archived, and when.
    archived: BTreeMap<String, i64>,
    pub(crate) request_count: u64,
    /// What the next readings were asked for.
    pub(crate) asked: Vec<ReadRequest>,
    /// Every total is told one too high, so no response can prove anything.
    pub(crate) lies: bool,
    /// Rows that come without their keys, as the readings tell.
    pub(crate) stand_in_count: u64,
    /// Before this request (counting from 1) the connection is lost.
    pub(crate) fails_at: Option<u64>,
}

#[derive(Clone)]
pub(crate) struct Listing {
    clock: Arc<TestClock>,
    state: Arc<Mutex<State>>,
}

/// The record's id at the destination.
pub(crate) fn id_of(key: &str) -> String {
    format!("newsletter:{key}")
}

pub(crate) fn record_of(key: &str, value: &str) -> String {
    serde_json::json!({ "id": id_of(key), "email": value }).to_string()
}

impl Listing {
    pub(crate) fn new(clock: Arc<TestClock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        self.show(key, Shown::Record(value.to_owned()));
    }

    /// The row changes now.
    pub(crate) fn show(&self, key: &str, shown: Shown) {
        let now = self.clock.seconds();
        self.state().rows.insert(key.to_owned(), (shown, now));
    }

    /// The row changes, and its change time is told as another.
    pub(crate) fn put_as_of(&self, key: &str, value: &str, modified: i64) {
        let shown = Shown::Record(value.to_owned());
        self.state().rows.insert(key.to_owned(), (shown, modified));
    }

    pub(crate) fn modified(&self, key: &str) -> i64 {
        self.state().rows[key].1
    }

    pub(crate) fn archive(&self, key: &str) {
        let now = self.clock.seconds();
        let mut state = self.state();
        state.rows.remove(key);
        state.archived.insert(key.to_owned(), now);
    }

    /// It is back as it was.
    pub(crate) fn unarchive(&self, key: &str, value: &str, modified: i64) {
        self.state().archived.remove(key);
        self.put_as_of(key, value, modified);
    }

    /// It leaves no trace.
    pub(crate) fn delete_for_ever(&self, key: &str) {
        let mut state = self.state();
        state.rows.remove(key);
        state.archived.remove(key);
    }

    /// The rows as they are.
    pub(crate) fn snapshot(&self) -> Rows {
        self.state().rows.clone()
    }

    /// The row is what it was then, without a trace of anything since.
    pub(crate) fn take_back(&self, key: &str, rows: &Rows) {
        let mut state = self.state();
        state.archived.remove(key);
        match rows.get(key) {
            Some(row) => state.rows.insert(key.to_owned(), row.clone()),
            None => state.rows.remove(key),
        };
    }

    /// The records that belong at the destination.
    pub(crate) fn records(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let sent = state.rows.iter().filter_map(|(key, (shown, _))| match shown {
            Shown::Record(value) => Some((id_of(key), record_of(key, value))),
            Shown::Filtered | Shown::Invalid => None,
        });
        sent.collect()
    }

    fn row(&self, key: &str) -> Option<Row> {
        let state = self.state();
        let (shown, modified) = state.rows.get(key)?;
        let key = key.to_owned();
        Some(match shown {
            Shown::Record(value) => {
                let (id, record) = (id_of(&key), record_of(&key, value));
                Row::sent(key, *modified, id, record)
            }
            Shown::Filtered => Row::without_record(key, *modified, RowState::Filtered),
            Shown::Invalid => Row::without_record(key, *modified, RowState::Invalid),
        })
    }

    fn keys(&self, since: i64) -> Vec<String> {
        let state = self.state();
        let rows = state.rows.iter().filter(|(_, (_, modified))| *modified >= since);
        rows.map(|(key, _)| key.clone()).collect()
    }

    fn archived(&self, since: i64) -> Vec<KeyTime> {
        let state = self.state();
        let gone = state.archived.iter().filter(|(_, at)| **at >= since);
        gone.map(|(key, at)| KeyTime { key: key.clone(), modified: *at }).collect()
    }

    fn total(&self) -> u64 {
        let state = self.state();
        state.rows.len() as u64 + u64::from(state.lies)
    }

    fn request(&self, host: &dyn Host) -> Result<Cost, Failure> {
        host.check_stop()?;
        let mut state = self.state();
        state.request_count += 1;
        if state.fails_at.is_some_and(|request| request == state.request_count) {
            let message = "the connection was lost";
            return Err(Failure::new(FailureKind::Transient, Side::Source, message));
        }
        Ok(Cost { request_count: 1, ..Cost::default() })
    }

    fn page(&self, window: &str, number: usize, cost: Cost) -> Page {
        self.clock.advance(Duration::from_millis(1));
        let now = host_now(&self.clock);
        Page {
            head: PageHead {
                window: window.to_owned(),
                number: u32::try_from(number).unwrap(),
                requested_at: now,
                sent_at: now,
                resume: serde_json::Value::Null,
                cost,
            },
            rows: Vec::new(),
            gone: Vec::new(),
            body: Bytes::from_static(b"{}"),
        }
    }
}

fn host_now(clock: &TestClock) -> jiff::Timestamp {
    tidemark_engine::port::Clock::now(clock)
}

#[async_trait]
impl Source for Listing {
    async fn check(&self) -> Result<SourceCheck, Failure> {
        unreachable!("no run checks its source")
    }

    async fn find(&self, _name: &str) -> Result<Option<FoundRow>, Failure> {
        unreachable!("no run looks for single rows")
    }

    async fn read(
        &self,
        request: &ReadRequest,
        mirror: &dyn Mirror,
        pages: &dyn PageWriter,
        host: &dyn Host,
    ) -> Result<Reading, Failure> {
        self.state().asked.push(request.clone());
        let complete_as_of = host.clock().now();
        let mut coverage = request.coverage;
        if coverage == Coverage::Changes {
            self.read_changes(request, pages, host).await?;
            if mirror.row_count().await? != self.total() {
                mirror.begin_full().await?;
                coverage = Coverage::Full;
            }
        }
        if coverage == Coverage::Full {
            self.read_all(pages, host).await?;
        }
        if mirror.row_count().await? != self.total() {
            let message = "no response proved the reading";
            return Err(Failure::new(FailureKind::Unproven, Side::Source, message));
        }
        Ok(Reading {
            coverage,
            complete_as_of,
            proof: Proof {
                kind: ProofKind::FirstResponse,
                source_total: self.total(),
                turn_count: 0,
            },
            cost: Cost::default(),
            stand_in_count: self.state().stand_in_count,
            unmatched_paths: Vec::new(),
        })
    }
}

impl Listing {
    async fn read_changes(
        &self,
        request: &ReadRequest,
        pages: &dyn PageWriter,
        host: &dyn Host,
    ) -> Result<(), Failure> {
        let staged = pages.staged().await?;
        let is_staged = |window: &str| staged.iter().any(|head| head.window == window);
        let since = request.since.map_or(i64::MIN, |since| since.as_second() - 120);
        if !is_staged("newest") {
            let mut page = self.page("newest", 0, self.request(host)?);
            page.rows = self.keys(since).iter().filter_map(|key| self.row(key)).collect();
            page.gone = self.archived(since);
            pages.stage(page).await?;
        }
        for key in &request.must_see {
            let window = format!("see {key}");
            if is_staged(&window) {
                continue;
            }
            let mut page = self.page(&window, 0, self.request(host)?);
            match self.row(key) {
                Some(row) => page.rows.push(row),
                None => {
                    page.gone.push(KeyTime { key: key.clone(), modified: self.clock.seconds() })
                }
            }
            pages.stage(page).await?;
        }
        Ok(())
    }

    async fn read_all(&self, pages: &dyn PageWriter, host: &dyn Host) -> Result<(), Failure> {
        let staged = pages.staged().await?;
        for (number, keys) in self.keys(i64::MIN).chunks(PAGE_ROWS).enumerate() {
            if staged.iter().any(|h| h.window == "all" && h.number as usize == number) {
                continue;
            }
            let mut page = self.page("all", number, self.request(host)?);
            page.rows = keys.iter().filter_map(|key| self.row(key)).collect();
            pages.stage(page).await?;
        }
        Ok(())
    }
}
