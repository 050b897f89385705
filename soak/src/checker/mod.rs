//! Whether a green run kept its promise: the destination against what the list was, at the instant of
//! the commit, without a line of the engine.
//!
//! The promise is that of the watermark: a record that has not changed since then is at the
//! destination as mapped; another holds a state that it has had since. Of the ids that the commit's
//! files excuse only a state that they ever had is asked for, and the receipt has to count exactly
//! them.

mod decisions;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidemark_model::{
    entry::Committed,
    receipt::{Outcome, ProofKind, Receipt},
};

use crate::{
    excuses::Excuses,
    scene::{Books, Scene},
    terms::{Fields, Mapped, Terms},
    truth::{Shown, Truth, during},
};

/// Milliseconds in which a sender has written down what it learnt, whatever that was.
const ANSWER_TAKEN_IN: u64 = 1_000;

/// What an id may hold.
#[derive(Debug, Default)]
struct Allowed {
    records: Vec<Fields>,
    /// Whether it was a record all the time.
    always: bool,
    /// All that it ever was a record of.
    ever: Vec<Fields>,
}

/// Checks a commit at the instant in which it stands. `looked_at`: when its run last looked for marks of
/// late senders.
pub(crate) fn check(scene: &Scene, commit: &Committed, looked_at: u64) {
    let receipt = &commit.receipt;
    scene.count("green runs");
    scene.count(match receipt.outcome {
        Outcome::InStep => "green: in step",
        Outcome::Held => "green: held",
        _ => "green: in step except",
    });
    scene.note(&format!(
        "COMMIT {} {}, complete as of {}, {} rows, {} records, {} exceptions, {} waived",
        receipt.number,
        receipt.outcome.as_str(),
        scene.milliseconds(receipt.complete_as_of),
        receipt.rows.next,
        receipt.records.next,
        receipt.exception_count,
        receipt.waived_count
    ));
    let newest = scene.books().newest.as_ref().map(|newest| newest.number);
    if newest > Some(commit.number) {
        // Its run was over and others have committed since: nobody is told, and nobody reads it.
        scene.count("commits that came after a newer one");
        scene.books().commits.insert(commit.number.get(), commit.clone());
        return;
    }
    let checked = Check::new(scene, commit, looked_at).and_then(|mut check| check.all());
    let mut books = scene.books();
    books.newest = Some(commit.clone());
    books.commits.insert(commit.number.get(), commit.clone());
    books.holds.extend(commit.manifest.hold.as_ref().map(|hold| hold.removals.clone()));
    drop(books);
    if let Err(fault) = checked {
        scene.fault(format!("run {}: {fault}", receipt.number));
    }
}

struct Check<'c> {
    scene: &'c Scene,
    commit: &'c Committed,
    books: std::sync::MutexGuard<'c, Books>,
    truth: std::sync::MutexGuard<'c, Truth>,
    excuses: Excuses,
    watermark: u64,
    looked_at: u64,
    now: u64,
}

impl<'c> Check<'c> {
    fn new(scene: &'c Scene, commit: &'c Committed, looked_at: u64) -> Result<Self, String> {
        let watermark = scene.milliseconds(commit.receipt.complete_as_of);
        let now = scene.now();
        if watermark > now {
            return Err("its watermark lies in the future".to_owned());
        }
        Ok(Self {
            scene,
            commit,
            excuses: Excuses::of(scene, &commit.manifest)?,
            books: scene.books(),
            truth: scene.truth(),
            watermark,
            looked_at,
            now,
        })
    }

    fn receipt(&self) -> &Receipt {
        &self.commit.receipt
    }

    fn terms(&self) -> Result<Terms, String> {
        self.terms_of(self.receipt())
    }

    fn terms_of(&self, receipt: &Receipt) -> Result<Terms, String> {
        let version = usize::try_from(receipt.definition_version).unwrap_or(0);
        let terms = version.checked_sub(1).and_then(|index| self.books.terms.get(index));
        terms.cloned().ok_or_else(|| format!("there is no version {version} of the definition"))
    }

