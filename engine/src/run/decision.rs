//! Decisions of operators: objects of the connection that are created only if absent, counted from
//! 1, and carried out by the next run.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use jiff::Timestamp;
use tidemark_model::{
    entry::{FileRef, Manifest, RunNumber},
    exception::{
        Decision, ExactChanges, Exception, ExceptionKey, HeldRemovals, RecordName, Verdict, Waiver,
    },
};

use super::exception;

use crate::{
    log::Log,
    store::{Creation, Folder, Formatted, StoreError},
};

const FOLDER: &str = "decisions";
/// Stale decisions that a manifest names at most.
const STALE_NAMED: usize = 8;

/// Writes a decision down under the next free number.
///
/// # Errors
/// `Missing` or `NewerFormat` when an earlier one cannot be read, those of [`Log::open`], or the
/// store's; the decision may stand nevertheless, and `open` tells.
pub async fn decide(
    folder: &Folder,
    who: &str,
    at: Timestamp,
    commit: Option<RunNumber>,
    verdict: Verdict,
) -> Result<Decision, StoreError> {
    // One that a commit counts already would never be carried out.
    let log = Log::open(folder).await?;
    let counted = log.newest_commit().map_or(0, |commit| commit.manifest.decided);
    let mut number = highest(folder).await?.max(counted) + 1;
    loop {
        let decision =
            Decision { number, who: who.to_owned(), at, commit, verdict: verdict.clone() };
        let wanted = Formatted::new(decision);
        let standing = folder.establish(&path(number), &wanted).await?.content;
        if standing == wanted.content {
            return Ok(standing);
        }
        number += 1;
    }
}

/// The decisions above a number, oldest first.
///
/// # Errors
/// `Missing`, `Damaged`, `NewerFormat`, or the store's.
pub async fn decisions(folder: &Folder, after: u64) -> Result<Vec<Decision>, StoreError> {
    let mut found = Vec::new();
    for number in after + 1..=highest(folder).await? {
        let path = path(number);
        let decision: Option<Formatted<Decision>> = folder.document(&path).await?;
        found.push(decision.ok_or(StoreError::Missing { path })?.content);
    }
    Ok(found)
}

/// Takes a decision back that a run cannot carry out: no later run tries. What is written is which
/// run that was, so that none of its own attempts takes itself for an ordinary one.
pub(super) async fn take_back(
    folder: &Folder,
    number: u64,
    run_id: &str,
) -> Result<(), StoreError> {
    match folder.create(&taken_back(number), Bytes::from(run_id.to_owned())).await? {
        Creation::Created | Creation::Exists => Ok(()),
    }
}

/// Whether a decision was taken back because it could not be carried out. The next commit counts
/// it among the stale ones.
///
/// # Errors
/// The store's.
pub async fn is_taken_back(folder: &Folder, number: u64) -> Result<bool, StoreError> {
    folder.exists(&taken_back(number)).await
}

/// The number of the newest decision; 0 if there is none.
pub(super) async fn highest(folder: &Folder) -> Result<u64, StoreError> {
    let names = folder.list(FOLDER).await?;
    let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
    Ok(numbers.max().unwrap_or(0))
}

/// Where a decision is, below the connection's folder.
pub(super) fn path(number: u64) -> String {
    format!("{FOLDER}/{number:010}.json")
}

fn taken_back(number: u64) -> String {
    format!("{FOLDER}/{number:010}.taken-back")
}

/// What a run carries out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Orders {
    pub(super) approved: Option<Choice>,
    pub(super) waived: Option<Choice>,
    pub(super) retried: Vec<ExceptionKey>,
    pub(super) ignored: BTreeMap<ExceptionKey, Ignored>,
    pub(super) read_in_full: bool,
    pub(super) send_again: bool,
    pub(super) repaired: Vec<RecordName>,
    pub(super) remove_records: bool,
    /// With the decision's number.
    pub(super) exactly: Option<(u64, ExactChanges)>,
    /// Decisions about the hold as it is, by number.
    about_hold: Vec<u64>,
    /// Which exceptions each decision to accept some is about, by its number.
    ignores: Vec<(u64, Vec<ExceptionKey>)>,
    stale: Vec<u64>,
    decided: u64,
}

/// An exception that an operator accepts as it was in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ignored {
    pub(super) waiver: Waiver,
    /// The newest commit that the operator saw.
    pub(super) seen: Option<RunNumber>,
}

/// Some or all removals of the hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    All,
    Ids(Vec<String>),
}

impl Choice {
    fn add(choice: &mut Option<Self>, ids: Option<Vec<String>>) {
        *choice = Some(match (choice.take(), ids) {
            (Some(Self::All), _) | (_, None) => Self::All,
            (Some(Self::Ids(mut known)), Some(ids)) => {
                known.extend(ids);
                Self::Ids(known)
            }
            (None, Some(ids)) => Self::Ids(ids),
        });
    }
}

