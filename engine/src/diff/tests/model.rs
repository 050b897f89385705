//! A source, a destination and a snapshot as maps, and random changes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use futures::TryStreamExt;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tempfile::TempDir;
use tidemark_model::{
    definition::Deletions,
    entry::{Coverage, FileRef, RunNumber, SnapshotFiles},
    receipt::{Cost, Outcome, Proof, ProofKind, Receipt},
    row::{Row, RowState},
};
use tokio::runtime::Runtime;

use crate::{
    diff::{
        BatchLimits, ChangeSet, DiffOutput, DiffRequest, Dirty, DirtyKey, MemoryBudget, Resend,
        StagedPage, StagedPages, diff,
    },
    port::{BatchKind, KeyTime},
    snapshot::{Layout, Snapshot, SnapshotRow},
    store::{Folder, Store, StoreError},
};

pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
    });
    &RUNTIME
}

/// Pages in memory.
pub(super) struct Pages(pub(super) Vec<StagedPage>);

impl StagedPages for Pages {
    fn page_count(&self) -> usize {
        self.0.len()
    }

    fn page(&self, index: usize) -> Result<StagedPage, StoreError> {
        Ok(self.0[index].clone())
    }
}

/// How a run is done.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) coverage: Coverage,
    pub(super) deletions: Deletions,
    pub(super) resend: Resend,
    /// Whether an unfinished run left its traces at the destination.
    pub(super) dirty: bool,
    pub(super) budget: MemoryBudget,
    pub(super) threads: usize,
    pub(super) limits: BatchLimits,
    pub(super) layout: Layout,
    pub(super) page_rows: usize,
}

impl Plan {
    pub(super) fn any(random: &mut StdRng) -> Self {
        Self {
            coverage: if random.random_bool(0.6) { Coverage::Changes } else { Coverage::Full },
            deletions: if random.random_bool(0.85) {
                Deletions::Propagate
            } else {
                Deletions::Keep
            },
            resend: match random.random_range(0..12) {
                0 => Resend::Everything { remove_old_ids: true },
                1 => Resend::Everything { remove_old_ids: false },
                _ => Resend::Nothing,
            },
            dirty: random.random_bool(0.3),
            budget: MemoryBudget(*pick(random, &[1_000, 3_000, 20_000, 64 << 20])),
            threads: random.random_range(1..4),
            limits: BatchLimits {
                write_records: random.random_range(1..9),
                removal_records: random.random_range(1..4),
                bytes: random.random_range(1..300),
            },
            layout: Layout {
                range_rows: random.random_range(1..30),
                range_bytes: *pick(random, &[200, 2_000, 24 << 20]),
                page_rows: random.random_range(1..6),
                tier_fan: random.random_range(2..5),
                last_tier: random.random_range(0..4),
                fold_at: *pick(random, &[0, 1, 2, 10]),
                direct_rows: *pick(random, &[0, 5, 1_000, 1_000]),
            },
            page_rows: random.random_range(1..12),
        }
    }

    /// A first run without anything special.
    pub(super) fn first() -> Self {
        Self {
            coverage: Coverage::Full,
            deletions: Deletions::Propagate,
            resend: Resend::Nothing,
            dirty: false,
            limits: BatchLimits { write_records: 5, removal_records: 2, bytes: 1_000 },
            ..Self::any(&mut StdRng::seed_from_u64(1))
        }
    }
}

fn pick<'a, T>(random: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

/// A row at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceRow {
    state: RowState,
    pub(super) modified: i64,
    /// The record's id changes with this.
    pub(super) incarnation: u32,
    pub(super) value: u32,
}

impl SourceRow {
    pub(super) fn sent(modified: i64, value: u32) -> Self {
        Self { state: RowState::Sent, modified, incarnation: 0, value }
    }

    fn id(&self, key: &str) -> String {
        format!("list:{key}.{}", self.incarnation)
    }

    fn record(&self, key: &str) -> String {
        format!(r#"{{"id":"{}","value":"{}"}}"#, self.id(key), self.value)
    }

    fn row(&self, key: &str) -> Row {
        match self.state {
            RowState::Sent => {
                Row::sent(key.to_owned(), self.modified, self.id(key), self.record(key))
            }
            state => Row::without_record(key.to_owned(), self.modified, state),
        }
    }
}

/// A row of the snapshot as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ModelRow {
    state: RowState,
    modified: i64,
    record: Option<(String, String)>,
}

