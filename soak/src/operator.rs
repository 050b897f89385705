//! An operator who decides about exceptions and about what the next run does, at any time, and not
//! always about what still stands.

use std::sync::Arc;

use tidemark_engine::run::decide;
use tidemark_model::{
    entry::Committed,
    exception::{ExceptionKey, ExceptionKind, HeldRemovals, RecordName, Verdict},
};

use crate::{
    chance::Chance,
    excuses::Excuses,
    run::{self, connection},
    scene::{Books, Scene},
    truth::Truth,
};

/// Decides something, if there is anything to look at.
pub(crate) async fn act(scene: &Arc<Scene>) {
    let Some(commit) = scene.books().newest.clone() else { return };
    let Some(excuses) = excuses(scene, &commit) else { return };
    if scene.shape.trouble.doomed > 0 && scene.chance(|chance| chance.permille(600)) {
        return read_again(scene, &commit, &excuses).await;
    }
    if scene.chance(|chance| chance.permille(120)) {
        return preview(scene, &commit).await;
    }
    let old_hold = scene.books().holds.first().cloned();
    let verdict = scene.chance(|chance| {
        let hold = commit.manifest.hold.as_ref().map(|hold| hold.removals.clone());
        let looked_at = if chance.permille(150) { old_hold } else { hold };
        let ids: Vec<&String> = excuses.held.keys().collect();
        match looked_at {
            Some(hold) if chance.permille(700) => {
                let ids = (!ids.is_empty() && chance.permille(500)).then(|| some(chance, &ids));
                let removals = HeldRemovals { hold, ids };
                if chance.permille(650) {
                    Verdict::Approve(removals)
                } else {
                    Verdict::Waive { removals, why: "they stay".to_owned() }
                }
            }
            _ => draw(chance, &excuses, &scene.truth(), &scene.books()),
        }
    });
    write_down(scene, &commit, verdict).await;
}

/// Everything that stands open is to be settled.
pub(crate) async fn settle(scene: &Arc<Scene>) {
    let Some(commit) = scene.books().newest.clone() else { return };
    let Some(excuses) = excuses(scene, &commit) else { return };
    if let Some(hold) = &commit.manifest.hold {
        let removals = HeldRemovals { hold: hold.removals.clone(), ids: None };
        write_down(scene, &commit, Verdict::Approve(removals)).await;
    }
    let keys = names(&excuses, |_| true);
    if !keys.is_empty() {
        write_down(scene, &commit, Verdict::Retry { keys }).await;
    }
}

fn excuses(scene: &Scene, commit: &Committed) -> Option<Excuses> {
    match Excuses::of(scene, &commit.manifest) {
        Ok(excuses) => Some(excuses),
        Err(fault) => {
            scene.fault(format!("what commit {} names: {fault}", commit.number));
            None
        }
    }
}

async fn write_down(scene: &Scene, commit: &Committed, verdict: Verdict) {
    let (counted, words) = words(&verdict);
    scene.count(counted);
    let folder = scene.plain_store().connection(&connection());
    let at = scene.worker_time();
    let decision = decide(&folder, "olga", at, Some(commit.number), verdict).await;
    let decision = decision.expect("a store in memory");
    scene.note(&format!("decision {}: {words}", decision.number));
    scene.books().decisions.insert(decision.number, decision);
}

/// One invalid row is to be read again, and so is looked up.
async fn read_again(scene: &Arc<Scene>, commit: &Committed, excuses: &Excuses) {
    let invalid = names(excuses, |kind| kind == ExceptionKind::Invalid);
    if !invalid.is_empty() {
        let keys = vec![scene.chance(|chance| chance.pick(&invalid).clone())];
        write_down(scene, commit, Verdict::Retry { keys }).await;
    }
}

/// Looks at what the next run would send, and wants exactly that.
async fn preview(scene: &Arc<Scene>, commit: &Committed) {
    let Some(preview) = run::preview(scene).await else { return };
    scene.books().previewed.insert(preview.exact.digest.clone(), preview.push);
    write_down(scene, commit, Verdict::Exactly(preview.exact)).await;
}

fn draw(chance: &mut Chance, excuses: &Excuses, truth: &Truth, books: &Books) -> Verdict {
    let prefix = books.prefix();
    let rejected = names(excuses, |kind| kind == ExceptionKind::Rejected);
    let all = names(excuses, |_| true);
    match chance.weighted(&[30, 25, 10, 10, 12, 3]) {
        0 if !all.is_empty() => {
            let keys = if rejected.is_empty() { all } else { rejected };
            Verdict::Retry { keys: some_of(chance, &keys) }
        }
        1 if !all.is_empty() => {
            Verdict::Ignore { keys: some_of(chance, &all), why: "they may".to_owned() }
        }
        2 => Verdict::SendAgain,
        4 => {
            let keys: Vec<&String> = truth.contacts().map(|(contact, _)| contact).collect();
            let records = some(chance, &keys).into_iter();
            let records = records.map(|key| RecordName { id: format!("{prefix}{key}"), key });
            Verdict::Repair { records: records.collect() }
        }
        5 => Verdict::RemoveRecords {
            definition_version: u32::try_from(books.terms.len()).expect("a few versions"),
        },
        _ => Verdict::ReadInFull,
    }
}

fn names(excuses: &Excuses, wanted: impl Fn(ExceptionKind) -> bool) -> Vec<ExceptionKey> {
    let named = excuses.named.iter().filter(|exception| wanted(exception.kind));
    named.map(tidemark_model::exception::Exception::name).collect()
}

/// Each of them in half of the cases.
fn some(chance: &mut Chance, ids: &[&String]) -> Vec<String> {
    ids.iter().filter(|_| chance.permille(500)).map(|id| (*id).clone()).collect()
}

fn some_of(chance: &mut Chance, keys: &[ExceptionKey]) -> Vec<ExceptionKey> {
    let all = chance.permille(400);
    keys.iter().filter(|_| all || chance.permille(500)).cloned().collect()
}

fn words(verdict: &Verdict) -> (&'static str, String) {
    let ids = |removals: &HeldRemovals| {
        removals.ids.as_ref().map_or("all".to_owned(), |ids| ids.join(" "))
    };
    let keys = |keys: &[ExceptionKey]| {
        let names = keys.iter().map(|key| format!("{}:{}", key.kind.as_str(), key.key));
        names.collect::<Vec<_>>().join(" ")
    };
    match verdict {
        Verdict::Approve(removals) => {
            ("decisions: approve", format!("approve held removals: {}", ids(removals)))
        }
        Verdict::Waive { removals, .. } => {
            ("decisions: waive", format!("waive held removals: {}", ids(removals)))
        }
        Verdict::Retry { keys: named } => ("decisions: retry", format!("retry {}", keys(named))),
        Verdict::Ignore { keys: named, .. } => {
            ("decisions: ignore", format!("ignore {}", keys(named)))
        }
        Verdict::ReadInFull => ("decisions: read in full", "read in full".to_owned()),
        Verdict::SendAgain => ("decisions: send again", "send every record again".to_owned()),
        Verdict::Repair { records } => {
            let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
            ("decisions: repair", format!("repair {}", ids.join(" ")))
        }
        Verdict::RemoveRecords { .. } => {
            ("decisions: remove records", "remove every record".to_owned())
        }
        Verdict::Exactly(_) => {
            ("decisions: exactly", "send exactly what the preview showed".to_owned())
        }
    }
}
