//! What every destination has to keep to.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_engine::port::{Batch, BatchKind, Destination, Write};

/// A destination and the system behind it. It is empty at first; its records have the fields `id`
/// and `name`.
pub trait DestinationSubject: Send + Sync {
    /// The destination, as a process that just started makes it.
    fn destination(&self) -> Arc<dyn Destination>;

    /// The name of each record that counts as there, by record id.
    fn names(&self) -> BTreeMap<String, String>;
}

/// Ids that are told apart by systems that encode them well.
const IDS: [&str; 8] = ["n:1", "n:2", "a/b", "a b", "a%2Fb", "ü/ä?x=1#y", "\"quoted\"", "a+b"];

/// Runs the whole suite. Panics with what is wrong.
pub async fn destination(subject: &dyn DestinationSubject) {
    check_changes_nothing(subject).await;
    writing_again_leaves_the_same_state(subject).await;
    an_empty_batch_changes_nothing(subject).await;
    if subject.destination().capabilities().deletes {
        removing_again_leaves_the_same_state(subject).await;
        a_removed_record_can_be_written_again(subject).await;
    }
}

async fn check_changes_nothing(subject: &dyn DestinationSubject) {
    let before = subject.names();
    let check = subject.destination().check().await.expect("the system answers");
    assert!(!check.answer.is_empty());
    assert!(check.cost.request_count > 0);
    assert_eq!(subject.names(), before);
}

fn write(id: &str, name: &str) -> Write {
    let record = serde_json::json!({"id": id, "name": name}).to_string();
    Write { key: format!("key of {id}"), id: id.to_owned(), record }
}

fn removal(id: &str) -> Write {
    Write { key: format!("key of {id}"), id: id.to_owned(), record: String::new() }
}

/// Applies in batches as large as the destination takes.
async fn apply(subject: &dyn DestinationSubject, kind: BatchKind, writes: &[Write]) {
    let destination = subject.destination();
    let capabilities = destination.capabilities();
    let size = match kind {
        BatchKind::Write => capabilities.batch_records,
        BatchKind::Remove => capabilities.removal_batch_records,
    };
    for writes in writes.chunks(size) {
        let batch = Batch { kind, writes: writes.to_vec() };
        let slot = destination.slot().await;
        let outcome = destination.apply(slot, &batch).await.expect("the batch is fine");
        assert_eq!(outcome.rejections, []);
        assert!(outcome.cost.request_count > 0, "what it cost is told");
    }
}

async fn writing_again_leaves_the_same_state(subject: &dyn DestinationSubject) {
    let writes: Vec<Write> = IDS.iter().map(|id| write(id, &format!("name of {id}"))).collect();
    let expected: BTreeMap<String, String> =
        IDS.iter().map(|id| ((*id).to_owned(), format!("name of {id}"))).collect();
    apply(subject, BatchKind::Write, &writes).await;
    assert_eq!(subject.names(), expected);
    apply(subject, BatchKind::Write, &writes).await;
    assert_eq!(subject.names(), expected);
}

async fn an_empty_batch_changes_nothing(subject: &dyn DestinationSubject) {
    let before = subject.names();
    let batch = Batch { kind: BatchKind::Write, writes: Vec::new() };
    let destination = subject.destination();
    let slot = destination.slot().await;
    let outcome = destination.apply(slot, &batch).await.expect("nothing can go wrong");
    assert_eq!(outcome.rejections, []);
    assert_eq!(subject.names(), before);
}

async fn removing_again_leaves_the_same_state(subject: &dyn DestinationSubject) {
    let (removed, kept) = IDS.split_at(6);
    let removals: Vec<Write> = removed.iter().map(|id| removal(id)).collect();
    for _ in 0..2 {
        apply(subject, BatchKind::Remove, &removals).await;
        let names = subject.names();
        assert_eq!(names.keys().map(String::as_str).collect::<Vec<_>>(), {
            let mut kept = kept.to_vec();
            kept.sort_unstable();
            kept
        });
    }
    apply(subject, BatchKind::Remove, &[removal("was never there")]).await;
}

async fn a_removed_record_can_be_written_again(subject: &dyn DestinationSubject) {
    apply(subject, BatchKind::Write, &[write("n:1", "back")]).await;
    assert_eq!(subject.names().get("n:1").map(String::as_str), Some("back"));
}