/// A source, its destination and the commits between them.
pub(super) struct World {
    pub(super) random: StdRng,
    pub(super) folder: Folder,
    spill: TempDir,
    pub(super) keys: Vec<String>,
    /// The listing as it is, and as it was at the last commit.
    pub(super) listing: BTreeMap<String, SourceRow>,
    committed: BTreeMap<String, SourceRow>,
    /// Since the last commit: what pages of that time could have shown.
    earlier: Vec<(String, SourceRow)>,
    snapshot: BTreeMap<String, ModelRow>,
    destination: BTreeMap<String, String>,
    pub(super) files: Option<SnapshotFiles>,
    /// The change sets of runs that died before their commit.
    unfinished: Vec<FileRef>,
    repeated: usize,
    clock: i64,
    run: u32,
}

impl World {
    pub(super) fn new(random: &mut StdRng, key_count: usize) -> Self {
        let long = "x".repeat(random.random_range(0..90));
        let keys = (0..key_count).map(|key| {
            let long = if random.random_bool(0.2) { &*long } else { "" };
            format!("{long}{:x}", key * 7919 % 997)
        });
        Self {
            keys: keys.collect(),
            random: StdRng::from_rng(random),
            folder: Store::in_memory().root(),
            spill: tempfile::tempdir().unwrap(),
            listing: BTreeMap::new(),
            committed: BTreeMap::new(),
            earlier: Vec::new(),
            snapshot: BTreeMap::new(),
            destination: BTreeMap::new(),
            files: None,
            unfinished: Vec::new(),
            repeated: 0,
            clock: 1_000,
            run: 0,
        }
    }

    /// Pages of the next run show each row so many times.
    pub(super) fn repeat_readings(&mut self, times: usize) {
        self.repeated = times;
    }

    /// Changes the listing a little, or much.
    pub(super) fn change(&mut self) {
        let share = *pick(&mut self.random, &[0.02, 0.1, 0.5, 1.0]);
        for key in self.keys.clone() {
            if !self.random.random_bool(share) {
                continue;
            }
            self.clock += i64::from(self.random.random_bool(0.7));
            let modified = self.clock;
            let Some(mut row) = self.listing.remove(&key) else {
                let state = *pick(
                    &mut self.random,
                    &[RowState::Sent, RowState::Sent, RowState::Filtered, RowState::Invalid],
                );
                let value = self.random.random_range(0..5);
                self.listing.insert(key, SourceRow { state, modified, incarnation: 0, value });
                continue;
            };
            self.earlier.push((key.clone(), row.clone()));
            row.modified = modified;
            match self.random.random_range(0..10) {
                0..=2 => row.value = self.random.random_range(0..5),
                3 => row.incarnation += 1,
                4 => {}
                5 => row.state = RowState::Sent,
                6 => row.state = RowState::Filtered,
                7 => row.state = RowState::Invalid,
                _ => continue,
            }
            self.listing.insert(key, row);
        }
    }

    /// Readings of the listing, in pages, in any order, some of them stale.
    fn pages(&mut self, plan: &Plan) -> Vec<StagedPage> {
        enum Shown {
            Row(Row),
            Gone(KeyTime),
        }
        let mut shown: Vec<Shown> = Vec::new();
        for (key, row) in &self.listing {
            let moved = self.committed.get(key) != Some(row);
            if plan.coverage == Coverage::Full || moved || self.random.random_bool(0.1) {
                shown.push(Shown::Row(row.row(key)));
                let again = self.repeated + usize::from(self.random.random_bool(0.1));
                shown.extend((0..again).map(|_| Shown::Row(row.row(key))));
            }
        }
        for key in self.committed.keys().filter(|key| !self.listing.contains_key(*key)) {
            if plan.coverage == Coverage::Changes || self.random.random_bool(0.5) {
                let modified = self.clock + 1;
                shown.push(Shown::Gone(KeyTime { key: key.clone(), modified }));
            }
        }
        // What was read before it changed: older than the newest reading or the gone mark.
        for (key, row) in &self.earlier {
            let newer = self.listing.get(key).is_some_and(|now| now.modified > row.modified);
            let gone = self.committed.contains_key(key)
                && !self.listing.contains_key(key)
                && plan.coverage == Coverage::Changes;
            if (newer || gone) && self.random.random_bool(0.3) {
                shown.push(Shown::Row(row.row(key)));
            }
        }
        shown.shuffle(&mut self.random);
        let mut pages = Vec::new();
        let mut rest = shown.into_iter().peekable();
        while rest.peek().is_some() {
            let mut page = StagedPage {
                sent_at: Timestamp::from_second(i64::try_from(pages.len()).unwrap()).unwrap(),
                rows: Vec::new(),
                gone: Vec::new(),
            };
            for shown in rest.by_ref().take(self.random.random_range(1..=plan.page_rows)) {
                match shown {
                    Shown::Row(row) => page.rows.push(row),
                    Shown::Gone(gone) => page.gone.push(gone),
                }
            }
            pages.push(page);
        }
        self.come_back(&mut pages);
        pages
    }

