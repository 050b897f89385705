//! Who is behind, by the commit log alone: Temporal is out of reach here.

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::definitions::{self, StoredDefinition};
use tidemark_engine::store::{Formatted, Store};
use tidemark_model::definition::{SourceText, parse};

use crate::call::Place;
use crate::definitions::GOOD;
use crate::ran::Ran;

/// Puts a connection into the store that was applied at an instant.
fn apply(place: &Place, id: &str, applied_at: &str) {
    let text = GOOD.replace("acme/news", id);
    let file = SourceText { name: "good.toml".to_owned(), text };
    let definition = parse(&[file], &[]).unwrap().remove(0);
    let store = Store::make(&place.store_url()).unwrap();
    let stored = StoredDefinition {
        version: 1,
        applied_at: applied_at.parse().unwrap(),
        definition: Some(definition),
        same_destination: false,
    };
    let folder = store.connection(&id.parse().unwrap());
    let put = definitions::put(&folder, stored);
    tokio::runtime::Runtime::new().unwrap().block_on(put).unwrap();
}

/// Puts the memory of a monitor into the store that passed so many minutes ago, after it had seen a
/// connection paused and running again.
fn remember(place: &Place, id: &str, minutes: i64) {
    let at = Timestamp::now() - SignedDuration::from_mins(minutes);
    let version = serde_json::json!({
        "by": "a monitor",
        "kept": { "memory": {
            "pauses": { id: { "first_at": at, "last_at": at, "resumed_at": at } },
            "signs": { "awake_at": at },
        } },
    });
    let folder = Store::make(&place.store_url()).unwrap().root();
    let version = Formatted::new(version);
    let path = format!("monitor/memory/{:012}.json", 1_000 - minutes);
    let establish = folder.establish(&path, &version);
    tokio::runtime::Runtime::new().unwrap().block_on(establish).unwrap();
}

#[test]
fn a_resume_that_the_monitor_saw_counts_unless_it_is_long_gone() {
    let place = Place::new().with_store().claimed();
    apply(&place, "acme/young", "2026-01-02T00:00:00Z");
    let answer = place.call(["lag"]);
    assert!(answer.stdout.contains("1 behind"), "{answer}");
    assert!(!answer.stderr.contains("monitor"), "{answer}");
    remember(&place, "acme/young", 20);
    let answer = place.call(["lag"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert!(answer.stdout.contains("1 behind"), "{answer}");
    assert!(answer.stderr.contains("warning: no monitor has passed since"), "{answer}");
    // The newest memory counts.
    remember(&place, "acme/young", 1);
    let answer = place.call(["lag"]);
    assert!(answer.stdout.contains("0 behind, 0 held, 0 paused, 1 new"), "{answer}");
    assert!(!answer.stderr.contains("monitor"), "{answer}");
    place.file("store/monitor/memory/000000001000.json", "{");
    let answer = place.call(["lag"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert!(answer.stdout.contains("1 behind"), "{answer}");
    assert!(answer.stderr.contains("memory/000000001000.json is damaged"), "{answer}");
}

#[test]
fn one_that_ran_is_in_step() {
    let answer = Ran::new().place().call(["lag"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert_eq!(
        answer.stdout,
        "1 connection: 1 in step, 0 behind, 0 held, 0 paused, 0 new. Temporal does not answer: \
         causes and pauses are not known.\n"
    );
    assert!(answer.stderr.contains("Temporal"), "{answer}");
}

#[test]
fn the_worst_comes_first_and_causes_are_counted() {
    let place = Place::new().with_store().claimed();
    apply(&place, "acme/young", "2026-01-02T00:00:00Z");
    apply(&place, "globex/old", "2026-01-01T00:00:00Z");
    let answer = place.call(["lag", "-o", "name"]);
    assert_eq!(answer.stdout, "globex/old\nacme/young\n", "{answer}");
    let counted = place.call(["lag", "--by", "account", "-o", "json"]);
    let counted: serde_json::Value = serde_json::from_str(&counted.stdout).unwrap();
    assert_eq!(counted["summary"]["behind_count"], 2);
    assert_eq!(counted["behind"][0]["connection_count"], 1);
    let table = place.call(["lag"]).stdout;
    assert!(table.contains("2 connections: 0 in step, 2 behind"), "{table}");
    assert!(table.contains("never"), "{table}");
}

#[test]
fn a_mute_that_cannot_be_read_is_named_and_the_others_count() {
    let place = Place::new().with_store().claimed();
    apply(&place, "acme/young", "2026-01-02T00:00:00Z");
    let muted = place.call(["mute", "acme", "--until", "1h", "--reason", "they know"]);
    assert_eq!(muted.code, 0, "{muted}");
    place.file("store/monitor/mutes/spoiled.json", "{");
    for verb in ["lag", "mute"] {
        let answer = place.call([verb]);
        assert_eq!(answer.code, 0, "{answer}");
        assert!(answer.stdout.contains("they know"), "{answer}");
        assert!(answer.stderr.contains("monitor/mutes/spoiled.json is damaged"), "{answer}");
        assert!(answer.stderr.contains("mutes nothing"), "{answer}");
    }
    let lifted = place.call(["mute", "acme", "--lift"]);
    assert_eq!(lifted.code, 0, "{lifted}");
    assert!(lifted.stderr.contains("lifted 1 mute"), "{lifted}");
    assert!(lifted.stderr.contains("monitor/mutes/spoiled.json"), "{lifted}");
}

#[test]
fn a_definition_that_cannot_be_read_is_behind_and_hides_no_other_one() {
    let place = Place::new().with_store().claimed();
    apply(&place, "acme/young", "2026-01-02T00:00:00Z");
    place.file("store/connections/acme/spoiled/definitions/0000000001.json", "{");
    let answer = place.call(["lag", "-o", "json"]);
    assert_eq!(answer.code, 0, "{answer}");
    let shown: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(shown["summary"]["behind_count"], 2, "{shown}");
    let behind = shown["behind"].as_array().unwrap();
    let spoiled = behind.iter().find(|one| one["id"] == "acme/spoiled").unwrap();
    let why = spoiled["error"].as_str().unwrap();
    assert!(why.contains("definitions/0000000001.json is damaged"), "{why}");
    assert!(behind.iter().any(|one| one["id"] == "acme/young"), "{shown}");
    // Of what kind it is nobody knows.
    let kind = place.call(["lag", "--source", "mailchimp"]);
    assert_eq!(kind.code, 1, "{kind}");
    assert!(kind.stderr.contains("definitions/0000000001.json is damaged"), "{kind}");
}
