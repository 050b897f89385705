//! `explain`: each conclusion, from both ends and what runs left in the store.

use tidemark_model::exception::{HeldRemovals, Verdict};
use tidemark_simulator::Mutation;

use crate::assert_answer;
use crate::call::Answer;
use crate::ran::{LIST, Ran};

const TIGHT: &str = "hold_deletions = { over = 2, and_over_fraction = 0 }";

fn explain(ran: &Ran, name: &str) -> Answer {
    ran.call(&["explain", "acme/news", name])
}

/// Insists that the conclusion says something.
fn concludes(ran: &Ran, name: &str, words: &str) {
    let answer = explain(ran, name);
    assert_eq!(answer.code, 0, "{answer}");
    let conclusion = answer.stdout.split("conclusion").last().unwrap();
    assert!(conclusion.contains(words), "{words} is not in {answer}");
}

#[test]
fn a_row_in_step_by_each_of_its_names() {
    let ran = Ran::new();
    let by_key = explain(&ran, &ran.keys[3]);
    assert_eq!(by_key.code, 0, "{by_key}");
    assert_answer!("explain_in_step", by_key);
    let email = ran.email(3);
    assert!(!by_key.to_string().contains(&email), "contents are masked: {by_key}");
    for name in [ran.record_id(3), email.clone(), email.to_uppercase()] {
        assert_answer!("explain_in_step", explain(&ran, &name));
    }
    let shown = ran.call(&["explain", "acme/news", &ran.keys[3], "--values"]);
    assert!(shown.stdout.contains(&email), "{shown}");
}

#[test]
fn what_the_source_did_since_the_last_run() {
    let ran = Ran::new();
    ran.change(0);
    concludes(&ran, &ran.keys[0], "the source changed it at");
    ran.archive(1..2);
    concludes(&ran, &ran.keys[1], "it is gone at the source since the last run");
    ran.world().mutate(LIST, &Mutation::add("ada@example.com", "Ada", "Lovelace")).unwrap();
    concludes(&ran, "ada@example.com", "it is new at the source");
    // A tag moves the change time and nothing else.
    ran.world().mutate(LIST, &Mutation::Touch { member: ran.keys[2].clone() }).unwrap();
    concludes(&ran, &ran.keys[2], "in step");
    ran.run();
    concludes(&ran, "ada@example.com", "in step");
    concludes(&ran, &ran.keys[1], "in step: the source does not list it");
}

#[test]
fn a_record_that_stayed_when_its_row_went() {
    let ran = Ran::defined("", "");
    ran.run();
    ran.archive(0..1);
    concludes(&ran, &ran.keys[0], "its record stays, since policy.deletions is");
    ran.run();
    concludes(
        &ran,
        &ran.keys[0],
        "its record stays at the destination, since policy.deletions was",
    );
    concludes(&ran, &ran.record_id(0), "its record stays at the destination");
}

#[test]
fn an_address_that_the_source_does_not_know_any_more() {
    let ran = Ran::new();
    let (gone, changed) = (ran.email(3), ran.email(4));
    let member = ran.keys[3].clone();
    ran.world().mutate(LIST, &Mutation::DeleteForEver { member }).unwrap();
    concludes(&ran, &gone, "it is gone at the source since the last run");
    let answer = explain(&ran, &gone.to_uppercase());
    assert!(answer.stdout.contains(&ran.keys[3]), "{answer}");
    assert!(answer.stdout.contains("by its address in the snapshot of run 1"), "{answer}");
    assert!(answer.stdout.contains("the source does not know the address"), "{answer}");
    assert!(!answer.to_string().contains(&gone), "contents are masked: {answer}");

    let (member, email) = (ran.keys[4].clone(), "moved@example.com".to_owned());
    ran.world().mutate(LIST, &Mutation::ChangeEmail { member, email }).unwrap();
    concludes(&ran, &changed, "the source changed it at");

    // The snapshot holds neither any more.
    ran.run();
    concludes(&ran, &gone, "in step: the source does not list it");
    concludes(&ran, &changed, "in step: source and snapshot hold the same record");
    for (email, key) in [(&gone, &ran.keys[3]), (&changed, &ran.keys[4])] {
        let answer = explain(&ran, email);
        assert!(answer.stdout.contains(key), "{answer}");
        assert!(answer.stdout.contains("by its address in what run 1 sent"), "{answer}");
    }
}

#[test]
fn rows_that_are_no_records() {
    let ran = Ran::new();
    ran.unsubscribe(0);
    ran.break_member(1);
    ran.run();
    concludes(&ran, &ran.keys[0], "filtered: its status is unsubscribed");
    concludes(&ran, &ran.keys[1], "invalid: ");
    concludes(&ran, &ran.keys[1], &format!("tidemark exceptions acme/news retry {}", ran.keys[1]));
}

