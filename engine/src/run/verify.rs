//! Holding the destination against the snapshot, record by record.

use std::{cmp::Ordering, collections::BTreeSet};

use futures::TryStreamExt;
use serde_json::{Map, Value};
use tidemark_model::{
    definition::Deletions,
    entry::{FileRef, Manifest, RunNumber},
    exception::RecordName,
    failure::{Failure, FailureKind, Side},
    ids::ConnectionId,
    receipt::Cost,
};

use super::{Engine, definition, exception};
use crate::{
    diff::ChangeSet,
    log::Log,
    port::{Destination, HeldRecord, Host},
    snapshot::{KeyedRecord, Snapshot},
    store::{Folder, StoreError},
};

/// Records of the snapshot that are read at once.
const PAGE: usize = 1_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The commit that was held against the destination.
    pub commit: RunNumber,
    /// Records that both sides have, and that are equal.
    pub equal_count: u64,
    pub missing_count: u64,
    pub different_count: u64,
    pub surplus_count: u64,
    /// Differences that exceptions and held removals explain; they count nowhere else.
    pub excused_count: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
    pub cost: Cost,
}

/// A record that is not as the snapshot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub record: RecordName,
    /// The fields that differ.
    pub fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// The destination does not have it.
    Missing,
    Different,
    /// Only the destination has it.
    Surplus,
}

impl Verified {
    /// How many records are not as they should be.
    #[must_use]
    pub fn difference_count(&self) -> u64 {
        self.missing_count + self.different_count + self.surplus_count
    }
}

impl Engine {
    /// Reads everything that the destination holds for the connection and compares it with the
    /// newest commit. At most `limit` differences are named. Nothing is changed; the caller sees
    /// to it that no run is at work meanwhile.
    ///
    /// # Errors
    /// `Gone` without a commit, `Invalid` when the destination cannot be read back, `Conflict` when
    /// a run is at work or was meanwhile, the destination's, or the store's.
    pub async fn verify(
        &self,
        host: &dyn Host,
        connection: &ConnectionId,
        limit: usize,
    ) -> Result<Verified, Failure> {
        let folder = self.folder(connection);
        let log = Log::open(&folder).await?;
        let Some(commit) = log.newest_commit() else {
            let message =
                format!("{connection} has never been in step: there is nothing to verify");
            return Err(Failure::new(FailureKind::Gone, Side::Platform, message)
                .hint(format!("tidemark start {connection} --wait")));
        };
        let definition = definition(&folder, commit.manifest.definition.version).await?;
        let destination = self.connectors.destination(&definition)?;
        if !destination.capabilities().reads_back {
            let message = "the destination cannot be read back: its definition has no `read`";
            return Err(Failure::new(FailureKind::Invalid, Side::Destination, message).hint(
                format!("add it, or send every record again: tidemark start {connection} --resend"),
            ));
        }
        for entry in log.unfinished() {
            if host.is_open(&entry.owner).await {
                return Err(at_work(&format!("run {} is at work", entry.number)));
            }
        }
        let mut comparison = Comparison {
            keeps: definition.policy().deletions() == Deletions::Keep,
            excused: Excused::load(&folder, &commit.manifest).await?,
            prefix: definition.record().id_prefix().to_owned(),
            limit,
            verified: Verified {
                commit: commit.number,
                equal_count: 0,
                missing_count: 0,
                different_count: 0,
                surplus_count: 0,
                excused_count: 0,
                differences: Vec::new(),
                cost: Cost::default(),
            },
        };
        let snapshot = Snapshot::open(&folder, &commit.manifest.snapshot).await?;
        comparison.run(host, &snapshot, &*destination).await?;
        let now = Log::open(&folder).await?;
        let state = |log: &Log| (log.highest(), log.newest_commit().map(|commit| commit.number));
        if state(&now) != state(&log) {
            return Err(at_work("a run was at work while the destination was read"));
        }
        Ok(comparison.verified)
    }
}

fn at_work(what: &str) -> Failure {
    let message = format!("{what}: what the destination holds is not what one commit says");
    Failure::new(FailureKind::Conflict, Side::Platform, message)
        .hint("pause the connection, wait for the run's end and verify again")
}

/// Ids whose state is known to be another than the snapshot says.
struct Excused {
    ids: BTreeSet<String>,
}

