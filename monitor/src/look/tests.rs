use jiff::SignedDuration;
use tidemark_model::{
    definition::{SourceText, parse},
    failure::{FailureClass, FailureKind},
};
use tidemark_schedules::{RunStatus, ScheduleAttributes, StartedRun};

use super::*;
use crate::{
    refusing::Refusing,
    rules::{Cause, Due, Settings},
};

const DEFINITION: &str = r#"
[[connection]]
id = "acme/news"
every = "1h"
[connection.source]
kind = "mailchimp"
api_key = "env:KEY"
list_id = "a1b2c3"
[connection.destination]
kind = "record-api"
url = "http://one.test/record"
api_key = "env:KEY"
[connection.record]
id = "contact_id"
[connection.policy]
deletions = "keep"
"#;

fn at(minutes: i64) -> Timestamp {
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    midnight + SignedDuration::from_mins(minutes)
}

fn id() -> ConnectionId {
    "acme/news".parse().unwrap()
}

/// A store in which the connection was applied at midnight.
async fn defined_store() -> (Store, Folder) {
    let store = Store::in_memory();
    let folder = define(&store).await;
    (store, folder)
}

/// Applies the connection at midnight.
async fn define(store: &Store) -> Folder {
    let folder = store.connection(&id());
    apply(&folder, 1, at(0), "1h").await;
    folder
}

async fn apply(folder: &Folder, version: u32, applied_at: Timestamp, every: &str) {
    let text = DEFINITION.replace("\"1h\"", &format!("\"{every}\""));
    let text = SourceText { name: "test.toml".to_owned(), text };
    let definition = Some(parse(&[text], &[]).unwrap().remove(0));
    let stored = StoredDefinition { version, applied_at, definition, same_destination: false };
    definitions::put(folder, stored).await.unwrap();
}

#[tokio::test]
async fn an_edit_that_allows_less_is_no_lag_of_what_was_read_before_it() {
    let (store, folder) = defined_store().await;
    apply(&folder, 2, at(30), "24h").await;
    apply(&folder, 3, at(20 * 60), "6h").await;
    let now = at(21 * 60);
    let facts = glance(&store, &id(), None, now).await.unwrap().facts.unwrap();
    let terms = &facts.terms;
    assert_eq!((terms.created_at, terms.applied_at), (at(0), at(20 * 60)));
    let lags =
        terms.edits.iter().map(|edit| (edit.at, edit.before.as_hours(), edit.after.as_hours()));
    assert_eq!(lags.collect::<Vec<_>>(), [(at(30), 3, 72), (at(20 * 60), 72, 18)]);
    let due = Due::of(&facts, &[], &Settings::default());
    assert_eq!((due.late(now), due.at), (false, at((20 + 18) * 60)));
}

/// Late, because an object cannot be read.
fn assert_late_of(facts: &Facts, object: &str, now: Timestamp) {
    assert!(Due::of(facts, &[], &Settings::default()).late(now), "nobody knows how far it is");
    let Cause::Failing { kind, message, .. } = Cause::of_lag(facts, now, &Settings::default())
    else {
        panic!("{facts:?}");
    };
    assert_eq!(kind, FailureKind::Corrupt);
    assert!(message.contains(object), "{message}");
}