    fn all(&mut self) -> Result<(), String> {
        let terms = self.terms()?;
        let given_up = self.receipt().proof.kind == ProofKind::Decision;
        let allowed = self.allowed(&terms, given_up);
        let held = destination(self.scene, &terms)?;
        for id in allowed.keys().chain(held.keys()).collect::<BTreeSet<_>>() {
            self.id(&terms, id, allowed.get(id), held.get(id))?;
        }
        self.excuses.check(self.receipt())?;
        self.chain()?;
        self.decisions()?;
        self.waivers()?;
        if given_up {
            return Ok(());
        }
        self.lost_keys(&terms, &held)?;
        self.counts(&terms, &held)
    }

    /// No record goes because its row came without its key: this is the first commit that can know
    /// of it, so nobody has approved of that yet.
    fn lost_keys(&self, terms: &Terms, held: &BTreeMap<String, Fields>) -> Result<(), String> {
        let Some(base) = self.base() else { return Ok(()) };
        let same = base.receipt.definition_version == self.receipt().definition_version;
        if !same || base.receipt.proof.kind == ProofKind::Decision {
            return Ok(());
        }
        let since = self.scene.milliseconds(base.receipt.complete_as_of);
        let committed_at = self.scene.milliseconds_of_worker(base.committed_at);
        let before = Excuses::of(self.scene, &base.manifest)?;
        for (contact, shown) in self.truth.members() {
            let listed = during(shown, since, self.now).all(|(_, shown)| *shown != Shown::Not);
            let mut lately = during(shown, self.watermark, self.now);
            if !listed || !lately.all(|(_, shown)| *shown == Shown::Keyless) {
                continue;
            }
            let states = self.truth.contacts().find(|(known, _)| *known == contact);
            let Some((_, states)) = states else { continue };
            // Until the base's commit it came as a record, and later at most without its key.
            let was_record = during(states, since, self.now).all(|(at, row)| match row {
                Some(member) => matches!(terms.map(contact, member), Mapped::Record { .. }),
                None => *at > committed_at,
            });
            let id = terms.id(contact);
            let was_there = was_record && !before.covers(&id);
            if was_there && !held.contains_key(&id) && !self.was_sent_late(terms, &id) {
                return Err(format!("{id} is removed, and its row only came without its key"));
            }
            self.scene.count("rows that came without their key, and their record stays");
        }
        Ok(())
    }

    /// What each id may hold now.
    fn allowed(&self, terms: &Terms, given_up: bool) -> BTreeMap<String, Allowed> {
        let mut allowed: BTreeMap<String, Allowed> = BTreeMap::new();
        for (contact, states) in self.truth.contacts() {
            let mut always = true;
            for (_, member) in during(states, self.watermark, self.now) {
                match member.as_ref().map(|member| terms.map(contact, member)) {
                    Some(Mapped::Record { id, fields }) if !given_up => {
                        allowed.entry(id).or_default().records.push(fields);
                    }
                    _ => always = false,
                }
            }
            if let Some(allowed) = allowed.get_mut(&terms.id(contact)) {
                allowed.always = always;
            }
            let version = usize::try_from(self.receipt().definition_version).unwrap_or(0);
            for earlier in self.books.terms.iter().take(version) {
                for (_, member) in states {
                    let Some(member) = member else { continue };
                    if let Mapped::Record { id, fields } = earlier.map(contact, member) {
                        allowed.entry(id).or_default().ever.push(fields);
                    }
                }
            }
        }
        allowed
    }