impl Excused {
    async fn load(folder: &Folder, manifest: &Manifest) -> Result<Self, StoreError> {
        let exceptions = exception::of_manifest(folder, Some(manifest)).await?;
        let mut ids: BTreeSet<String> = exceptions.into_iter().map(|one| one.id).collect();
        let held = manifest.hold.as_ref().map(|hold| &hold.removals);
        for removals in held.into_iter().chain(&manifest.waived_removals) {
            ids.extend(removed_ids(folder, removals).await?);
        }
        Ok(Self { ids })
    }
}

async fn removed_ids(folder: &Folder, removals: &FileRef) -> Result<Vec<String>, StoreError> {
    let set = ChangeSet::open(folder, removals).await?;
    let batches: Vec<_> = set.keys().try_collect().await?;
    Ok(batches.into_iter().flatten().map(|removal| removal.id).collect())
}

/// Both sides, walked in the order of their ids.
struct Comparison {
    /// Whether records of rows that are gone stay: they are in no snapshot, and no mistake.
    keeps: bool,
    excused: Excused,
    prefix: String,
    limit: usize,
    verified: Verified,
}

impl Comparison {
    async fn run(
        &mut self,
        host: &dyn Host,
        snapshot: &Snapshot,
        destination: &dyn Destination,
    ) -> Result<(), Failure> {
        let mut ours = Vec::new().into_iter().peekable();
        let (mut our_last, mut we_end) = (String::new(), false);
        let mut theirs = Vec::new().into_iter().peekable();
        let (mut their_last, mut they_end) = (String::new(), false);
        loop {
            if ours.peek().is_none() && !we_end {
                let page = snapshot.records_behind(&our_last, PAGE).await?;
                we_end = page.len() < PAGE;
                ours = page.into_iter().peekable();
            }
            if theirs.peek().is_none() && !they_end {
                host.check_stop()?;
                let page = destination.read_back(&their_last).await?;
                self.verified.cost.add(page.cost);
                they_end = page.records.is_empty();
                theirs = page.records.into_iter().peekable();
            }
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(our), Some((id, _))) => our.id.cmp(id),
            };
            let our = if order == Ordering::Greater { None } else { ours.next() };
            let their = if order == Ordering::Less { None } else { theirs.next() };
            if let Some(our) = &our {
                our_last.clone_from(&our.key);
            }
            if let Some((id, _)) = &their {
                their_last.clone_from(id);
            }
            self.take(our, their);
        }
    }

    fn take(&mut self, our: Option<KeyedRecord>, their: Option<HeldRecord>) {
        let (kind, record, fields) = match (our, their) {
            (Some(our), Some((_, Some(their)))) => {
                let fields = differing(&our, &their);
                if fields.is_empty() {
                    self.verified.equal_count += 1;
                    return;
                }
                (DifferenceKind::Different, RecordName { key: our.key, id: our.id }, fields)
            }
            (Some(our), _) => {
                (DifferenceKind::Missing, RecordName { key: our.key, id: our.id }, Vec::new())
            }
            (None, Some((id, Some(_)))) => {
                let key = id.strip_prefix(&self.prefix).unwrap_or(&id).to_owned();
                (DifferenceKind::Surplus, RecordName { key, id }, Vec::new())
            }
            (None, _) => return,
        };
        let verified = &mut self.verified;
        let kept = self.keeps && kind == DifferenceKind::Surplus;
        if kept || self.excused.ids.contains(&record.id) {
            verified.excused_count += 1;
            return;
        }
        match kind {
            DifferenceKind::Missing => verified.missing_count += 1,
            DifferenceKind::Different => verified.different_count += 1,
            DifferenceKind::Surplus => verified.surplus_count += 1,
        }
        if verified.differences.len() < self.limit {
            verified.differences.push(Difference { kind, record, fields });
        }
    }
}

/// The mapped fields that the destination has otherwise. Fields are text: none, null and empty are
/// the same.
fn differing(our: &KeyedRecord, their: &Map<String, Value>) -> Vec<String> {
    let our: Map<String, Value> = serde_json::from_str(&our.record).unwrap_or_default();
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    our.iter()
        .filter(|(name, value)| *name != "id" && text(Some(value)) != text(their.get(*name)))
        .map(|(name, _)| name.clone())
        .collect()
}