#[tokio::test]
async fn a_definition_that_cannot_be_read_is_trouble_of_its_connection() {
    let (store, folder) = defined_store().await;
    let now = at(1);
    let facts = glance(&store, &id(), None, now).await.unwrap().facts.unwrap();
    assert!(!Due::of(&facts, &[], &Settings::default()).late(now));
    folder.create("definitions/0000000002.json", "{".into()).await.unwrap();
    let facts = glance(&store, &id(), None, now).await.unwrap().facts.unwrap();
    assert_late_of(&facts, "definitions/0000000002.json", now);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_leaves_no_time() {
    let (store, folder) = defined_store().await;
    folder.create("log/000000000/000000000001.prepared", "{".into()).await.unwrap();
    // In the first minutes of its first sync, which has three hours.
    let now = at(5);
    let facts = glance(&store, &id(), None, now).await.unwrap().facts.unwrap();
    assert_late_of(&facts, "log/000000000/000000000001.prepared", now);
}

#[tokio::test]
async fn what_the_store_refuses_of_a_connection_is_its_trouble_and_says_so() {
    let objects = Refusing::default();
    let store = objects.store();
    let folder = define(&store).await;
    folder.create("log/000000000/000000000001.prepared", "{}".into()).await.unwrap();
    for (begin, path) in [
        ("connections/acme/news/log", "log/"),
        ("connections/acme/news/definitions", "definitions/"),
    ] {
        objects.refuse(begin);
        let now = at(1);
        let taken = take_glance(&store, &id(), None, now).await.unwrap();
        assert!(matches!(taken.refusal, Some(StoreError::Access { .. })), "{:?}", taken.refusal);
        let facts = taken.look.facts.unwrap();
        let ended = facts.ended.as_ref().unwrap();
        assert!(ended.message.contains(&format!("read {path}")), "{}", ended.message);
        assert!(ended.message.contains("access is refused"), "{}", ended.message);
        assert_eq!(ended.class, FailureClass::Platform);
    }
    let facts = glance(&store, &id(), None, at(1)).await.unwrap().facts.unwrap();
    assert!(Due::of(&facts, &[], &Settings::default()).late(at(1)), "nobody knows how far it is");
}

#[tokio::test]
async fn a_pause_that_says_no_instant_is_given_none() {
    let (store, _) = defined_store().await;
    let glanced = async |note: &str| {
        let listed = Listed {
            connection: id(),
            paused: true,
            note: note.to_owned(),
            attributes: ScheduleAttributes::default(),
            recent: Vec::new(),
            next_at: Vec::new(),
        };
        let facts = glance(&store, &id(), Some(&listed), at(9)).await.unwrap().facts.unwrap();
        match facts.schedule {
            ScheduleState::Present { paused, .. } => paused,
            ScheduleState::Missing => None,
        }
    };
    assert_eq!(glanced("Paused via the UI").await, Some(Paused { since: None }));
    assert_eq!(
        glanced("moving [since: 2026-11-21T00:05:00Z]").await,
        Some(Paused { since: Some(at(5)) })
    );
}

#[tokio::test]
async fn runs_that_left_no_record_or_a_damaged_one_count_as_failed() {
    let (_, folder) = defined_store().await;
    let run = |name: &str, minutes, status| StartedRun {
        run: RunRef { workflow_id: "sync/acme/news".to_owned(), run_id: name.to_owned() },
        scheduled_at: None,
        started_at: Some(at(minutes)),
        status,
    };
    let mut recent = vec![
        run("one", 0, RunStatus::Terminated),
        run("two", 60, RunStatus::TimedOut),
        run("three", 120, RunStatus::Completed),
        run("four", 180, RunStatus::TimedOut),
        run("five", 240, RunStatus::Running),
    ];
    let newest = async |recent: &[StartedRun], committed_at| {
        failed::newest(&folder, recent, committed_at, at(250)).await.unwrap()
    };
    let ended = newest(&recent, Some(at(30))).await.unwrap();
    assert_eq!(&*ended.message, "its runs time out before they end");
    assert_eq!((ended.at, ended.failing_since), (at(180), at(60)));
    assert_eq!(newest(&recent, Some(at(200))).await, None, "there is a commit since");

    recent.push(run("six", 243, RunStatus::Failed));
    let ended = newest(&recent, Some(at(30))).await.unwrap();
    assert_eq!(&*ended.message, "its runs fail, and could not say why");
    assert_eq!((ended.at, ended.failing_since), (at(243), at(60)));
    assert_eq!(ended.class, FailureClass::Platform);

    folder.create("runs/seven.json", "{".into()).await.unwrap();
    recent.push(run("seven", 245, RunStatus::Completed));
    let ended = newest(&recent, Some(at(30))).await.unwrap();
    assert_eq!((ended.kind, ended.at), (FailureKind::Corrupt, at(245)));
    assert!(ended.message.contains("runs/seven.json"), "{}", ended.message);
}
