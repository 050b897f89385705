//! Removals that are not sent: what leaves the hold, what comes into it, and what is kept for good.

use std::collections::HashSet;

use jiff::Timestamp;
use tidemark_model::{
    defect::{self, Defect},
    definition::HoldDeletions,
    entry::{FileRef, Manifest, RunNumber},
    exception::{Hold, HoldRule, HourOfRemovals},
    receipt::PushCounts,
};

use super::{
    decision::{Choice, Orders},
    guard::Window,
    unsent,
};
use crate::{
    diff::{BatchLimits, ChangeSet, Chosen, DiffOutput, DirtyKey, Parted},
    port::BatchKind,
    store::{Folder, StoreError},
};

/// What is kept is written anew once it lies in more files than this: each run may add one.
const MOST_FILES: usize = 16;

/// The base's holds once the decisions are carried out.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Removals that an operator approved of; this run sends them.
    pub(super) approved: Option<ChangeSet>,
    hold: Option<Hold>,
    waived: Option<FileRef>,
    kept: Option<FileRef>,
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
    pub(super) kept: Option<FileRef>,
    pub(super) removals: Vec<HourOfRemovals>,
}

/// Under what a run guards its removals.
pub(super) struct Ward<'w> {
    pub(super) folder: &'w Folder,
    pub(super) number: RunNumber,
    pub(super) now: Timestamp,
    pub(super) limit: HoldDeletions,
    /// Rows of the reading that came without their own key.
    pub(super) lost_keys: u64,
    /// Whether the definition keeps the records whose rows are gone.
    pub(super) keeps: bool,
    /// Whether the comparison was told of records beside the base's: some may be kept already.
    pub(super) told_of_others: bool,
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
            let held = base.hold.as_ref().map(|hold| hold.removals.clone());
            let owed = [held, base.waived_removals.clone(), base.kept.clone()];
            let approved = self.opened(self.joined(owed, "given-up").await?).await?;
            return Ok(Holds { approved, unguarded: true, ..Holds::default() });
        }
        if self.keeps {
            let held = base.hold.as_ref().map(|hold| hold.removals.clone());
            let stay = [base.kept.clone(), held, base.waived_removals.clone()];
            return Ok(Holds { kept: self.joined(stay, "stay").await?, ..Holds::default() });
        }
        let mut holds = Holds {
            hold: base.hold.clone(),
            waived: base.waived_removals.clone(),
            kept: base.kept.clone(),
            ..Holds::default()
        };
        if let Some(choice) = &orders.approved {
            let taken = self.take(&mut holds.hold, choice, "approved").await?;
            holds.approved = self.opened(taken).await?;
        }
        if let Some(choice) = &orders.waived
            && let Some(taken) = self.take(&mut holds.hold, choice, "waived").await?
        {
            holds.waived = self.joined([holds.waived.take(), Some(taken)], "waived").await?;
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

    /// Lets a comparison's removals pass, or holds those that nobody approved of. What is `due`
    /// again passed before; what is held or waived stays where it is, whoever may have sent it
    /// since.
    pub(super) async fn guard(
        &self,
        window: Window,
        holds: Holds,
        due: Vec<DirtyKey>,
        output: &DiffOutput,
    ) -> Result<Guarded, StoreError> {
        let passes = |changes, removals| Guarded {
            changes,
            push: output.push,
            hold: holds.hold.clone(),
            waived: holds.waived.clone(),
            kept: holds.kept.clone(),
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
        if self.keeps {
            let kept = self.kept(holds.kept.clone(), removals).await?;
            return Ok(Guarded { changes: writes, kept, ..passes(None, window.after(0)) });
        }
        let mut rest = removals;
        let approved = holds.approved.clone().map(Chosen::In);
        let approved = self.split(&mut rest, approved, "by-approval").await?;
        let due: HashSet<String> = due.into_iter().map(|record| record.id).collect();
        let due = (!due.is_empty()).then_some(Chosen::Ids(due));
        let due = self.split(&mut rest, due, "due-again").await?;
        let held = self.opened(holds.hold.as_ref().map(|hold| hold.removals.clone())).await?;
        let held = self.split(&mut rest, held.map(Chosen::In), "held-before").await?;
        let waived = self.opened(holds.waived.clone()).await?;
        let waived = self.split(&mut rest, waived.map(Chosen::In), "waived-before").await?;
        let count = |file: &Option<FileRef>| file.as_ref().map_or(0, |file| file.row_count);
        let (fresh, stay) = (count(&rest), count(&held) + count(&waived));
        let left = output.snapshot.record_count;
        let lost = self.lost_keys > 0 && fresh > 0 && !defect::on(Defect::ForgetLostKeys);
        let rule = if lost {
            Some(HoldRule::KeysLost { rows: self.lost_keys })
        } else {
            window.rule(self.limit, fresh, left)
        };
        if rule.is_none() && stay == 0 {
            return Ok(passes(Some(changes.clone()), window.after(fresh)));
        }
        let mut guarded = passes(None, Vec::new());
        let unheld = match rule {
            None => {
                guarded.removals = window.after(fresh);
                rest
            }
            Some(rule) => {
                let before = holds.hold.as_ref();
                let sets = [before.map(|hold| hold.removals.clone()), rest];
                let since = before.map_or(self.number, |hold| hold.since);
                let removals = self.joined(sets, "held").await?;
                let hold = |removals| Hold { since, held_at: self.now, rule, removals };
                guarded.hold = removals.map(hold);
                guarded.removals = window.after(0);
                None
            }
        };
        guarded.push.held = if unheld.is_some() { stay } else { fresh + stay };
        guarded.changes = self.joined([approved, due, unheld, writes], "sent").await?;
        Ok(guarded)
    }

    /// The records that stay for good, with those of this comparison.
    async fn kept(
        &self,
        before: Option<FileRef>,
        removals: Option<FileRef>,
    ) -> Result<Option<FileRef>, StoreError> {
        // Only what a run is told of beside the base can be kept already.
        let kept = if self.told_of_others {
            let name = self.below("kept");
            unsent::with(self.folder, before, removals, self.batches, &name).await?
        } else {
            self.joined([before, removals], "kept").await?
        };
        let Some(file) = kept.filter(|_| !defect::on(Defect::ForgetKept)) else { return Ok(None) };
        let set = ChangeSet::open(self.folder, &file).await?;
        if set.files().len() <= MOST_FILES {
            return Ok(Some(file));
        }
        let all = Chosen::Ids(HashSet::new());
        set.part(&all, self.batches, &self.below("kept-anew")).await.map(|parted| parted.others)
    }

    /// Takes the chosen ones out of removals.
    async fn split(
        &self,
        removals: &mut Option<FileRef>,
        chosen: Option<Chosen>,
        name: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        let (Some(all), Some(chosen)) = (&*removals, chosen) else { return Ok(None) };
        let set = ChangeSet::open(self.folder, all).await?;
        let Parted { chosen, others } = set.part(&chosen, self.batches, &self.below(name)).await?;
        *removals = others;
        Ok(chosen)
    }

    async fn joined<const N: usize>(
        &self,
        files: [Option<FileRef>; N],
        name: &str,
    ) -> Result<Option<FileRef>, StoreError> {
        unsent::joined(self.folder, files, &self.below(name)).await
    }

    fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}
