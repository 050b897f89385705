//! The freshness gate at the command line. Temporal is not there, and nobody needs it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;
use tidemark_engine::definitions::{self, StoredDefinition};

use crate::call::{Answer, Place};
use crate::ran::Ran;

/// Compares an answer without its times.
fn assert_fresh(name: &str, code: i32, answer: &Answer) {
    assert_eq!(answer.code, code, "{name}: {answer}");
    insta::with_settings!({ filters => vec![
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[INSTANT]"),
        (r", (\d+[hms] ?)+ ago", ", [AGE] ago"),
    ], omit_expression => true }, {
        insta::assert_snapshot!(name, answer.to_string());
    });
}

#[test]
fn what_is_fresh_and_what_is_not() {
    let ran = Ran::new();
    for (subject, name) in [("acme", "account"), ("acme/news", "connection")] {
        let fresh = ran.call(&["fresh", subject, "--max-age", "1h"]);
        assert_fresh(&format!("fresh_{name}"), 0, &fresh);
        let old = ran.call(&["fresh", subject, "--max-age", "0s"]);
        assert_fresh(&format!("fresh_not_{name}"), 3, &old);
    }
    let name = ran.call(&["fresh", "acme", "--max-age", "1h", "-o", "name"]);
    assert_eq!((name.code, name.stdout.as_str()), (0, "acme\n"));
}

#[test]
fn what_never_ran_is_not_fresh() {
    let ran = Ran::defined("", "");
    let answer = ran.call(&["fresh", "acme", "--max-age", "365d"]);
    assert_fresh("fresh_never", 3, &answer);
}

#[test]
fn the_document_is_that_of_the_gateway() {
    let ran = Ran::new();
    let answer = ran.call(&["fresh", "acme", "--max-age", "1h", "-o", "json"]);
    let document: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&document["account"], &document["fresh"]), (&"acme".into(), &true.into()));
    assert_eq!(document["state"], "fresh");
    assert!(document["age_seconds"].is_u64() && document["complete_as_of"].is_string());
    assert_eq!(document["connections"][0]["connection"], "acme/news");
    serde_json::from_value::<tidemark_gateway::AccountAnswer>(document).unwrap();
    let lines = ran.call(&["fresh", "acme/news", "--max-age", "0s", "-o", "jsonl"]);
    assert_eq!((lines.code, lines.stdout.lines().count()), (3, 1), "{lines}");
    let document: Value = serde_json::from_str(&lines.stdout).unwrap();
    serde_json::from_value::<tidemark_gateway::ConnectionAnswer>(document).unwrap();
}

#[test]
fn exceptions_end_with_4_unless_they_are_accepted() {
    let ran = Ran::defined("", "delete = { tombstone = \"deleted\" }");
    ran.refuse(0);
    ran.run();
    let strict = ran.call(&["fresh", "acme", "--max-age", "1h"]);
    assert_fresh("fresh_except", 4, &strict);
    let accepted = ran.call(&["fresh", "acme", "--max-age", "1h", "--accept-exceptions"]);
    assert_fresh("fresh_except_accepted", 0, &accepted);
    let old = ran.call(&["fresh", "acme", "--max-age", "0s", "--accept-exceptions"]);
    assert_eq!(old.code, 3, "{old}");
}

#[test]
fn several_connections_are_a_table() {
    let ran = Ran::new();
    let newest = ran.block_on(definitions::newest(&ran.folder())).unwrap().unwrap();
    let other = ran.store().connection(&"acme/shop".parse().unwrap());
    let stored = StoredDefinition { version: 1, ..newest };
    ran.block_on(definitions::put(&other, stored)).unwrap();
    let answer = ran.call(&["fresh", "acme", "--max-age", "1h"]);
    assert_fresh("fresh_table", 3, &answer);
}

#[test]
fn what_does_not_exist_ends_with_5() {
    let ran = Ran::new();
    for (subject, name) in [
        ("acne", "unknown_account"),
        ("globex-corporation", "unknown_account_like_none"),
        ("acme/new", "unknown_connection"),
    ] {
        let answer = ran.call(&["fresh", subject, "--max-age", "1h"]);
        assert_fresh(&format!("fresh_{name}"), 5, &answer);
    }
    ran.remove();
    assert_fresh("fresh_removed", 5, &ran.call(&["fresh", "acme/news", "--max-age", "1h"]));
    // Its only connection is gone: there is nothing that could be fresh.
    assert_fresh("fresh_no_connection", 5, &ran.call(&["fresh", "acme", "--max-age", "1h"]));
}

#[test]
fn a_damaged_store_is_an_error() {
    let ran = Ran::new();
    let folder = ran.place().path().join("store/connections/acme/news/log/000000000");
    std::fs::write(folder.join("000000000001.committed"), "cut").unwrap();
    let answer = ran.call(&["fresh", "acme", "--max-age", "1h"]);
    assert_fresh("fresh_damaged", 1, &answer);
}

#[test]
fn waiting_ends_with_the_commit() {
    let ran = Ran::defined("", "delete = { tombstone = \"deleted\" }");
    let args = ["fresh", "acme", "--max-age", "1h", "--wait", "1h"];
    let mut command = ran.place().command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut waiting = command.spawn().unwrap();
    // It says that it waits once it has looked.
    let mut note = String::new();
    BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut note).unwrap();
    assert_eq!(
        note,
        "acme is not fresh: acme/news: never in step: no run of it has committed yet; waiting up \
         to 1h\n"
    );
    ran.run();
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8(ended.stdout).unwrap().starts_with("acme is fresh: acme/news: "));
}

#[test]
fn waiting_ends_with_its_time() {
    let ran = Ran::defined("", "");
    let answer = ran.call(&["fresh", "acme", "--max-age", "1h", "--wait", "100ms"]);
    assert_eq!(answer.code, 3, "{answer}");
}

#[test]
fn a_store_that_is_not_there() {
    let unnamed = Place::new().call(["fresh", "acme", "--max-age", "1h"]);
    assert_eq!(unnamed.code, 2, "{unnamed}");
    let place = Place::new().with("TIDEMARK_STORE", "file:///proc/version/state");
    let nowhere = place.call(["fresh", "acme", "--max-age", "1h"]);
    assert_eq!(nowhere.code, 6, "{nowhere}");
}
