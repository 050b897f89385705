use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use tidemark_model::{
    definition::Deletions,
    entry::{Coverage, Owner},
    failure::FailureKind,
    progress::Progress,
    receipt::Cost,
    row::{Row, RowState},
};

use super::*;
use crate::{
    diff::{BatchLimits, DiffRequest, Dirty, MemoryBudget, Resend, StagedPage, StagedPages, diff},
    port::{
        Clock, Host, KeyTime, Mirror, MirrorRow, Page, PageHead, PageWriter, Stop, SystemClock,
    },
    snapshot::{Layout, Snapshot},
    store::{Folder, Store},
};

struct QuietHost {
    clock: SystemClock,
    owner: Owner,
}

impl Default for QuietHost {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        let owner =
            Owner { namespace: text("default"), workflow_id: text("sync/a/b"), run_id: text("r1") };
        Self { clock: SystemClock::default(), owner }
    }
}

#[async_trait]
impl Host for QuietHost {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
    fn owner(&self) -> &Owner {
        &self.owner
    }
    fn stop(&self) -> Option<Stop> {
        None
    }
    async fn stopped(&self) {
        std::future::pending().await
    }
    fn report(&self, _: Progress) {}
    async fn is_open(&self, _: &Owner) -> bool {
        true
    }
}

/// A reading, by the second at which it was asked for.
#[derive(Clone, Debug)]
struct Shown {
    sent_at: i64,
    rows: Vec<(u8, i64, RowState)>,
    gone: Vec<(u8, i64)>,
}

fn shown() -> impl Strategy<Value = Shown> {
    let state =
        prop_oneof![Just(RowState::Sent), Just(RowState::Filtered), Just(RowState::Invalid)];
    let rows = proptest::collection::vec((0_u8..24, 0_i64..12, state), 0..12);
    let gone = proptest::collection::vec((0_u8..24, 0_i64..12), 0..4);
    // Two requests never begin at the same instant here: nothing would decide between them.
    (0_i64..1_000_000, rows, gone).prop_map(|(sent_at, mut rows, gone)| {
        let mut keys = BTreeSet::new();
        rows.retain(|(key, _, _)| keys.insert(*key));
        Shown { sent_at, rows, gone }
    })
}

fn key(number: u8) -> String {
    format!("key-{number:03}")
}

fn row((number, modified, state): (u8, i64, RowState)) -> Row {
    match state {
        RowState::Sent => {
            let id = format!("id-{number}");
            Row::sent(key(number), modified, id.clone(), format!("{{\"id\":\"{id}\"}}"))
        }
        state => Row::without_record(key(number), modified, state),
    }
}

fn mark((number, modified): (u8, i64)) -> KeyTime {
    KeyTime { key: key(number), modified }
}

fn page(number: usize, shown: &Shown) -> Page {
    let sent_at = Timestamp::from_second(shown.sent_at).unwrap();
    Page {
        head: PageHead {
            window: "A window/№ 1".to_owned(),
            number: u32::try_from(number).unwrap(),
            requested_at: sent_at,
            sent_at,
            resume: serde_json::json!(shown.sent_at),
            cost: Cost { request_count: 1, ..Cost::default() },
        },
        rows: shown.rows.iter().copied().map(row).collect(),
        gone: shown.gone.iter().copied().map(mark).collect(),
        body: Bytes::from_static(b"body"),
    }
}

/// What the mirror is to show, the slow and plain way.
#[derive(Clone, Debug, Default)]
struct Model {
    base: BTreeMap<String, MirrorRow>,
    rows: BTreeMap<String, (i64, i64, MirrorRow)>,
    gone: BTreeMap<String, (i64, i64)>,
    full: bool,
}

fn mirror_row(row: &Row) -> MirrorRow {
    MirrorRow { state: row.state, digest: row.digest, modified: row.modified }
}

