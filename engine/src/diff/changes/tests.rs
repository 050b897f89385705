use super::*;
use crate::{diff::BatchLimits, store::Store};

/// Removals, each a batch of its own.
async fn one_by_one(folder: &Folder, keys: Range<usize>, name: &str) -> FileRef {
    let key = |number| DirtyKey { key: format!("k{number:07}"), id: format!("id:{number:07}") };
    let limits = BatchLimits { write_records: 1, removal_records: 1, bytes: 1 << 20 };
    let set = ChangeSet::of_removals(folder, keys.map(key).collect(), limits, name).await;
    set.unwrap().expect("there are some")
}

async fn keys(set: &ChangeSet) -> Vec<String> {
    let batches: Vec<Vec<DirtyKey>> = set.keys().try_collect().await.unwrap();
    batches.into_iter().flatten().map(|removal| removal.key).collect()
}

#[tokio::test]
async fn batches_of_one_record_are_read_many_at_once() {
    let folder = Store::in_memory().root();
    let first = one_by_one(&folder, 0..60_000, "first").await;
    let set = ChangeSet::open(&folder, &first).await.unwrap();
    assert_eq!(set.batches().len(), 60_000);
    let stretches: Vec<_> = set.stretches().collect();
    let bytes: u64 = set.files().iter().map(|file| file.bytes).sum();
    assert!(bytes > READ_AT_ONCE, "more than one stretch: {bytes} bytes");
    assert_eq!(stretches.len() as u64, bytes.div_ceil(READ_AT_ONCE));
    let expected: Vec<String> = (0..60_000).map(|number| format!("k{number:07}")).collect();
    assert_eq!(keys(&set).await, expected);
    let batch = set.load(59_999).await.unwrap();
    assert_eq!(batch.writes[0].key, "k0059999");
    let beyond = set.load(60_000).await.unwrap_err();
    assert!(beyond.to_string().contains("it has no batch 60000"), "{beyond}");
}

#[tokio::test]
async fn a_stretch_ends_with_its_file() {
    let folder = Store::in_memory().root();
    let mut sets = Vec::new();
    for (keys, name) in [(0..3, "first"), (3..5, "second")] {
        let set = one_by_one(&folder, keys, name).await;
        sets.push(ChangeSet::open(&folder, &set).await.unwrap());
    }
    let joined = ChangeSet::join(&folder, &sets, "changes/joined.json").await.unwrap().unwrap();
    let joined = ChangeSet::open(&folder, &joined).await.unwrap();
    assert_eq!(joined.stretches().collect::<Vec<_>>(), [0..3, 3..5]);
    assert_eq!(keys(&joined).await.len(), 5);
}
