//! `preview`, and the files that a run can be held to.

use crate::assert_answer;
use crate::ran::Ran;

const TIGHT: &str = "hold_deletions = { over = 2, and_over_fraction = 0 }";

#[test]
fn what_the_next_run_would_send_and_nothing_is_sent() {
    let ran = Ran::with(TIGHT);
    let email = ran.email(0);
    ran.change(0);
    ran.archive(10..13);
    let (number, mark) = (ran.newest().number, ran.world().ledger().mark);
    let preview = ran.call(&["preview", "acme/news"]);
    assert_eq!(preview.code, 0, "{preview}");
    assert!(!preview.to_string().contains(&email), "contents are masked: {preview}");
    assert_answer!("preview", preview.without_progress("acme/news"));
    let shown = ran.call(&["preview", "acme/news", "--values"]);
    assert!(shown.stdout.contains(&email), "{shown}");
    let few = ran.call(&["preview", "acme/news", "--limit", "0"]);
    assert!(!few.stdout.contains("samples"), "{few}");

    assert_eq!(ran.world().ledger_since(mark).destination.call_count, 0);
    assert_eq!(ran.newest().number, number);
    // The run does what was said.
    let receipt = ran.run();
    assert_eq!(receipt.number, number.next());
    assert_eq!((receipt.push.changed, receipt.held_count), (1, 3));
}

#[test]
fn of_a_first_sync_and_of_nothing() {
    let ran = Ran::defined("", "delete = { tombstone = \"deleted\" }");
    let first = ran.call(&["preview", "acme/news", "-o", "json"]);
    let previewed: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(previewed["push"]["added"], 40, "{first}");
    assert_eq!(previewed["base"], serde_json::Value::Null);
    assert_eq!(previewed["samples"].as_array().unwrap().len(), 10);
    ran.run();
    let nothing = ran.call(&["preview", "acme/news"]);
    assert_eq!(nothing.code, 0, "{nothing}");
    assert_answer!("preview_nothing", nothing.without_progress("acme/news"));
}

#[test]
fn a_preview_that_cannot_be_made() {
    let ran = Ran::new();
    let unknown = ran.call(&["preview", "acme/other"]);
    assert_eq!(unknown.code, 5, "{unknown}");
    let wrong = crate::call::Answer::of(
        ran.place().command(["preview", "acme/news"]).env("ACME_KEY", "wrong-us1"),
    );
    assert_eq!(wrong.code, 1, "{wrong}");
    assert_answer!("preview_wrong_key", wrong);
    // This shell asks, no worker: it is here that the key is to be set.
    let unset = crate::call::Answer::of(
        ran.place().command(["preview", "acme/news"]).env_remove("RECORD_KEY"),
    );
    assert_eq!(unset.code, 1, "{unset}");
    assert_answer!("preview_unset_key", unset);
    let nowhere = ran.call(&["preview", "acme/news", "--save", "no/such/folder/a.json"]);
    assert_eq!(nowhere.code, 1, "{nowhere}");
    assert!(nowhere.stderr.contains("cannot be written"), "{nowhere}");
    // Without Temporal nobody can say whether the run of an unfinished entry is over.
    ran.change(0);
    ran.run_that_dies();
    let at_work = ran.call(&["preview", "acme/news"]);
    assert_eq!(at_work.code, 1, "{at_work}");
    assert!(at_work.stderr.contains("is at work"), "{at_work}");
}

#[test]
fn a_file_that_is_no_current_preview_orders_nothing() {
    let ran = Ran::new();
    ran.change(0);
    assert_eq!(ran.call(&["preview", "acme/news", "--save", "a.json"]).code, 0);
    let saved = std::fs::read_to_string(ran.place().path().join("a.json")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(saved.contains(from), "{saved}");
        saved.replace(from, to)
    };
    let store_id = saved.lines().find(|line| line.contains("store_id")).unwrap().to_owned();
    let other_store = "  \"store_id\": \"00000000-0000-4000-8000-000000000000\",";
    let files = [
        ("cut", saved.chars().take(saved.len() / 2).collect()),
        ("another_document", "{\"format\": 1}".to_owned()),
        ("newer", changed("\"format\": 1", "\"format\": 7")),
        ("another_connection", changed("acme/news", "acme/other")),
        ("another_store", changed(&store_id, other_store)),
    ];
    let exactly = |name: &str| ran.call(&["start", "acme/news", "--exactly", name]);
    for (name, text) in files {
        ran.place().file(&format!("{name}.json"), &text);
        let answer = exactly(&format!("{name}.json"));
        assert_eq!(answer.code, 2, "{name}: {answer}");
        assert_answer!(format!("exactly_{name}"), answer);
    }
    assert_eq!(exactly("missing.json").code, 5);
    let two = ran.call(&["start", "acme/news", "acme/other", "--yes", "--exactly", "a.json"]);
    assert_eq!(two.code, 2, "{two}");
    assert_answer!("exactly_two", two);
    // As it stands it would be carried out, by a Temporal that is not there.
    assert_eq!(exactly("a.json").code, 6);

    ran.run();
    let moved = exactly("a.json");
    assert_eq!(moved.code, 2, "{moved}");
    assert_answer!("exactly_moved_on", moved);
    ran.run();
    assert_eq!(ran.call(&["preview", "acme/news", "--save", "a.json"]).code, 0);
    ran.define(2, "required = [\"email\"]", "delete = { tombstone = \"deleted\" }");
    let edited = exactly("a.json");
    assert_eq!(edited.code, 2, "{edited}");
    assert_answer!("exactly_edited", edited);
    assert_eq!(ran.decision_count(), 0);
}

#[test]
fn records_without_a_rule_for_deletions_cannot_be_removed() {
    let ran = Ran::defined("", "");
    ran.run();
    let answer = ran.call(&["remove", "acme/news", "--records", "delete", "--yes"]);
    assert_eq!(answer.code, 2, "{answer}");
    assert_answer!("remove_without_rule", answer);
    assert_eq!((ran.decision_count(), ran.records()), (0, 40));
}

#[test]
fn records_that_were_kept_earlier_are_counted_and_go_with_the_others() {
    let ran = Ran::defined("", "");
    ran.run();
    ran.archive(0..2);
    let receipt = ran.run();
    assert_eq!((receipt.records.kept, receipt.records.next), (2, 38));
    ran.define(2, "", "delete = { tombstone = \"deleted\" }");
    let answer = ran.call(&["remove", "acme/news", "--records", "delete", "--dry-run"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{answer}");
    assert!(answer.stdout.contains("40 records are removed"), "{answer}");
}