impl Model {
    fn stage(&mut self, shown: &Shown) {
        for row in shown.rows.iter().copied().map(row) {
            let reading = (row.modified, shown.sent_at, mirror_row(&row));
            let known = self.rows.get(&row.key).map(|(modified, sent_at, _)| (*modified, *sent_at));
            if known.is_none_or(|known| known < (reading.0, reading.1)) {
                self.rows.insert(row.key, reading);
            }
        }
        for mark in shown.gone.iter().copied().map(mark) {
            let known = (mark.modified, shown.sent_at);
            let latest = self.gone.entry(mark.key).or_insert(known);
            *latest = known.max(*latest);
        }
    }

    fn rows(&self) -> BTreeMap<String, MirrorRow> {
        let base = self.base.iter().filter(|_| !self.full);
        let base = base.map(|(key, row)| (key, (row.modified, i64::MIN, *row)));
        let mut rows: BTreeMap<&String, (i64, i64, MirrorRow)> = base.collect();
        rows.extend(self.rows.iter().map(|(key, reading)| (key, *reading)));
        rows.retain(|key, (modified, sent_at, _)| {
            self.gone.get(*key).is_none_or(|gone| *gone < (*modified, *sent_at))
        });
        rows.into_iter().map(|(key, (.., row))| (key.clone(), row)).collect()
    }
}

struct Pages(Vec<StagedPage>);

impl StagedPages for Pages {
    fn page_count(&self) -> usize {
        self.0.len()
    }
    fn page(&self, index: usize) -> Result<StagedPage, crate::store::StoreError> {
        Ok(self.0[index].clone())
    }
}

/// A committed snapshot of rows.
async fn committed(folder: &Folder, rows: Vec<Row>) -> Snapshot {
    let spill = tempfile::tempdir().unwrap();
    let sent_at = Timestamp::UNIX_EPOCH;
    let request = DiffRequest {
        base: None,
        pages: std::sync::Arc::new(Pages(vec![StagedPage { sent_at, rows, gone: Vec::new() }])),
        coverage: Coverage::Full,
        dirty: Dirty::default(),
        deletions: Deletions::Propagate,
        resend: Resend::Nothing,
        limits: BatchLimits { write_records: 10, removal_records: 10, bytes: 10_000 },
        budget: MemoryBudget::default(),
        threads: 1,
        spill: spill.path().to_owned(),
        name: "base".to_owned(),
        layout: Layout::default(),
        rows_read: Default::default(),
    };
    let output = diff(folder, request).await.unwrap();
    Snapshot::open(folder, &output.snapshot).await.unwrap()
}

async fn assert_shows(session: &ReadingSession<'_>, model: &Model) {
    let rows = model.rows();
    assert_eq!(session.row_count().await.unwrap(), rows.len() as u64);
    for until in -1..13 {
        let expected = rows.values().filter(|row| row.modified <= until).count() as u64;
        assert_eq!(session.count_until(until).await.unwrap(), expected, "until {until}");
        let expected: Vec<KeyTime> = rows
            .iter()
            .filter(|(_, row)| row.modified > until && row.modified <= until + 4)
            .map(|(key, row)| KeyTime { key: key.clone(), modified: row.modified })
            .collect();
        assert_eq!(session.keys_between(until, until + 4).await.unwrap(), expected);
    }
    let keys: Vec<String> = (0..26).rev().map(key).collect();
    let expected: Vec<Option<MirrorRow>> = keys.iter().map(|key| rows.get(key).copied()).collect();
    assert_eq!(session.look_up(&keys).await.unwrap(), expected);
    let expected: Vec<Option<MirrorRow>> =
        keys.iter().map(|key| model.base.get(key).copied()).collect();
    assert_eq!(session.look_up_committed(&keys).await.unwrap(), expected);
    if !model.full {
        assert_eq!(session.differs().await.unwrap(), rows != model.base);
    }
}