impl Orders {
    /// The decisions that the base has not dealt with, up to `decided`, for a run under a version of
    /// the definition.
    pub(super) async fn load(
        folder: &Folder,
        base: Option<&Manifest>,
        decided: u64,
        (run_id, definition_version): (&str, u32),
    ) -> Result<Self, StoreError> {
        let done = base.map_or(0, |base| base.decided);
        let mut orders = Self { decided: decided.max(done), ..Self::default() };
        if decided <= done {
            return Ok(orders);
        }
        let hold = base.and_then(|base| base.hold.as_ref()).map(|hold| &hold.removals);
        let mut open = decisions(folder, done).await?;
        open.retain(|decision| decision.number <= decided);
        let named = named(folder, base, &open).await?;
        let last_exact = open.iter().rev().find_map(exact_order);
        for mut decision in open {
            // A run sends exactly one thing: what was asked for last. What was asked for before is not
            // done instead if that cannot be.
            if let (Some(asked), Some(last)) = (exact_order(&decision), &last_exact)
                && asked.0 != last.0
            {
                if asked.1 != last.1 {
                    orders.stale.push(decision.number);
                }
                continue;
            }
            let stale = match &mut decision.verdict {
                Verdict::Retry { keys } | Verdict::Ignore { keys, .. } => {
                    // There is nothing left to decide about what was resolved meanwhile.
                    keys.retain(|key| named.contains(key));
                    keys.is_empty()
                }
                Verdict::Exactly(_) => {
                    let by = folder.get(&taken_back(decision.number)).await?;
                    by.is_some_and(|by| by != run_id.as_bytes())
                }
                Verdict::RemoveRecords { definition_version: given_up } => {
                    *given_up != definition_version
                }
                _ => false,
            };
            if stale {
                orders.stale.push(decision.number);
            } else {
                orders.add(decision, hold);
            }
        }
        Ok(orders)
    }

    fn add(&mut self, decision: Decision, hold: Option<&FileRef>) {
        let Decision { number, who, at, commit, verdict } = decision;
        // A hold that moved on holds something else than what the operator looked at.
        let current = |removals: &HeldRemovals| Some(&removals.hold) == hold;
        match verdict {
            Verdict::Approve(removals) if current(&removals) => {
                self.about_hold.push(number);
                Choice::add(&mut self.approved, removals.ids);
            }
            Verdict::Waive { removals, .. } if current(&removals) => {
                self.about_hold.push(number);
                Choice::add(&mut self.waived, removals.ids);
            }
            Verdict::Approve(_) | Verdict::Waive { .. } => self.stale.push(number),
            Verdict::Retry { keys } => self.retried.extend(keys),
            Verdict::Ignore { keys, why } => {
                let waiver = Waiver { who, at, why, row: None };
                let ignored = Ignored { waiver, seen: commit };
                self.ignored.extend(keys.iter().map(|key| (key.clone(), ignored.clone())));
                self.ignores.push((number, keys));
            }
            Verdict::ReadInFull => self.read_in_full = true,
            Verdict::SendAgain => self.send_again = true,
            Verdict::Repair { records } => self.repaired.extend(records),
            Verdict::RemoveRecords { .. } => self.remove_records = true,
            Verdict::Exactly(exact) => self.exactly = Some((number, exact)),
        }
    }

    /// What the next manifest says of decisions. If the run drops the hold, what was decided about
    /// it has no object any more; nor has what was to be accepted, if nothing of it is among the
    /// `waived` exceptions of the run.
    pub(super) fn dealt_with(
        &self,
        base: Option<&Manifest>,
        waived: &BTreeSet<ExceptionKey>,
        drops_hold: bool,
    ) -> (u64, Vec<u64>) {
        let mut stale = base.map(|base| base.stale_decisions.clone()).unwrap_or_default();
        stale.extend(&self.stale);
        if drops_hold {
            stale.extend(&self.about_hold);
        }
        let in_vain = |keys: &[ExceptionKey]| keys.iter().all(|key| !waived.contains(key));
        let ignores = self.ignores.iter().filter(|(_, keys)| in_vain(keys));
        stale.extend(ignores.map(|(number, _)| *number));
        // The newest are named.
        stale.sort_unstable();
        let surplus = stale.len().saturating_sub(STALE_NAMED);
        (self.decided, stale.split_off(surplus))
    }
}

fn exact_order(decision: &Decision) -> Option<(u64, ExactChanges)> {
    match &decision.verdict {
        Verdict::Exactly(exact) => Some((decision.number, exact.clone())),
        _ => None,
    }
}

/// The exceptions of the base, if an open decision is about any.
async fn named(
    folder: &Folder,
    base: Option<&Manifest>,
    open: &[Decision],
) -> Result<BTreeSet<ExceptionKey>, StoreError> {
    let about_any = |decision: &Decision| {
        matches!(decision.verdict, Verdict::Retry { .. } | Verdict::Ignore { .. })
    };
    if !open.iter().any(about_any) {
        return Ok(BTreeSet::new());
    }
    let exceptions = exception::of_manifest(folder, base).await?;
    Ok(exceptions.iter().map(Exception::name).collect())
}