    /// Rows that went and came back within a second: an earlier page says that they are gone.
    fn come_back(&mut self, pages: &mut [StagedPage]) {
        for page in 1..pages.len() {
            for row in pages[page].rows.clone() {
                let newest = self.listing.get(&row.key).map(|now| now.modified);
                if newest == Some(row.modified) && self.random.random_bool(0.05) {
                    let earlier = self.random.random_range(0..page);
                    pages[earlier].gone.push(KeyTime { key: row.key, modified: row.modified });
                }
            }
        }
    }

    /// What an unfinished run may have left at the destination.
    fn leave_traces(&mut self) -> Vec<DirtyKey> {
        let mut dirty = Vec::new();
        for key in self.keys.clone() {
            if !self.random.random_bool(0.15) {
                continue;
            }
            let incarnation = self.random.random_range(0..3);
            let id = format!("list:{key}.{incarnation}");
            if self.random.random_bool(0.5) {
                self.destination.insert(id.clone(), "\"left by another run\"".to_owned());
            } else {
                self.destination.remove(&id);
            }
            dirty.push(DirtyKey { key, id });
        }
        dirty
    }

    /// Compares as a run does.
    async fn compare(&mut self, plan: &Plan, dirty: Dirty) -> DiffOutput {
        self.run += 1;
        let base = match &self.files {
            Some(files) => Some(Snapshot::open(&self.folder, files).await.unwrap()),
            None => None,
        };
        let request = DiffRequest {
            base,
            pages: Arc::new(Pages(self.pages(plan))),
            coverage: plan.coverage,
            dirty,
            deletions: plan.deletions,
            resend: plan.resend,
            limits: plan.limits,
            budget: plan.budget,
            threads: plan.threads,
            spill: self.spill.path().to_owned(),
            name: format!("run-{}", self.run),
            layout: plan.layout,
            rows_read: Arc::default(),
        };
        diff(&self.folder, request).await.unwrap()
    }

    /// Before the first commit only a full reading makes sense.
    fn fitting(&self, plan: &Plan) -> Plan {
        let coverage = if self.files.is_none() { Coverage::Full } else { plan.coverage };
        Plan { coverage, ..plan.clone() }
    }

    async fn unfinished_sets(&self) -> Vec<ChangeSet> {
        let mut sets = Vec::new();
        for index in &self.unfinished {
            sets.push(ChangeSet::open(&self.folder, index).await.unwrap());
        }
        sets
    }

    /// Compares, sends a part of the changes, and dies before the commit.
    pub(super) async fn die(&mut self, plan: &Plan) {
        let plan = Plan { resend: Resend::Nothing, ..self.fitting(plan) };
        let dirty = Dirty { sets: self.unfinished_sets().await, keys: Vec::new() };
        let output = self.compare(&plan, dirty).await;
        let Some(index) = output.changes else { return };
        let changes = ChangeSet::open(&self.folder, &index).await.unwrap();
        let sent = self.random.random_range(0..=changes.batches().len());
        for number in 0..sent {
            let batch = changes.load(number).await.unwrap();
            for write in batch.writes {
                match batch.kind {
                    BatchKind::Write => self.destination.insert(write.id, write.record),
                    BatchKind::Remove => self.destination.remove(&write.id),
                };
            }
        }
        self.unfinished.push(index);
    }

