//! `exceptions` over what runs left in the store. What is decided is written in the end-to-end
//! tests, since the program names the Temporal that it belongs to first.

use tidemark_model::exception::{ExceptionKey, ExceptionKind, Verdict};
use tidemark_simulator::Mutation;

use crate::assert_answer;
use crate::ran::{LIST, RECORD_KEY, Ran};

/// A limit that three removals cross.
const TIGHT: &str = "hold_deletions = { over = 2, and_over_fraction = 0 }";

/// A connection in step, except for a refused record, an invalid row and three held removals.
fn with_exceptions() -> Ran {
    let ran = Ran::with(TIGHT);
    ran.refuse(0);
    ran.change(0);
    ran.break_member(1);
    ran.archive(10..13);
    let receipt = ran.run();
    assert_eq!((receipt.rejected_count, receipt.held_count, receipt.exception_count), (1, 3, 5));
    ran
}

fn exceptions<'a>(ran: &Ran, args: &[&'a str]) -> crate::call::Answer {
    let args: Vec<&'a str> = ["exceptions", "acme/news"].iter().chain(args).copied().collect();
    ran.call(&args)
}

#[test]
fn a_list_names_each_kind_and_the_rule_of_the_hold() {
    let ran = with_exceptions();
    let table = exceptions(&ran, &["list"]);
    assert_eq!(table.code, 0, "{table}");
    assert_answer!("exceptions_list", table);

    let json = exceptions(&ran, &["list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let counts = &listed["counts"];
    assert_eq!(
        (&counts["rejected"], &counts["invalid"], &counts["held"]),
        (&1.into(), &1.into(), &3.into())
    );
    assert_eq!(listed["hold"]["rule"]["kind"], "over-limit", "{json}");
    assert_eq!(listed["exceptions"].as_array().unwrap().len(), 5);
}

#[test]
fn a_list_is_narrowed_by_kind_reason_and_key() {
    let ran = with_exceptions();
    let names = |args: &[&str]| {
        let mut all = vec!["list", "-o", "name"];
        all.extend(args);
        let answer = exceptions(&ran, &all);
        assert_eq!(answer.code, 0, "{answer}");
        answer.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let keys = &ran.keys;
    assert_eq!(names(&["--kind", "rejected"]), keys[..1]);
    assert_eq!(names(&["--kind", "invalid"]), keys[1..2]);
    assert_eq!(names(&["--kind", "held"]).len(), 3);
    assert_eq!(names(&["--reason-like", "E-MAIL ADDRESS"]), keys[..1]);
    assert_eq!(names(&["--reason-like", "no such words"]), [""; 0]);
    let (key, id) = (keys[11].clone(), ran.record_id(0));
    assert_eq!(names(&[&key, &id]), [keys[0].clone(), key]);
    assert_eq!(names(&["--kind", "invalid", &id]), [""; 0]);
}

#[test]
fn a_list_says_how_many_more_there_are() {
    let ran = with_exceptions();
    for format in ["table", "jsonl", "name"] {
        let answer = exceptions(&ran, &["list", "--limit", "2", "-o", format]);
        assert!(answer.stderr.contains("3 more; --limit"), "{answer}");
    }
    let lines = exceptions(&ran, &["list", "--limit", "4", "-o", "jsonl"]);
    assert_eq!(lines.stdout.lines().count(), 4, "{lines}");
    assert!(lines.stderr.contains("1 more"), "{lines}");
}

#[test]
fn without_exceptions_a_list_says_so() {
    let ran = Ran::defined("", "delete = { tombstone = \"deleted\" }");
    assert_answer!("exceptions_list_new", exceptions(&ran, &["list"]));
    ran.run();
    assert_answer!("exceptions_list_none", exceptions(&ran, &["list"]));
    let unknown = ran.call(&["exceptions", "acme/other", "list"]);
    assert_eq!(unknown.code, 5, "{unknown}");
}

#[test]
fn one_in_full() {
    let ran = with_exceptions();
    assert_answer!("exceptions_show_rejected", exceptions(&ran, &["show", &ran.keys[0]]));
    assert_answer!("exceptions_show_invalid", exceptions(&ran, &["show", &ran.keys[1]]));
    assert_answer!("exceptions_show_held", exceptions(&ran, &["show", &ran.record_id(10)]));
    let none = exceptions(&ran, &["show", &ran.keys[5]]);
    assert_eq!(none.code, 5, "{none}");
    assert_answer!("exceptions_show_none", none);
}

#[test]
fn what_is_decided_waits_for_the_next_run_and_shows() {
    let ran = with_exceptions();
    let name = ExceptionKey {
        kind: ExceptionKind::Rejected,
        key: ran.keys[0].clone(),
        id: ran.record_id(0),
    };
    ran.decide(Verdict::Ignore { keys: vec![name], why: "the address is theirs".to_owned() });
    ran.decide(Verdict::Approve(ran.held()));
    assert_answer!("exceptions_list_decided", exceptions(&ran, &["list", "--kind", "rejected"]));
    let shown = exceptions(&ran, &["show", &ran.keys[0]]);
    assert!(shown.stdout.contains("decision 1 by eve"), "{shown}");
    assert!(!shown.stdout.contains("decision 2 by eve"), "it is about others: {shown}");

    ran.run();
    assert_answer!("exceptions_list_carried_out", exceptions(&ran, &["list"]));
}

#[test]
fn a_decision_about_a_hold_that_moved_on_is_shown_as_not_carried_out() {
    let ran = with_exceptions();
    let seen = ran.held();
    ran.archive(20..23);
    ran.run();
    ran.decide(Verdict::Approve(seen));
    ran.run();
    let answer = exceptions(&ran, &["list", "--kind", "held"]);
    assert!(answer.stdout.contains("was not carried out"), "{answer}");
    assert!(answer.stdout.contains("decision 1 by eve"), "{answer}");
    assert_eq!(ran.records(), 40, "nothing was removed");
}

#[test]
fn a_decision_about_what_was_resolved_is_shown_as_not_carried_out() {
    let ran = with_exceptions();
    let (key, id) = (ran.keys[0].clone(), ran.record_id(0));
    let keys = vec![ExceptionKey { kind: ExceptionKind::Rejected, key, id }];
    ran.world().clear_rejects(RECORD_KEY).unwrap();
    ran.decide(Verdict::Retry { keys: keys.clone() });
    assert_eq!(ran.run().rejected_count, 0);
    // Somebody else looked before that run ended.
    ran.decide(Verdict::Ignore { keys, why: "the address is theirs".to_owned() });
    ran.run();
    let answer = exceptions(&ran, &["list"]);
    assert!(answer.stdout.contains("was not carried out"), "{answer}");
    assert!(answer.stdout.contains("decision 2 by eve"), "{answer}");
    assert!(!answer.stdout.contains("decision 1 by eve"), "{answer}");
}

#[test]
fn an_exception_whose_row_changed_before_the_run_is_shown_as_not_accepted() {
    let ran = with_exceptions();
    let (key, id) = (ran.keys[0].clone(), ran.record_id(0));
    let keys = vec![ExceptionKey { kind: ExceptionKind::Rejected, key, id }];
    ran.decide(Verdict::Ignore { keys, why: "the address is theirs".to_owned() });
    let changed = Mutation::set(&ran.keys[0], "FNAME", "Changed again");
    ran.world().mutate(LIST, &changed).unwrap();
    let receipt = ran.run();
    assert_eq!((receipt.rejected_count, receipt.waived_count), (1, 0));
    let answer = exceptions(&ran, &["list", "--kind", "rejected"]);
    assert!(answer.stdout.contains("was not carried out"), "{answer}");
    assert!(answer.stdout.contains("decision 1 by eve"), "{answer}");
}

#[test]
fn removals_that_are_done_without_are_shown_and_not_decided_about_again() {
    let ran = with_exceptions();
    ran.decide(Verdict::Waive { removals: ran.held(), why: "kept for the audit".to_owned() });
    ran.run();
    let listed = exceptions(&ran, &["list", "--kind", "held"]);
    assert_eq!(listed.code, 0, "{listed}");
    assert_eq!(listed.stdout.matches("eve at ").count(), 3, "{listed}");
    assert_eq!(listed.stdout.matches(": kept for the audit").count(), 3, "{listed}");
    assert!(!listed.stderr.contains("approve"), "{listed}");
    let (key, id) = (ran.keys[10].as_str(), ran.record_id(10));
    for name in [key, &id] {
        let shown = exceptions(&ran, &["show", name]);
        assert_eq!(shown.code, 0, "{shown}");
        assert!(shown.stdout.contains("kept for the audit"), "{shown}");
        assert!(shown.stdout.contains("by eve, "), "{shown}");
        assert!(shown.stdout.contains("until the row returns"), "{shown}");
    }
    let named: [&[&str]; 3] = [&["approve", key], &["retry", key], &["ignore", key, "--why", "x"]];
    for args in named {
        let answer = exceptions(&ran, args);
        assert_eq!(answer.code, 2, "{answer}");
        assert!(answer.stderr.contains("waived until the row returns"), "{answer}");
    }
    // Those that are named by what they are do not count: nothing waits for anybody.
    let selected: [&[&str]; 3] = [
        &["approve", "--all"],
        &["ignore", "--kind", "held", "--why", "x"],
        &["approve", "--reason-like", "done without"],
    ];
    for args in selected {
        assert_eq!(exceptions(&ran, args).code, 5, "{args:?}");
    }
    assert_eq!(ran.decision_count(), 1);
}

#[test]
fn what_cannot_be_decided_is_refused_and_nothing_is_written() {
    let ran = with_exceptions();
    let (rejected, held, fine) = (&*ran.keys[0], &*ran.keys[10], &*ran.keys[5]);
    let calls: [(&str, i32, &[&str]); 11] = [
        ("approve_rejected", 2, &["approve", rejected]),
        ("approve_kind", 2, &["approve", "--kind", "rejected"]),
        ("approve_nothing_said", 2, &["approve"]),
        ("approve_unknown", 5, &["approve", held, "nobody"]),
        ("retry_held", 2, &["retry", held]),
        ("retry_kind", 2, &["retry", "--kind", "held"]),
        ("retry_resolved", 5, &["retry", fine]),
        ("retry_no_match", 5, &["retry", "--reason-like", "no such words"]),
        ("ignore_empty_why", 2, &["ignore", rejected, "--why", " "]),
        ("ignore_two_lines", 2, &["ignore", rejected, "--why", "theirs\nto mend"]),
        ("ignore_resolved", 5, &["ignore", fine, "--why", "x"]),
    ];
    for (name, code, args) in calls {
        let answer = exceptions(&ran, args);
        assert_eq!(answer.code, code, "{name}: {answer}");
        assert_eq!(answer.stdout, "", "{name}");
        assert_answer!(format!("exceptions_{name}"), answer);
    }
    let nobody = crate::call::Answer::of(
        ran.place().command(["exceptions", "acme/news", "retry", "--all"]).env_remove("USER"),
    );
    assert_eq!(nobody.code, 2, "{nobody}");
    assert_answer!("exceptions_nobody_decides", nobody);
    assert_eq!(ran.decision_count(), 0);
}

#[test]
fn a_dry_run_says_what_would_be_decided() {
    let ran = with_exceptions();
    let calls: [(&str, &[&str]); 4] = [
        ("approve", &["approve", "--all", "--dry-run"]),
        ("approve_one", &["approve", &ran.keys[10], "--dry-run"]),
        ("retry", &["retry", "--all", "--dry-run"]),
        ("ignore", &["ignore", "--all", "--why", "it is known", "--dry-run"]),
    ];
    let answers: Vec<String> =
        calls.iter().map(|(name, args)| format!("{name}: {}", exceptions(&ran, args))).collect();
    assert_answer!("exceptions_dry_runs", answers.join("\n"));
    assert_eq!(ran.decision_count(), 0);
}

#[test]
fn what_would_be_written_needs_the_temporal_that_it_belongs_to() {
    let ran = with_exceptions();
    for args in [["approve", "--all", "--yes"].as_slice(), &["retry", "--all"]] {
        let answer = exceptions(&ran, args);
        assert_eq!(answer.code, 6, "{answer}");
    }
    assert_eq!(ran.decision_count(), 0);
}
