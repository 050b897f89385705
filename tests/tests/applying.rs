//! Many connections at once: each gets what it is due, and its result is told.

use serde_json::Value;
use tidemark_tests::{LIST, MAILCHIMP_KEY, SELDOM, Stage};

use crate::{TOMBSTONE, assert_health, stage};

/// The id of a connection of the stage's account.
fn named(stage: &Stage, name: &str) -> String {
    stage.id().replace("newsletter", name)
}

/// A definition of a connection of that name, over the stage's list.
fn definition(stage: &Stage, name: &str) -> String {
    stage.definition(TOMBSTONE, "").replace(stage.id(), &named(stage, name))
}

/// Writes a file for each definition into a folder, which is returned.
fn folder(stage: &Stage, definitions: &[(&str, String)]) -> String {
    let folder = stage.folder().join("connections");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, definition) in definitions {
        std::fs::write(folder.join(format!("{name}.toml")), definition).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

/// What is said of each connection, in the order of their ids.
fn results(answer: &Value) -> Vec<(&str, &str)> {
    let mut results: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["connection"].as_str().unwrap(), one["result"].as_str().unwrap()))
        .collect();
    results.sort_unstable();
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_applied_twice_and_the_second_time_changes_nothing() {
    let stage = stage("folder", 5).await;
    let (a, b) = (named(&stage, "a"), named(&stage, "b"));
    let path = folder(&stage, &[("a", definition(&stage, "a")), ("b", definition(&stage, "b"))]);
    let apply = ["apply", &path, "-o", "json"];
    let pending = ["apply", &path, "-o", "json", "--dry-run", "--exit-code"];

    let none = stage.ask(["list", "--account", "folder"]).await.expect(0);
    assert!(none.stderr.contains("no connection matches account folder"), "{}", none.stderr);
    let would = stage.ask(pending).await.expect(8).json();
    assert_eq!(results(&would), [(&*a, "would be created"), (&*b, "would be created")]);
    stage.ask(["get", &a]).await.expect(5);

    let first = stage.ask(apply).await.expect(0).json();
    assert_eq!(results(&first), [(&*a, "created"), (&*b, "created")]);
    stage.ask(pending).await.expect(0);
    let second = stage.ask(apply).await.expect(0).json();
    assert_eq!(results(&second), [(&*a, "unchanged"), (&*b, "unchanged")]);
    for one in second.as_array().unwrap() {
        assert_eq!(one["version"], 1, "{second}");
    }

    // A change of one is no change of the other.
    let rarer = definition(&stage, "b").replace(SELDOM, "every = \"366d\"");
    folder(&stage, &[("b", rarer)]);
    let would = stage.ask(pending).await.expect(8).json();
    assert_eq!(results(&would), [(&*a, "unchanged"), (&*b, "would be changed")]);
    stage.ask(["apply", &path, "--dry-run"]).await.expect(0);
    let changed = stage.ask(apply).await.expect(0).json();
    assert_eq!(results(&changed), [(&*a, "unchanged"), (&*b, "changed")]);
    stage.ask(pending).await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_would_not_work_is_refused_and_the_others_are_made() {
    let stage = stage("refusal", 5).await;
    let (good, typo) = (named(&stage, "good"), named(&stage, "typo"));
    let wrong = definition(&stage, "typo").replace("merge_fields.FNAME", "merge_fields.FNAM");
    let path = folder(&stage, &[("good", definition(&stage, "good")), ("typo", wrong)]);

    let answer = stage.ask(["apply", &path, "-o", "json"]).await.expect(7);

    assert!(answer.stderr.contains("1 of 2 connections failed"), "{}", answer.stderr);
    let applied = answer.json();
    assert_eq!(results(&applied), [(&*good, "created"), (&*typo, "refused")]);
    let text = applied.to_string();
    assert!(text.contains("did you mean `merge_fields.FNAME`?"), "{text}");
    assert!(text.contains("--offline applies it"), "{text}");
    assert!(!answer.stderr.contains("--health failing"), "{}", answer.stderr);
    stage.ask(["get", &good]).await.expect(0);
    stage.ask(["inspect", &good]).await.expect(0);
    stage.ask(["get", &typo]).await.expect(5);
    stage.ask(["inspect", &typo]).await.expect(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_starts_each_is_told_and_one_that_fails_stops_no_other() {
    let stage = stage("starts", 5).await;
    let (good, gone) = (named(&stage, "good"), named(&stage, "gone"));
    let other = "0therl1st";
    stage.world().add_list(MAILCHIMP_KEY, other, "Others").unwrap();
    let definitions = [
        ("good", definition(&stage, "good")),
        ("gone", definition(&stage, "gone").replace(LIST, other)),
    ];
    stage.ask(["apply", "--offline", &folder(&stage, &definitions)]).await.expect(0);

    // One that does not exist. Nobody is there yet to run the other one.
    let unknown = named(&stage, "unknown");
    let start = ["start", &unknown, &good, "--yes", "-o", "json"];
    let answer = stage.ask(start).await.expect(7);
    assert!(answer.stderr.contains("1 of 2 connections failed"), "{}", answer.stderr);
    let started = answer.json();
    // A server that has much to do starts the run later: there is none to name until then.
    let is_there = started[1]["run"]["run_id"].is_string();
    let begun =
        if is_there { "started" } else { "triggered; Temporal has not started the run yet" };
    assert_eq!(results(&started), [(&*good, begun), (&*unknown, "failed")], "{started}");
    assert!(started[0]["error"].as_str().unwrap().contains("there is no connection"), "{started}");
    assert!(started[0]["hints"].to_string().contains("`tidemark list`"), "{started}");

    // One whose run fails.
    let _worker = stage.worker(&[]);
    stage.world().remove_list(other).unwrap();
    let start = ["start", &gone, &good, "--yes", "--wait", "-o", "json"];
    let answer = stage.ask(start).await.expect(7);
    assert!(answer.stderr.contains(&format!("the run of {gone} failed")), "{}", answer.stderr);
    assert_eq!(results(&answer.json()), [(&*gone, "failed"), (&*good, "in_step")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_store_takes_no_connection_away_from_the_store_of_its_runs() {
    let stage = stage("taken", 5).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    assert_health(&stage, "in-step").await;
    let other = format!("file://{}/other", stage.folder().display());
    stage.ask(["setup", "--store", &other]).await.expect(0);

    let free = named(&stage, "free");
    let both =
        [("free", definition(&stage, "free")), ("newsletter", definition(&stage, "newsletter"))];
    let path = folder(&stage, &both);
    let apply = ["apply", "--store", &other, &path, "--offline", "-o", "json"];
    let would = stage.ask(apply.into_iter().chain(["--dry-run"])).await.expect(7).json();
    assert_eq!(results(&would), [(&*free, "would be created"), (stage.id(), "refused")]);
    let applied = stage.ask(apply).await.expect(7).json();
    assert_eq!(results(&applied), [(&*free, "created"), (stage.id(), "refused")]);
    let text = applied.to_string();
    assert!(text.contains("whose log holds no commit, and commit 1 was made"), "{text}");

    // Nothing of it is stored there, and the schedule is that of the runs' own store.
    let file = format!("{path}/newsletter.toml");
    let alone = stage.ask(["apply", "--store", &other, &file]).await.expect(1);
    assert!(alone.stderr.contains("TIDEMARK_STORE"), "{}", alone.stderr);
    assert!(!alone.stderr.contains("--offline"), "{}", alone.stderr);
    stage.ask(["get", "--store", &other, stage.id()]).await.expect(5);
    let again = stage.ask(["apply", &file, "-o", "json"]).await.expect(0).json();
    assert_eq!(results(&again), [(stage.id(), "unchanged")]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
}
