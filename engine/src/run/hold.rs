//! Held removals: what leaves the hold, what comes into it, and what is sent instead.

use jiff::Timestamp;
use tidemark_model::{
    definition::HoldDeletions,
    entry::{FileRef, Manifest, RunNumber},
    exception::{Hold, HourOfRemovals},
    receipt::PushCounts,
};

use super::{
    decision::{Choice, Orders},
    guard::Window,
};
use crate::{
    diff::{BatchLimits, ChangeSet, Chosen, DiffOutput, Parted},
    port::BatchKind,
    store::{Folder, StoreError},
};

/// The base's holds once the decisions are carried out.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Removals that an operator approved of; this run sends them.
    pub(super) approved: Option<ChangeSet>,
    hold: Option<Hold>,
    waived: Option<FileRef>,
    /// An operator gave all records up.
    unguarded: bool,
}

/// What becomes of a comparison's removals.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) changes: Option<FileRef>,
    pub(super) push: PushCounts,
    pub(super) hold: Option<Hold>,
    pub(super) waived: Option<FileRef>,
    pub(super) removals: Vec<HourOfRemovals>,
}

/// Under what a run guards its removals.
pub(super) struct Ward<'w> {
    pub(super) folder: &'w Folder,
    pub(super) number: RunNumber,
    pub(super) now: Timestamp,
    pub(super) limit: HoldDeletions,
    pub(super) batches: BatchLimits,
    /// Makes names of objects unique.
    pub(super) name: &'w str,
}

impl Ward<'_> {
    /// Carries the decisions about held removals out.
    pub(super) async fn holds(
        &self,
        base: Option<&Manifest>,
        orders: &Orders,
    ) -> Result<Holds, StoreError> {
        let Some(base) = base else { return Ok(Holds::default()) };
        if orders.remove_records {
            let held = base.hold.as_ref().map(|hold| &hold.removals);
            let owed = match (held, base.waived_removals.as_ref()) {
                (one, Some(other)) => self.joined(one, other, "given-up").await?,
                (one, None) => one.cloned(),
            };
            let approved = self.opened(owed).await?;
            return Ok(Holds { approved, unguarded: true, ..Holds::default() });
        }
        let mut holds = Holds {
            hold: base.hold.clone(),
            waived: base.waived_removals.clone(),
            ..Holds::default()
        };
        if let Some(choice) = &orders.approved {
            let taken = self.take(&mut holds.hold, choice, "approved").await?;
            holds.approved = self.opened(taken).await?;
        }
        if let Some(choice) = &orders.waived
            && let Some(taken) = self.take(&mut holds.hold, choice, "waived").await?
        {
            holds.waived = self.joined(holds.waived.as_ref(), &taken, "waived").await?;
        }
        Ok(holds)
    }

    async fn opened(&self, file: Option<FileRef>) -> Result<Option<ChangeSet>, StoreError> {
        match file {
            Some(file) => ChangeSet::open(self.folder, &file).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes removals out of the hold.
    async fn take(
        &self,
        hold: &mut Option<Hold>,
        choice: &Choice,
        name: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        let Some(standing) = hold.take() else { return Ok(None) };
        let ids = match choice {
            Choice::All => return Ok(Some(standing.removals)),
            Choice::Ids(ids) => Chosen::Ids(ids.iter().cloned().collect()),
        };
        let set = ChangeSet::open(self.folder, &standing.removals).await?;
        let Parted { chosen, others } = set.part(&ids, self.batches, &self.below(name)).await?;
        *hold = others.map(|removals| Hold { removals, ..standing });
        Ok(chosen)
    }

    /// Lets a comparison's removals pass, or holds those that nobody approved of.
    pub(super) async fn guard(
        &self,
        window: Window,
        holds: Holds,
        output: &DiffOutput,
    ) -> Result<Guarded, StoreError> {
        let passes = |changes, removals| Guarded {
            changes,
            push: output.push,
            hold: holds.hold.clone(),
            waived: holds.waived.clone(),
            removals,
        };
        let Some(changes) = &output.changes else { return Ok(passes(None, window.after(0))) };
        if holds.unguarded {
            return Ok(passes(Some(changes.clone()), window.after(0)));
        }
        let set = ChangeSet::open(self.folder, changes).await?;
        let removals = set.batches().iter().filter(|batch| batch.kind == BatchKind::Remove);
        if removals.count() == 0 {
            return Ok(passes(Some(changes.clone()), window.after(0)));
        }
        let Parted { chosen: removals, others: writes } =
            set.part_removals(&self.below("parted")).await?;
        let Parted { chosen: approved, others: unapproved } =
            self.approved_of(removals, holds.approved.as_ref()).await?;
        let count = unapproved.as_ref().map_or(0, |file| file.row_count);
        let left = output.snapshot.record_count;
        let (Some(rule), Some(unapproved)) = (window.rule(self.limit, count, left), unapproved)
        else {
            return Ok(passes(Some(changes.clone()), window.after(count)));
        };
        let changes = match (approved, writes) {
            (Some(approved), Some(writes)) => self.joined(Some(&approved), &writes, "sent").await?,
            (one, other) => one.or(other),
        };
        let removals = self
            .joined(holds.hold.as_ref().map(|hold| &hold.removals), &unapproved, "held")
            .await?;
        let since = holds.hold.as_ref().map_or(self.number, |hold| hold.since);
        let hold = removals.map(|removals| Hold { since, held_at: self.now, rule, removals });
        let push = PushCounts { held: count, ..output.push };
        Ok(Guarded { changes, push, hold, waived: holds.waived, removals: window.after(0) })
    }

    async fn approved_of(
        &self,
        removals: Option<FileRef>,
        approved: Option<&ChangeSet>,
    ) -> Result<Parted, StoreError> {
        match (removals, approved) {
            (Some(removals), Some(approved)) => {
                let set = ChangeSet::open(self.folder, &removals).await?;
                let chosen = Chosen::In(approved.clone());
                set.part(&chosen, self.batches, &self.below("by-approval")).await
            }
            (removals, _) => Ok(Parted { chosen: None, others: removals }),
        }
    }

    async fn joined(
        &self,
        one: Option<&FileRef>,
        other: &FileRef,
        name: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        let Some(one) = one else { return Ok(Some(other.clone())) };
        let sets =
            [ChangeSet::open(self.folder, one).await?, ChangeSet::open(self.folder, other).await?];
        ChangeSet::join(self.folder, &sets, &format!("changes/{}.json", self.below(name))).await
    }

    fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

/// A held removal ends when its id is written, or removed, in the run that commits.
pub(super) async fn without_sent(
    folder: &Folder,
    removals: FileRef,
    sent: &ChangeSet,
    limits: BatchLimits,
    name: &str,
) -> Result<Option<FileRef>, StoreError> {
    let set = ChangeSet::open(folder, &removals).await?;
    let Parted { chosen, others } = set.part(&Chosen::In(sent.clone()), limits, name).await?;
    Ok(if chosen.is_none() { Some(removals) } else { others })
}