    fn id(
        &mut self,
        terms: &Terms,
        id: &str,
        allowed: Option<&Allowed>,
        held: Option<&Fields>,
    ) -> Result<(), String> {
        let nothing = Allowed::default();
        let allowed = allowed.unwrap_or(&nothing);
        let may_be_absent = !allowed.always;
        let right = match held {
            Some(fields) => allowed.records.contains(fields),
            None => may_be_absent,
        };
        if right {
            return Ok(());
        }
        let was_ever = held.is_none_or(|fields| allowed.ever.contains(fields));
        if self.excuses.covers(id) && was_ever {
            self.scene.count("ids that a commit excuses, and that are not as mapped");
            return Ok(());
        }
        if may_be_absent && was_ever && self.excuses.kept.contains_key(id) {
            self.scene.count("ids that a commit keeps");
            return Ok(());
        }
        if self.was_sent_late(terms, id) {
            return Ok(());
        }
        Err(format!(
            "{id} holds {held:?} at the destination; since the watermark it was {:?}{}",
            allowed.records,
            if may_be_absent { ", or nothing" } else { "" }
        ))
    }

    /// What the protocol leaves open until the next run: a sender of another run stood still
    /// between its look at the log and its request, and had not said so yet when this run looked
    /// for marks of that kind before its commit.
    fn was_sent_late(&self, terms: &Terms, id: &str) -> bool {
        let touch = self.books.touched.get(&(terms.address, id.to_owned()));
        let Some(touch) = touch.filter(|touch| touch.after_freeze) else { return false };
        let sent = self.books.taken.iter().find(|(_, taken)| taken.run == touch.run);
        let Some((sent, _)) = sent else { return false };
        let shape = &self.scene.shape;
        let says_so_by = touch.sent_at + shape.timeout * 1_000 + ANSWER_TAKEN_IN;
        let in_hand = touch.run != self.commit.owner.run_id && self.looked_at <= says_so_by;
        let mut marks = self.books.late_marks.iter();
        let is_marked = marks
            .any(|(marked, at)| marked == sent && *at >= touch.sent_at && *at <= self.looked_at);
        let late = in_hand && !is_marked;
        if late {
            self.scene.count("left open: a mark came after the run's look");
        }
        late
    }

    fn base(&self) -> Option<&Committed> {
        let taken = self.books.taken.get(&self.receipt().number.get())?;
        self.books.commits.get(&taken.base?.get())
    }

    /// A receipt begins where that of the run's base ends.
    fn chain(&self) -> Result<(), String> {
        let Receipt { rows, records, .. } = self.receipt();
        let base = self.base().map(|base| &base.receipt);
        let before = base.map_or((0, 0), |base| (base.rows.next, base.records.next));
        if (rows.previous, records.previous) != before {
            return Err(format!(
                "it begins with {} rows and {} records; its base ended with {before:?}",
                rows.previous, records.previous
            ));
        }
        Ok(())
    }

    /// A waiver ends when its row changes; two changes of one second look alike.
    fn waivers(&self) -> Result<(), String> {
        for exception in &self.excuses.named {
            let Some(waiver) = &exception.waiver else { continue };
            let decided_at = self.scene.milliseconds_of_worker(waiver.at);
            let states = self.truth.contacts().find(|(contact, _)| **contact == exception.key);
            let Some((_, states)) = states else { continue };
            // A row that was not there then and was gone again before the run saw it has not
            // changed for anybody who reads the list.
            let gone = || during(states, self.watermark, self.now).any(|(_, row)| row.is_none());
            if waiver.row.is_none() && gone() {
                continue;
            }
            let mut changes = states.iter().map(|(at, _)| *at);
            if changes.any(|at| at > decided_at + 1_000 && at < self.watermark) {
                return Err(format!("{} is waived still, and has changed since", exception.key));
            }
        }
        Ok(())
    }