/// Stages pages, opens the reading anew in between, and compares with the model all along.
async fn follow(
    base: Vec<(u8, i64, RowState)>,
    mut pages: Vec<Shown>,
    full_after: Option<usize>,
    keys_in_memory: usize,
) {
    for (number, shown) in pages.iter_mut().enumerate() {
        shown.sent_at = shown.sent_at * 100 + i64::try_from(number).unwrap();
    }
    let folder = Store::in_memory().root();
    let host = QuietHost::default();
    let spill = tempfile::tempdir().unwrap();
    let settings = || SessionSettings { spill_folder: spill.path().join("spill"), keys_in_memory };
    let rows: Vec<Row> = base.into_iter().map(row).collect();
    let mut model = Model { full: rows.is_empty(), ..Model::default() };
    model.base = rows.iter().map(|row| (row.key.clone(), mirror_row(row))).collect();
    let snapshot = if rows.is_empty() { None } else { Some(committed(&folder, rows).await) };
    let open =
        || ReadingSession::open(&folder, snapshot.clone(), Coverage::Changes, settings(), &host);

    let mut session = open().await.unwrap();
    for (number, shown) in pages.iter().enumerate() {
        if full_after == Some(number) {
            session.begin_full().await.unwrap();
            model.full = true;
        }
        session.stage(page(number, shown)).await.unwrap();
        // Once more changes nothing.
        session.stage(page(number, shown)).await.unwrap();
        model.stage(shown);
        if number % 2 == 1 {
            session = open().await.unwrap();
        }
    }
    assert_shows(&session, &model).await;
    let session = open().await.unwrap();
    assert_shows(&session, &model).await;
    let staged = session.staged().await.unwrap();
    assert!(staged.is_sorted_by_key(|head| head.sent_at));
    assert_eq!(staged.len(), pages.len());
    assert_eq!(session.cost().request_count, pages.len() as u64);
}

fn base_rows() -> impl Strategy<Value = Vec<(u8, i64, RowState)>> {
    let rows = proptest::collection::btree_map(0_u8..24, 0_i64..12, 0..20);
    rows.prop_map(|rows| {
        rows.into_iter().map(|(key, modified)| (key, modified, RowState::Sent)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_mirror_is_the_snapshot_with_the_pages_over_it(
        base in base_rows(),
        pages in proptest::collection::vec(shown(), 0..6),
        full_after in proptest::option::of(0_usize..6),
        keys_in_memory in prop_oneof![Just(0_usize), Just(5), Just(1_000)],
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(follow(base, pages, full_after, keys_in_memory));
    }
}

#[tokio::test]
async fn a_page_of_another_attempt_is_not_taken_for_ones_own() {
    let folder = Store::in_memory().root();
    let host = QuietHost::default();
    let settings = || SessionSettings { spill_folder: std::env::temp_dir(), keys_in_memory: 10 };
    let open = || ReadingSession::open(&folder, None, Coverage::Full, settings(), &host);
    let (old, new) = (open().await.unwrap(), open().await.unwrap());
    let shown = |sent_at| Shown { sent_at, rows: vec![(1, 1, RowState::Sent)], gone: Vec::new() };
    old.stage(page(0, &shown(5))).await.unwrap();
    let failure = new.stage(page(0, &shown(6))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(new.pages().is_empty());
    // The next attempt finds it.
    assert_eq!(open().await.unwrap().staged().await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_keys_on_disk_count_as_many_in_memory() {
    let folder = Store::in_memory().root();
    let host = QuietHost::default();
    let spill = tempfile::tempdir().unwrap();
    let settings = SessionSettings { spill_folder: spill.path().to_owned(), keys_in_memory: 1_000 };
    let session =
        ReadingSession::open(&folder, None, Coverage::Full, settings, &host).await.unwrap();
    let count = 30_000_i64;
    for (number, begin) in (0..count).step_by(1_000).enumerate() {
        let mut page = page(number, &Shown { sent_at: begin, rows: Vec::new(), gone: Vec::new() });
        // Every tenth row is shown by two pages.
        page.rows = (begin - 100..begin + 1_000)
            .filter(|n| *n >= 0)
            .map(|n| Row::sent(format!("key-{n}"), n, format!("id-{n}"), "{}".to_owned()))
            .collect();
        session.stage(page).await.unwrap();
    }
    assert_eq!(session.row_count().await.unwrap(), 30_000);
    assert_eq!(session.count_until(999).await.unwrap(), 1_000);
    let keys = session.keys_between(10, 12).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["key-11", "key-12"]);
    let found = session.look_up(&["key-29999".to_owned(), "key-30000".to_owned()]).await.unwrap();
    assert_eq!(found[0].unwrap().modified, 29_999);
    assert_eq!(found[1], None);
}
