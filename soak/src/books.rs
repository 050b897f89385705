//! The log of the connection as its objects tell it: who took which number when, what was committed,
//! and which senders said that they were late.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tidemark_model::entry::{Committed, Prepared};

use crate::{attempt::Attempt, checker, scene::Taken};

/// Takes note of an object at the instant in which it came to stand. A commit is checked there and
/// then, whoever learns of it.
pub(crate) fn stored(attempt: &Arc<Attempt>, path: &str, content: &[u8]) {
    let Some(path) = path.strip_prefix("connections/acme/newsletter/") else { return };
    let scene = &attempt.scene;
    let now = scene.now();
    let looked_at = attempt.looked_for_marks_at();
    if let Some(name) = path.strip_prefix("late/") {
        let number = name.split_once('-').and_then(|(number, _)| number.parse().ok());
        scene.books().late_marks.push((number.unwrap_or(0), now));
        scene.count("late marks");
    } else if path.starts_with("log/") && path.ends_with(".prepared") {
        let entry: Prepared = document(content);
        let taken = Taken {
            run: entry.owner.run_id.clone(),
            base: entry.base,
            exceptions: entry.next.exceptions.clone(),
        };
        scene.books().taken.insert(entry.number.get(), taken);
        if let Some(commit) = entry.commit {
            checker::check(scene, &commit, looked_at);
        }
    } else if path.starts_with("log/") && path.ends_with(".committed") {
        let commit: Committed = document(content);
        checker::check(scene, &commit, looked_at);
    }
}

/// The object of a document, whose second line is a checksum.
fn document<T: DeserializeOwned>(content: &[u8]) -> T {
    let object = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(object).expect("what the engine writes to the log can be read")
}
