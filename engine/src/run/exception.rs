//! The exceptions of a commit, one by one: rejected records and invalid rows. Held removals may be
//! very many and are kept as [sets](super::hold).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidemark_model::{
    defect::{self, Defect},
    definition::Policy,
    entry::{FileRef, Manifest, RunNumber, SnapshotFiles},
    exception::{Exception, ExceptionKey, ExceptionKind, RowStamp, Waiver},
    row::RowState,
};

use super::decision::{Ignored, Orders};

use crate::{
    log::Log,
    snapshot::{Snapshot, SnapshotRow},
    staging::InvalidRows,
    store::{Folder, StoreError},
};

/// Keys that are looked up at once in the snapshot.
const LOOK_UP_KEYS: usize = 1_000;

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

/// The exceptions as they stand before anything is sent.
#[derive(Debug)]
pub(super) struct BeforePush {
    pub(super) file: Option<FileRef>,
    /// Those that are accepted; looked for only where something may have become of them.
    pub(super) waived: BTreeSet<ExceptionKey>,
}

/// Draws up the exceptions before anything is sent: those of the base, the rows that the next
/// snapshot has as invalid, as far as their keys were noted, and what operators accept of them.
/// If the records `moved` to another system, what was refused at the old one is none any more.
pub(super) async fn before_push(
    folder: &Folder,
    number: RunNumber,
    (base, next): (Option<&Manifest>, &SnapshotFiles),
    noted: &InvalidRows,
    orders: &Orders,
    moved: bool,
) -> Result<BeforePush, StoreError> {
    let mut waived = BTreeSet::new();
    let known = of_manifest(folder, base).await?;
    let (invalid, mut exceptions): (Vec<Exception>, Vec<Exception>) =
        known.into_iter().partition(|exception| exception.kind == ExceptionKind::Invalid);
    if moved {
        exceptions.clear();
    }
    let earlier: BTreeMap<&str, &Exception> =
        invalid.iter().map(|exception| (exception.key.as_str(), exception)).collect();
    let mut keys: BTreeSet<&str> = noted.keys().map(String::as_str).collect();
    keys.extend(earlier.keys());
    let settled = orders.ignored.is_empty() && !exceptions.iter().any(is_waived);
    if keys.is_empty() && settled && !moved {
        let file = base.and_then(|base| base.exceptions.clone());
        return Ok(BeforePush { file, waived });
    }
    let seen = seen(folder, orders).await?;
    let looked_up: Vec<String> = exceptions.iter().map(|one| one.key.clone()).collect();
    keys.extend(looked_up.iter().map(String::as_str));
    let rows = rows_of(folder, next, &keys).await?;
    for (key, row) in &rows {
        if row.state == RowState::Invalid {
            let earlier = earlier.get(key.as_str());
            exceptions.push(Exception {
                key: key.clone(),
                id: row.id.clone().unwrap_or_default(),
                kind: ExceptionKind::Invalid,
                reason: match (noted.get(key).and_then(Option::as_ref), earlier) {
                    (Some(reason), _) => reason.to_string(),
                    (None, Some(earlier)) => earlier.reason.clone(),
                    (None, None) => "the row cannot be mapped to a record".to_owned(),
                },
                attempt_count: 0,
                since: earlier.map_or(number, |earlier| earlier.since),
                waiver: earlier.and_then(|earlier| earlier.waiver.clone()),
            });
        }
    }
    for exception in &mut exceptions {
        let name = exception.name();
        if let Some(Ignored { waiver, .. }) = orders.ignored.get(&name) {
            let row = seen.get(&name).copied();
            exception.waiver = Some(Waiver { row, ..waiver.clone() });
        }
        // An operator accepted the row as it was.
        let now = rows.get(&exception.key).map(stamp);
        let stands = |waiver: &Waiver| waiver.row == now || defect::on(Defect::WaiveForEver);
        exception.waiver = exception.waiver.take().filter(stands);
        if is_waived(exception) {
            waived.insert(name);
        }
    }
    Ok(BeforePush { file: write(folder, number, exceptions).await?, waived })
}

/// The rows of ignored exceptions as the operators saw them: a run that was at work when they decided
/// may have brought something else since.
async fn seen(
    folder: &Folder,
    orders: &Orders,
) -> Result<BTreeMap<ExceptionKey, RowStamp>, StoreError> {
    let mut stamps = BTreeMap::new();
    let commits: BTreeSet<RunNumber> =
        orders.ignored.values().filter_map(|ignored| ignored.seen).collect();
    if commits.is_empty() {
        return Ok(stamps);
    }
    let log = Log::open(folder).await?;
    for number in commits {
        let Some(commit) = log.committed(number).await? else { continue };
        let seen_there = orders.ignored.iter().filter(|(_, one)| one.seen == Some(number));
        let names: Vec<&ExceptionKey> = seen_there.map(|(name, _)| name).collect();
        let keys = names.iter().map(|name| name.key.as_str()).collect();
        match rows_of(folder, &commit.manifest.snapshot, &keys).await {
            Ok(rows) => {
                let shown = names.into_iter().filter_map(|name| Some((name, rows.get(&name.key)?)));
                stamps.extend(shown.map(|(name, row)| (name.clone(), stamp(row))));
            }
            // It was swept meanwhile: nobody can say any more what they saw.
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(stamps)
}

fn stamp(row: &SnapshotRow) -> RowStamp {
    RowStamp { digest: row.digest, modified: row.modified }
}

fn is_waived(exception: &Exception) -> bool {
    exception.waiver.is_some()
}

/// Whether it is sent again now and then although nothing changed.
pub(super) fn is_retried(exception: &Exception) -> bool {
    exception.kind == ExceptionKind::Rejected && !is_waived(exception)
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