#[test]
fn a_refused_record() {
    let ran = Ran::new();
    ran.refuse(0);
    ran.change(0);
    ran.run();
    let answer = explain(&ran, &ran.keys[0]);
    assert_eq!(answer.code, 0, "{answer}");
    assert_answer!("explain_refused", answer);
    // What the source did since comes first.
    ran.world().mutate(LIST, &Mutation::set(&ran.keys[0], "FNAME", "Mended")).unwrap();
    concludes(&ran, &ran.keys[0], "the source changed it at");
}

#[test]
fn held_removals_and_those_that_are_not_wanted() {
    let ran = Ran::with(TIGHT);
    ran.archive(0..3);
    ran.run();
    let answer = explain(&ran, &ran.keys[0]);
    assert_answer!("explain_held", answer);

    let ids = Some(vec![ran.record_id(0)]);
    let removals = HeldRemovals { ids, ..ran.held() };
    ran.decide(Verdict::Waive { removals, why: "kept for the audit".to_owned() });
    let waits = explain(&ran, &ran.keys[0]);
    assert!(waits.stdout.contains("decision 1 by eve"), "{waits}");
    ran.run();
    concludes(&ran, &ran.keys[0], "its record stays at the destination: eve decided");
    concludes(&ran, &ran.keys[1], "its removal waits for approval");
}

#[test]
fn a_decision_that_was_not_carried_out_speaks_for_nothing() {
    let ran = Ran::with(TIGHT);
    ran.archive(0..3);
    ran.run();
    let seen = ran.held();
    let removals = HeldRemovals { ids: Some(vec![ran.record_id(0)]), ..seen.clone() };
    ran.decide(Verdict::Waive { removals, why: "kept for the audit".to_owned() });
    ran.run();
    // The hold is another one by then.
    ran.decide(Verdict::Waive { removals: seen, why: "too late".to_owned() });
    concludes(&ran, &ran.keys[0], "kept for the audit");
    ran.run();
    let listed = ran.call(&["exceptions", "acme/news", "list"]);
    assert!(listed.stdout.contains("was not carried out"), "{listed}");
    concludes(&ran, &ran.keys[0], "kept for the audit");
}

#[test]
fn a_run_that_died_leaves_a_doubt() {
    let ran = Ran::new();
    let first_name = ran.first_name(4);
    ran.change(4);
    ran.run_that_dies();
    concludes(&ran, &ran.keys[4], "the source changed it at");
    let sent = explain(&ran, &ran.keys[4]);
    assert!(sent.stdout.contains("written by run 2, which did not end"), "{sent}");
    // What was sent is undone: source and snapshot agree, and the destination does not.
    ran.world().mutate(LIST, &Mutation::set(&ran.keys[4], "FNAME", &first_name)).unwrap();
    concludes(&ran, &ran.keys[4], "run 2 did not end after it may have been sent");
}

#[test]
fn nobody_knows_it() {
    let ran = Ran::new();
    let unknown = explain(&ran, "nobody@example.com");
    assert_eq!(unknown.code, 5, "{unknown}");
    assert_answer!("explain_unknown", unknown);
    let connection = ran.call(&["explain", "acme/other", "nobody@example.com"]);
    assert_eq!(connection.code, 5, "{connection}");
    assert_eq!(ran.call(&["explain", "acme/news", ""]).code, 2);
}

#[test]
fn a_source_that_cannot_be_asked_is_told_and_the_rest_is_shown() {
    let ran = Ran::new();
    let answer = Answer::of(
        ran.place().command(["explain", "acme/news", &ran.keys[0]]).env("ACME_KEY", "wrong-us1"),
    );
    assert_eq!(answer.code, 1, "{answer}");
    assert_answer!("explain_wrong_key", answer);
    let answer = Answer::of(
        ran.place().command(["explain", "acme/news", &ran.keys[0]]).env_remove("ACME_KEY"),
    );
    assert_eq!(answer.code, 1, "{answer}");
    assert!(answer.stdout.contains("`ACME_KEY` is not set here"), "{answer}");
    let email = ran.email(0);
    let answer = Answer::of(
        ran.place().command(["explain", "acme/news", &email]).env("ACME_KEY", "wrong-us1"),
    );
    assert_eq!(answer.code, 1, "{answer}");
    assert!(answer.stdout.contains(&ran.keys[0]), "{answer}");
    assert!(answer.stdout.contains("the source could not be asked for the address"), "{answer}");
    ran.world().remove_list(LIST).unwrap();
    let gone = explain(&ran, "nobody");
    assert_eq!(gone.code, 1, "a list that is gone has no missing rows: {gone}");
}

#[test]
fn as_json() {
    let ran = Ran::new();
    let answer = ran.call(&["explain", "acme/news", &ran.keys[0], "-o", "json"]);
    let explained: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(explained["conclusion"]["kind"], "in-step", "{answer}");
    assert_eq!(explained["last_sent"]["run"], 1);
    assert_eq!(explained["source"]["status"], "subscribed");
}