    /// Runs once, applies what came out and checks everything.
    pub(super) async fn run(&mut self, plan: &Plan) -> DiffOutput {
        let plan = &self.fitting(plan);
        let keys = if plan.dirty { self.leave_traces() } else { Vec::new() };
        let dirty = Dirty { sets: self.unfinished_sets().await, keys };
        let mut owed = dirty.keys.clone();
        for set in &dirty.sets {
            let keys: Vec<Vec<DirtyKey>> = set.keys().try_collect().await.unwrap();
            owed.extend(keys.into_iter().flatten());
        }
        let output = self.compare(plan, dirty).await;
        self.check_receipt(&output);
        let before = self.destination.clone();
        let (sent, kept) = self.apply(&output, plan).await;
        self.commit();
        self.check_destination(plan, &before, (&sent, &kept), &owed);
        self.unfinished.clear();
        self.files = Some(output.snapshot.clone());
        self.check_snapshot().await;
        output
    }

    fn check_receipt(&self, output: &DiffOutput) {
        let mut rows = output.rows;
        rows.source_total = self.listing.len() as u64;
        let mut push = output.push;
        push.acknowledged = push.added + push.changed + push.removed + push.repeated;
        let receipt = Receipt {
            number: RunNumber::FIRST,
            outcome: Outcome::InStep,
            definition_version: 1,
            full_read: true,
            complete_as_of: Timestamp::UNIX_EPOCH,
            rows,
            records: output.records,
            push,
            exception_count: 0,
            rejected_count: 0,
            held_count: 0,
            hold_rule: None,
            waived_count: 0,
            proof: Proof {
                kind: ProofKind::FirstResponse,
                source_total: rows.source_total,
                turn_count: 0,
            },
            source_cost: Cost::default(),
            destination_cost: Cost::default(),
            unmatched_paths: Vec::new(),
        };
        receipt.check().unwrap();
        let by_state = |state| self.listing.values().filter(|row| row.state == state).count();
        assert_eq!(rows.sent, by_state(RowState::Sent) as u64);
        assert_eq!(rows.filtered, by_state(RowState::Filtered) as u64);
        assert_eq!(rows.invalid, by_state(RowState::Invalid) as u64);
        let files = &output.snapshot;
        assert_eq!(
            (files.row_count, files.sent_count, files.filtered_count, files.invalid_count),
            (rows.next, rows.sent, rows.filtered, rows.invalid)
        );
        assert_eq!(files.record_count, output.records.next);
    }

    /// Carries the change set out; the keys that it holds, and the ids of records that stay.
    async fn apply(
        &mut self,
        output: &DiffOutput,
        plan: &Plan,
    ) -> (BTreeSet<DirtyKey>, BTreeSet<String>) {
        let (mut sent, mut kept) = (BTreeSet::new(), BTreeSet::new());
        let mut record_count = 0;
        if let Some(index) = &output.changes {
            let changes = ChangeSet::open(&self.folder, index).await.unwrap();
            assert_eq!(changes.batches().len() as u64, output.batch_count);
            assert!(output.batch_count > 0);
            for (number, batch) in changes.batches().iter().enumerate() {
                let loaded = changes.load(number).await.unwrap();
                assert_eq!(loaded.kind, batch.kind);
                let bytes: usize = loaded.writes.iter().map(|write| write.record.len()).sum();
                match batch.kind {
                    BatchKind::Write => {
                        assert!(loaded.writes.len() <= plan.limits.write_records);
                        assert!(loaded.writes.len() == 1 || bytes <= plan.limits.bytes);
                    }
                    BatchKind::Remove => {
                        assert!(loaded.writes.len() <= plan.limits.removal_records);
                    }
                }
                for write in loaded.writes {
                    record_count += 1;
                    match batch.kind {
                        BatchKind::Write => {
                            self.destination.insert(write.id.clone(), write.record);
                        }
                        BatchKind::Remove if plan.deletions == Deletions::Keep => {
                            kept.insert(write.id.clone());
                        }
                        BatchKind::Remove => drop(self.destination.remove(&write.id)),
                    }
                    let id = DirtyKey { key: write.key, id: write.id };
                    assert!(!sent.contains(&id), "{id:?} is sent twice");
                    sent.insert(id);
                }
            }
            let kinds: Vec<BatchKind> = changes.batches().iter().map(|batch| batch.kind).collect();
            assert!(kinds.is_sorted_by_key(|kind| *kind == BatchKind::Write), "{kinds:?}");
            assert_eq!(changes.record_count(), record_count);
        }
        let push = output.push;
        let counted = push.added + push.changed + push.removed + push.repeated;
        assert_eq!(record_count - kept.len() as u64, counted);
        (sent, kept)
    }