    /// The receipt's counts.
    fn counts(&self, terms: &Terms, held: &BTreeMap<String, Fields>) -> Result<(), String> {
        let receipt = self.receipt();
        let rows = &receipt.rows;
        let counts = self.truth.counts(self.watermark, self.now);
        if !counts.contains(&rows.next) {
            return Err(format!("it counts {} rows; there were {counts:?}", rows.next));
        }
        let sums = [
            ("rows by state", rows.sent + rows.filtered + rows.invalid, rows.next),
            ("rows before and after", rows.previous + rows.appeared, rows.next + rows.vanished),
            ("the source's total", rows.source_total, rows.next),
        ];
        for (what, left, right) in sums {
            if left != right {
                return Err(format!("its receipt does not balance: {what}, {left} and {right}"));
            }
        }
        let outcome = match (receipt.exception_count, receipt.held_count) {
            (0, 0) => Outcome::InStep,
            (_, 0) => Outcome::InStepExcept,
            _ => Outcome::Held,
        };
        if receipt.outcome != outcome {
            return Err(format!(
                "it ends {} with {} exceptions, {} of them held",
                receipt.outcome.as_str(),
                receipt.exception_count,
                receipt.held_count
            ));
        }
        let quiet = self.truth.contacts().all(|(_, states)| {
            states.last().is_none_or(|(changed_at, _)| *changed_at < self.watermark)
        });
        if quiet { self.exact_counts(terms, held) } else { Ok(()) }
    }

    /// Nothing changed since the watermark: the counts must be exact.
    fn exact_counts(&self, terms: &Terms, held: &BTreeMap<String, Fields>) -> Result<(), String> {
        let (mut sent, mut filtered, mut invalid) = (0, 0, 0);
        for (contact, member) in self.truth.visible() {
            match terms.map(contact, member) {
                Mapped::Record { .. } => sent += 1,
                Mapped::Filtered => filtered += 1,
                Mapped::Invalid => invalid += 1,
            }
        }
        let rows = &self.receipt().rows;
        if (rows.sent, rows.filtered, rows.invalid) != (sent, filtered, invalid) {
            return Err(format!(
                "it counts {}, {} and {} rows as sent, filtered and invalid; {sent}, {filtered} \
                 and {invalid} are",
                rows.sent, rows.filtered, rows.invalid
            ));
        }
        let Receipt { exception_count, waived_count, records, .. } = self.receipt();
        let settled = exception_count + waived_count == 0;
        if settled && records.next != sent {
            return Err(format!("it counts {} records; there are {sent}", records.next));
        }
        let due = held.keys().filter(|id| !self.excuses.kept.contains_key(*id)).count() as u64;
        if settled && due != sent && !self.leaves_open(terms) {
            return Err(format!("the destination holds {due} records; {sent} are due"));
        }
        self.scene.count("green: nothing changed since the watermark");
        Ok(())
    }

    fn leaves_open(&self, terms: &Terms) -> bool {
        let touched = self.books.touched.keys().filter(|(address, _)| *address == terms.address);
        touched.map(|(_, id)| id).any(|id| self.was_sent_late(terms, id))
    }
}

/// What the destination holds, tombstones aside.
fn destination(scene: &Scene, terms: &Terms) -> Result<BTreeMap<String, Fields>, String> {
    let records = scene.world.records(&crate::terms::space(terms.address));
    let records = records.map_err(|error| error.to_string())?;
    let mut held = BTreeMap::new();
    for (id, record) in records {
        let Value::Object(record) = record else { return Err(format!("{id} is no object")) };
        if record.get("deleted") == Some(&Value::Bool(true)) {
            let full = record.iter().find(|(name, value)| {
                !matches!(name.as_str(), "id" | "deleted") && value.as_str() != Some("")
            });
            if let Some((name, _)) = full {
                return Err(format!("the tombstone {id} holds a {name}"));
            }
            continue;
        }
        let fields = record
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "id" | "deleted"))
            .map(|(name, value)| match value {
                Value::String(text) => (name, text),
                other => (name, other.to_string()),
            });
        held.insert(id, fields.collect());
    }
    Ok(held)
}
