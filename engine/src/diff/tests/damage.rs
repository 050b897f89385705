//! Whatever is damaged, cut or missing is refused by its name.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::{ObjectStoreExt, PutPayload};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidemark_model::{
    definition::Deletions,
    entry::{Coverage, FileRef},
    row::Row,
};

use super::model::{Pages, runtime};
use crate::{
    diff::{
        BatchLimits, ChangeSet, DiffError, DiffOutput, DiffRequest, Dirty, MemoryBudget, Resend,
        StagedPage, diff,
    },
    snapshot::{Layout, Snapshot},
    store::{Folder, Store, StoreError},
};

/// Rows with records that do not compress: a file has many blocks.
fn rows(range: std::ops::Range<u32>, modified: i64) -> Vec<Row> {
    let mut random = StdRng::seed_from_u64(u64::from(range.start));
    range
        .map(|row| {
            let noise: String =
                (0..2_500).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
            let key = format!("{row:05}");
            let record = format!(r#"{{"id":"{key}","noise":"{noise}"}}"#);
            Row::sent(key.clone(), modified, key, record)
        })
        .collect()
}

async fn compare(
    folder: &Folder,
    base: Option<Snapshot>,
    coverage: Coverage,
    rows: Vec<Row>,
    name: &str,
) -> Result<DiffOutput, DiffError> {
    let spill = tempfile::tempdir().unwrap();
    let page = StagedPage { sent_at: Timestamp::UNIX_EPOCH, rows, gone: Vec::new() };
    let request = DiffRequest {
        base,
        pages: Arc::new(Pages(vec![page])),
        coverage,
        dirty: Dirty::default(),
        deletions: Deletions::Propagate,
        resend: Resend::Nothing,
        limits: BatchLimits { write_records: 100, removal_records: 100, bytes: 1 << 20 },
        budget: MemoryBudget::default(),
        threads: 2,
        spill: spill.path().to_owned(),
        name: name.to_owned(),
        layout: Layout { range_rows: 400, page_rows: 8, ..Layout::default() },
        rows_read: Arc::default(),
    };
    diff(folder, request).await
}

#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Cut,
    Delete,
}

/// Harms a file, sees what `read` says, and mends it again.
async fn harmed(
    folder: &Folder,
    file: &FileRef,
    harm: Harm,
    at: u64,
    read: impl AsyncFnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (objects, path) = folder.locate(&file.path);
    let whole = objects.get(&path).await.unwrap().bytes().await.unwrap();
    let at = usize::try_from(at).unwrap();
    let mut content = whole.to_vec();
    match harm {
        Harm::Flip => content[at] ^= 1,
        Harm::Cut => content.truncate(at),
        Harm::Delete => {}
    }
    match harm {
        Harm::Delete => objects.delete(&path).await.unwrap(),
        _ => drop(objects.put(&path, PutPayload::from(Bytes::from(content))).await.unwrap()),
    }
    let answer = read().await;
    objects.put(&path, PutPayload::from(whole)).await.unwrap();
    answer
}

fn check_refused(answer: Result<(), StoreError>, file: &FileRef, harm: Harm, at: u64) {
    let named = match &answer {
        Err(StoreError::Damaged { path, .. }) => {
            !matches!(harm, Harm::Delete) && *path == file.path
        }
        Err(StoreError::Missing { path }) => matches!(harm, Harm::Delete) && *path == file.path,
        _ => false,
    };
    assert!(named, "{harm:?} at {at} of {}: {answer:?}", file.path);
}

#[test]
fn a_harmed_snapshot_is_refused_by_name() {
    runtime().block_on(async {
        let folder = Store::in_memory().root();
        let all: Vec<Row> = rows(0..700, 1);
        let first = compare(&folder, None, Coverage::Full, all.clone(), "1").await.unwrap();
        let base = Snapshot::open(&folder, &first.snapshot).await.unwrap();
        let changed = rows(300..350, 2);
        let second = compare(&folder, Some(base), Coverage::Changes, changed, "2").await.unwrap();
        let files = second.snapshot;
        assert!(files.ranges.len() > 1 && !files.deltas.is_empty());
        let keys: Vec<String> = all.iter().map(|row| row.key.clone()).collect();
        let named = files.ranges.iter().map(|range| &range.file);
        let mut random = StdRng::seed_from_u64(3);
        for file in named.chain(files.deltas.iter().map(|delta| &delta.file)) {
            assert!(file.bytes > 64 * 1024, "{file:?} is a single block");
            let read = async || {
                let snapshot = Snapshot::open(&folder, &files).await?;
                snapshot.look_up(&keys, true).await?;
                snapshot.count_until(0).await?;
                Ok(())
            };
            for _ in 0..40 {
                let at = random.random_range(0..file.bytes);
                for harm in [Harm::Flip, Harm::Cut] {
                    let answer = harmed(&folder, file, harm, at, read).await;
                    check_refused(answer, file, harm, at);
                }
            }
            check_refused(
                harmed(&folder, file, Harm::Delete, 0, read).await,
                file,
                Harm::Delete,
                0,
            );
            // It was harmed after it was opened.
            let opened = Snapshot::open(&folder, &files).await.unwrap();
            for harm in [Harm::Flip, Harm::Cut, Harm::Delete] {
                let read = async || {
                    let base = Some(opened.clone());
                    let third = compare(&folder, base, Coverage::Full, rows(0..700, 9), "3").await;
                    match third {
                        Ok(_) => Ok(()),
                        Err(DiffError::Store(error)) => Err(error),
                        Err(other) => panic!("{other}"),
                    }
                };
                check_refused(harmed(&folder, file, harm, 5_000, read).await, file, harm, 5_000);
            }
        }
    });
}

#[test]
fn a_harmed_change_set_is_refused_by_name() {
    runtime().block_on(async {
        let folder = Store::in_memory().root();
        let output = compare(&folder, None, Coverage::Full, rows(0..250, 1), "1").await.unwrap();
        let index = output.changes.unwrap();
        let open = async || ChangeSet::open(&folder, &index).await.map(drop);
        for (harm, at) in [(Harm::Flip, 3), (Harm::Cut, 9), (Harm::Cut, 0), (Harm::Delete, 0)] {
            check_refused(harmed(&folder, &index, harm, at, open).await, &index, harm, at);
        }
        let changes = ChangeSet::open(&folder, &index).await.unwrap();
        let load = async || {
            for number in 0..changes.batches().len() {
                changes.load(number).await?;
            }
            Ok(())
        };
        let all = async || changes.all().try_for_each(async |_| Ok(())).await;
        for file in changes.files() {
            for at in (0..file.bytes).step_by(1_777) {
                for harm in [Harm::Flip, Harm::Cut] {
                    check_refused(harmed(&folder, file, harm, at, load).await, file, harm, at);
                    check_refused(harmed(&folder, file, harm, at, all).await, file, harm, at);
                }
            }
            check_refused(
                harmed(&folder, file, Harm::Delete, 0, load).await,
                file,
                Harm::Delete,
                0,
            );
        }
    });
}
