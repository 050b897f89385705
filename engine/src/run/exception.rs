//! Exceptions: keys whose state at the destination is not what the snapshot says.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemark_model::{
    definition::Policy,
    entry::{FileRef, Manifest, RunNumber, SnapshotFiles},
    row::RowState,
};

use crate::{
    snapshot::{Snapshot, SnapshotRow},
    store::{Folder, StoreError},
};

/// Keys that are looked up at once in the snapshot.
const LOOK_UP_KEYS: usize = 1_000;

/// Why a key is an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionKind {
    /// The destination refused the record or its removal.
    Rejected,
    /// The row cannot be mapped to a record.
    Invalid,
}

/// A key whose state at the destination is not what the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    pub key: String,
    /// The record's id; empty for a row that never had a record.
    pub id: String,
    pub kind: ExceptionKind,
    /// The destination's words, or what is wrong with the row.
    pub reason: String,
    /// How often the destination refused it.
    pub attempt_count: u32,
    /// The run that met it first.
    pub since: RunNumber,
}

/// The exceptions that a manifest names, in key order.
///
/// # Errors
/// `Missing`, `Damaged`, or the store's.
pub async fn exceptions(folder: &Folder, file: &FileRef) -> Result<Vec<Exception>, StoreError> {
    let content = folder.read(file).await?;
    content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).map_err(|_| StoreError::Damaged {
                path: file.path.clone(),
                reason: "a line of it is not an exception".to_owned(),
            })
        })
        .collect()
}

/// Those of a manifest; none without one.
pub(super) async fn of_manifest(
    folder: &Folder,
    manifest: Option<&Manifest>,
) -> Result<Vec<Exception>, StoreError> {
    match manifest.and_then(|manifest| manifest.exceptions.as_ref()) {
        Some(file) => exceptions(folder, file).await,
        None => Ok(Vec::new()),
    }
}

/// The rows of keys in a snapshot; without those that it does not show.
pub(super) async fn rows_of(
    folder: &Folder,
    files: &SnapshotFiles,
    keys: &BTreeSet<&str>,
) -> Result<BTreeMap<String, SnapshotRow>, StoreError> {
    let snapshot = Snapshot::open(folder, files).await?;
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let mut rows = BTreeMap::new();
    for keys in keys.chunks(LOOK_UP_KEYS) {
        let found = snapshot.look_up(keys, true).await?;
        let shown = keys.iter().zip(found);
        rows.extend(shown.filter_map(|(key, row)| Some((key.clone(), row?))));
    }
    Ok(rows)
}

/// The exceptions as they stand before anything is sent: those of the base, and the rows that the
/// next snapshot has as invalid, as far as their keys were noted.
pub(super) async fn before_push(
    folder: &Folder,
    number: RunNumber,
    base: Option<&Manifest>,
    next: &SnapshotFiles,
    noted: &[String],
) -> Result<Option<FileRef>, StoreError> {
    let known = of_manifest(folder, base).await?;
    let (invalid, mut exceptions): (Vec<Exception>, Vec<Exception>) =
        known.into_iter().partition(|exception| exception.kind == ExceptionKind::Invalid);
    let earlier: BTreeMap<&str, &Exception> =
        invalid.iter().map(|exception| (exception.key.as_str(), exception)).collect();
    let mut keys: BTreeSet<&str> = noted.iter().map(String::as_str).collect();
    keys.extend(earlier.keys());
    if keys.is_empty() {
        return Ok(base.and_then(|base| base.exceptions.clone()));
    }
    for (key, row) in rows_of(folder, next, &keys).await? {
        if row.state == RowState::Invalid {
            let since = earlier.get(key.as_str()).map_or(number, |earlier| earlier.since);
            exceptions.push(Exception {
                key,
                id: row.id.unwrap_or_default(),
                kind: ExceptionKind::Invalid,
                reason: "the row cannot be mapped to a record".to_owned(),
                attempt_count: 0,
                since,
            });
        }
    }
    write(folder, number, exceptions).await
}

/// Writes a commit's exceptions; no object when there are none.
pub(super) async fn write(
    folder: &Folder,
    number: RunNumber,
    mut exceptions: Vec<Exception>,
) -> Result<Option<FileRef>, StoreError> {
    if exceptions.is_empty() {
        return Ok(None);
    }
    exceptions.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
    let mut lines = Vec::new();
    for exception in &exceptions {
        serde_json::to_writer(&mut lines, exception).expect("an exception can be written as JSON");
        lines.push(b'\n');
    }
    // Two attempts may write: each its own object, and the commit names one.
    let nonce = uuid::Uuid::new_v4().simple();
    let path = format!("exceptions/{:012}-{nonce}.ndjson", number.get());
    folder.write(&path, Bytes::from(lines), exceptions.len() as u64).await.map(Some)
}

/// Whether a run tries rejected records again that did not change.
pub(super) fn retry_is_due(policy: &Policy, number: RunNumber) -> bool {
    number.get().is_multiple_of(u64::from(policy.retry_rejected().max(1)))
}
