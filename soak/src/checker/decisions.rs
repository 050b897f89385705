//! Whether what operators decided was carried out, or is named as stale.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tidemark_model::{
    exception::{Decision, Exception, ExceptionKey, HeldRemovals, Verdict},
    receipt::{ProofKind, PushCounts},
};

use super::Check;
use crate::{
    excuses::{self, Excuses},
    scene::LIST,
};

/// Stale decisions that a commit names at most: the newest.
const NAMED: usize = 8;

/// Milliseconds before a watermark in which a change may have been made that a reading is not held
/// to here: longer than any list takes to show one.
const SURELY_SHOWN: u64 = 60_000;

impl Check<'_> {
    /// The decisions that the run carried out.
    fn dealt_with(&self) -> impl Iterator<Item = &Decision> {
        let done = self.base().map_or(0, |base| base.manifest.decided);
        let decided = self.commit.manifest.decided;
        let all = self.books.decisions.values();
        all.filter(move |decision| decision.number > done && decision.number <= decided)
    }

    /// What an operator decided is carried out, or named as stale where nothing is left that it is
    /// about.
    pub(super) fn decisions(&self) -> Result<(), String> {
        let named = &self.commit.manifest.stale_decisions;
        if named.len() > NAMED {
            return Err(format!("it names {} stale decisions", named.len()));
        }
        for decision in self.dealt_with() {
            let number = decision.number;
            let stale = self.must_be_stale(&decision.verdict)?;
            let is_named = named.contains(&number);
            let right = match stale {
                Some(true) => is_named || self.has_no_room_for(number),
                Some(false) => !is_named,
                None => true,
            };
            if !right {
                let named = if is_named { "stale" } else { "not stale" };
                return Err(format!("decision {number} counts as {named}"));
            }
            match &decision.verdict {
                Verdict::Approve(removals) | Verdict::Waive { removals, .. }
                    if stale == Some(false) && !self.is_given_up() =>
                {
                    if let Some(id) = self.still_held(removals)? {
                        return Err(format!("{id} is held still, in spite of decision {number}"));
                    }
                }
                Verdict::Ignore { keys, .. } if stale == Some(true) => {
                    if let Some(key) = self.still_as_seen(decision, keys)? {
                        return Err(format!(
                            "decision {number} is stale, and {key} is as the operator saw it"
                        ));
                    }
                }
                _ => {}
            }
        }
        self.exactly()
    }

    /// Whether a decision cannot be carried out. `None` where that depends on when another run
    /// took it back.
    fn must_be_stale(&self, verdict: &Verdict) -> Result<Option<bool>, String> {
        let stale = match verdict {
            Verdict::Approve(removals) | Verdict::Waive { removals, .. } => {
                let hold = self.base().and_then(|base| base.manifest.hold.as_ref());
                hold.map(|hold| &hold.removals) != Some(&removals.hold) || self.drops_hold()?
            }
            Verdict::Retry { keys } => {
                let open = self.open()?;
                !keys.iter().any(|key| open.contains(key))
            }
            Verdict::Ignore { keys, .. } => {
                let (open, accepted) = (self.open()?, self.accepted()?);
                !keys.iter().any(|key| open.contains(key) && accepted.contains(key))
            }
            Verdict::RemoveRecords { .. } => !self.gives_up(verdict),
            Verdict::ReadInFull | Verdict::SendAgain | Verdict::Repair { .. } => false,
            Verdict::Exactly(_) => return Ok(None),
        };
        Ok(Some(stale))
    }

    /// Whether a stale decision may be left out, because so many newer ones are named.
    fn has_no_room_for(&self, number: u64) -> bool {
        let named = &self.commit.manifest.stale_decisions;
        named.len() == NAMED && named.iter().all(|newer| *newer > number)
    }

    fn gives_up(&self, verdict: &Verdict) -> bool {
        let under = self.receipt().definition_version;
        match verdict {
            Verdict::RemoveRecords { definition_version } => *definition_version == under,
            _ => false,
        }
    }

    fn is_given_up(&self) -> bool {
        self.dealt_with().any(|decision| self.gives_up(&decision.verdict))
    }

    /// Nothing is held any more at a new address; nor where gone records are kept, unless all are to
    /// be removed.
    fn drops_hold(&self) -> Result<bool, String> {
        let Some(base) = self.base() else { return Ok(false) };
        let (before, now) = (self.terms_of(&base.receipt)?, self.terms()?);
        Ok(before.address != now.address || now.keep && !self.is_given_up())
    }

    /// The exceptions of the base.
    fn open(&self) -> Result<BTreeSet<ExceptionKey>, String> {
        let file = self.base().and_then(|base| base.manifest.exceptions.as_ref());
        let exceptions = excuses::exceptions(self.scene, file)?;
        Ok(exceptions.iter().map(Exception::name).collect())
    }

    /// The exceptions that are accepted before anything is sent: one that is sent nevertheless, and
    /// refused again, is a new one.
    fn accepted(&self) -> Result<BTreeSet<ExceptionKey>, String> {
        let taken = self.books.taken.get(&self.receipt().number.get());
        let file = taken.and_then(|taken| taken.exceptions.as_ref());
        let exceptions = excuses::exceptions(self.scene, file)?;
        let accepted = exceptions.iter().filter(|exception| exception.waiver.is_some());
        Ok(accepted.map(Exception::name).collect())
    }

    /// One of the removals that a decision was to end.
    fn still_held(&self, removals: &HeldRemovals) -> Result<Option<String>, String> {
        let held = &self.excuses.held;
        if let Some(ids) = &removals.ids {
            return Ok(ids.iter().find(|id| held.contains_key(*id)).cloned());
        }
        let base = self.base().ok_or("a decision is about a hold without a base")?;
        let before = Excuses::of(self.scene, &base.manifest)?.held;
        Ok(before.into_keys().find(|id| held.contains_key(id)))
    }

    /// The key of an exception that had to be accepted: the operator looked at the base, and neither
    /// the row nor the definition has changed since.
    fn still_as_seen<'k>(
        &self,
        decision: &Decision,
        keys: &'k [ExceptionKey],
    ) -> Result<Option<&'k str>, String> {
        let Some(base) = self.base().filter(|base| decision.commit == Some(base.number)) else {
            return Ok(None);
        };
        let (before, now) = (&base.receipt, self.receipt());
        // One that removed every record knows no rows.
        let knows_rows = [before, now].iter().all(|one| one.proof.kind != ProofKind::Decision);
        if before.definition_version != now.definition_version || !knows_rows {
            return Ok(None);
        }
        let shown = self.scene.milliseconds(before.complete_as_of).saturating_sub(SURELY_SHOWN);
        let mut changed_at = BTreeMap::new();
        let seen = self.scene.world.each_member(LIST, |view| {
            changed_at.insert(view.contact_id(), view.last_changed());
        });
        seen.expect("the list is there");
        // A row may be touched, and be what it was.
        let untouched = |contact: &str| {
            let at = changed_at.get(contact).and_then(|at| Timestamp::from_second(*at).ok());
            at.is_some_and(|at| self.scene.milliseconds(at) < shown)
        };
        let unchanged = |contact: &str| {
            let mut contacts = self.truth.contacts();
            let found = contacts.find(|(known, _)| known.as_str() == contact);
            found.is_some_and(|(_, states)| states.iter().all(|(at, _)| *at < shown))
        };
        let open = self.open()?;
        let mut keys = keys.iter().filter(|key| open.contains(*key));
        let key = keys.find(|key| untouched(&key.key) && unchanged(&key.key));
        Ok(key.map(|key| key.key.as_str()))
    }

    /// A run that was to send exactly what a preview showed did.
    fn exactly(&self) -> Result<(), String> {
        let exact = self.dealt_with().filter_map(|decision| match &decision.verdict {
            Verdict::Exactly(exact) => Some((decision.number, exact)),
            _ => None,
        });
        let Some((number, exact)) = exact.last() else { return Ok(()) };
        let named = &self.commit.manifest.stale_decisions;
        if named.contains(&number) || self.has_no_room_for(number) {
            return Ok(());
        }
        let shown = self.books.previewed.get(&exact.digest);
        // Removals may be held besides: nothing is sent for them.
        if shown.map(PushCounts::sent) != Some(self.receipt().push.sent()) {
            return Err(format!("it sent {:?}, and {shown:?} was shown", self.receipt().push));
        }
        self.scene.count("green: exactly what a preview showed");
        Ok(())
    }
}