    /// The snapshot that should be, by the listing alone.
    fn commit(&mut self) {
        let old = std::mem::take(&mut self.snapshot);
        for (key, row) in &self.listing {
            let record = match row.state {
                RowState::Sent => Some((row.id(key), row.record(key))),
                RowState::Filtered => None,
                // Keeps what was sent last.
                RowState::Invalid => old.get(key).and_then(|old| old.record.clone()),
            };
            let row = ModelRow { state: row.state, modified: row.modified, record };
            self.snapshot.insert(key.clone(), row);
        }
        self.committed = self.listing.clone();
        self.earlier.clear();
    }

    fn check_destination(
        &mut self,
        plan: &Plan,
        before: &BTreeMap<String, String>,
        (sent, kept): (&BTreeSet<DirtyKey>, &BTreeSet<String>),
        dirty: &[DirtyKey],
    ) {
        let records: BTreeMap<String, String> =
            self.snapshot.values().filter_map(|row| row.record.clone()).collect();
        for (id, record) in &records {
            assert_eq!(self.destination.get(id), Some(record), "{id} is not in step");
        }
        let moves = plan.resend == (Resend::Everything { remove_old_ids: false });
        let keeps = plan.deletions == Deletions::Keep;
        if moves || keeps {
            let removed = before.keys().find(|id| keeps && !self.destination.contains_key(*id));
            assert_eq!(removed, None, "keep removed something");
            let mut stay = before.keys().filter(|id| !records.contains_key(*id));
            let forgotten = stay.find(|id| keeps && !moves && !kept.contains(*id));
            assert_eq!(forgotten, None, "it stays and is not written down");
            // From here on they are nobody's.
            self.destination = records;
        } else {
            assert_eq!(self.destination, records, "the destination holds more than it should");
        }
        for DirtyKey { key, id } in dirty {
            let named = sent.iter().any(|write| write.key == *key && write.id == *id);
            assert!(named, "the dirty record {id} is neither sent again nor written down");
        }
    }

    /// Every row of the snapshot, read back.
    pub(super) async fn snapshot_rows(&self) -> Vec<Option<SnapshotRow>> {
        let files = self.files.as_ref().unwrap();
        let snapshot = Snapshot::open(&self.folder, files).await.unwrap();
        snapshot.look_up(&self.keys, true).await.unwrap()
    }

    async fn check_snapshot(&mut self) {
        let files = self.files.as_ref().unwrap();
        let in_order = files.ranges.windows(2).all(|pair| pair[0].from_key < pair[1].from_key);
        assert!(in_order, "{:?}", files.ranges);
        let snapshot = Snapshot::open(&self.folder, files).await.unwrap();
        let mut keys = self.keys.clone();
        keys.extend(["".to_owned(), "zzz".to_owned(), self.keys[0].clone()]);
        keys.shuffle(&mut self.random);
        for with_record in [true, false] {
            let found = snapshot.look_up(&keys, with_record).await.unwrap();
            for (key, found) in keys.iter().zip(found) {
                let expected = self.snapshot.get(key);
                assert_eq!(found.is_some(), expected.is_some(), "{key}");
                let (Some(found), Some(expected)) = (found, expected) else { continue };
                assert_eq!((found.state, found.modified), (expected.state, expected.modified));
                assert_eq!(found.has_record, expected.record.is_some());
                if with_record {
                    assert_eq!(
                        found.id.clone().zip(found.record.clone()),
                        expected.record,
                        "{key}"
                    );
                }
                let row = self.listing[key].row(key);
                let reading = found.reading(key);
                assert_eq!(
                    (reading.state, reading.digest, reading.modified),
                    (row.state, row.digest, row.modified)
                );
            }
        }
        for _ in 0..4 {
            let after = self.random.random_range(990..self.clock + 2);
            let until = after + self.random.random_range(0..20);
            let count = self.snapshot.values().filter(|row| row.modified <= until).count();
            assert_eq!(snapshot.count_until(until).await.unwrap(), count as u64);
            let within = |modified| after < modified && modified <= until;
            let expected: Vec<KeyTime> = self
                .snapshot
                .iter()
                .filter(|(_, row)| within(row.modified))
                .map(|(key, row)| KeyTime { key: key.clone(), modified: row.modified })
                .collect();
            assert_eq!(snapshot.keys_between(after, until).await.unwrap(), expected);
        }
        assert_eq!(snapshot.row_count(), self.snapshot.len() as u64);
    }
}
