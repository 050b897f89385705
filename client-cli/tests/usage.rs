//! Calls that are wrong.

use crate::assert_answer;
use crate::call::Place;
use crate::definitions::GOOD;

#[test]
fn wrong_calls_end_with_2_and_say_why() {
    let calls: [(&str, &[&str]); 26] = [
        ("no_verb", &[]),
        ("unknown_verb", &["aply"]),
        ("unknown_flag", &["list", "--healt", "new"]),
        ("bad_id", &["inspect", "Acme"]),
        ("bad_character", &["start", "acme/News"]),
        ("bad_health", &["list", "--health", "well"]),
        ("bad_duration", &["start", "--all", "--over", "soon"]),
        ("bad_format", &["list", "-o", "yaml"]),
        ("ids_and_all", &["pause", "acme/a", "--all", "--reason", "x"]),
        ("ids_and_account", &["cancel", "acme/a", "--account", "acme"]),
        ("no_reason", &["pause", "acme/a"]),
        ("bad_tag", &["pause", "acme/a", "--reason", "x", "--tag", "a, b"]),
        ("which_connections", &["start"]),
        ("which_to_remove", &["remove"]),
        ("exit_code_alone", &["apply", "a.toml", "--exit-code"]),
        ("exceptions_alone", &["exceptions", "acme/a"]),
        ("exceptions_bad_kind", &["exceptions", "acme/a", "list", "--kind", "odd"]),
        ("ignore_without_why", &["exceptions", "acme/a", "ignore", "k1"]),
        ("keys_and_all", &["exceptions", "acme/a", "approve", "k1", "--all"]),
        ("exactly_and_full", &["start", "acme/a", "--full", "--exactly", "a.json"]),
        ("fresh_without_age", &["fresh", "acme"]),
        ("fresh_bad_subject", &["fresh", "Acme", "--max-age", "1h"]),
        ("fresh_bad_age", &["fresh", "acme", "--max-age", "2"]),
        ("values_offline", &["check", "a.toml", "--offline", "--values"]),
        ("values_on_worker", &["check", "a.toml", "--on-worker", "--values"]),
        ("on_worker_offline", &["check", "a.toml", "--on-worker", "--offline"]),
    ];
    for (name, args) in calls {
        let answer = Place::new().call(args);
        assert_eq!(answer.code, 2, "{name}: {answer}");
        assert_eq!(answer.stdout, "", "{name}");
        assert_answer!(format!("usage_{name}"), answer);
    }
}

#[test]
fn a_literal_secret_is_not_repeated() {
    let secret = "0123456789abcdef0123456789abcdef-us6";
    for flag in ["--api-key", "--record-api-key"] {
        let mut args = vec!["new", "mailchimp", flag, secret];
        if flag != "--api-key" {
            args.extend(["--api-key", "env:KEY"]);
        }
        let answer = Place::new().call(args);
        assert_eq!(answer.code, 2);
        assert!(!answer.to_string().contains(secret), "{answer}");
        assert_answer!("usage_literal_secret", answer);
    }
}

#[test]
fn a_filter_of_log_lines_that_is_none_is_refused_by_every_role() {
    for role in ["worker", "monitor", "gateway"] {
        let answer = Place::new().with_store().with("TIDEMARK_LOG", "inof").call([role]);
        assert_eq!(answer.code, 2, "{role}: {answer}");
        let said = "error: TIDEMARK_LOG: `inof` is not a filter for log lines";
        assert!(answer.stderr.contains(said), "{role}: {answer}");
    }
}

#[test]
fn a_worker_whose_spill_folder_takes_no_file_does_not_start() {
    let args = ["worker", "--spill-folder", "/proc/version/spill"];
    let answer = Place::new().with_store().call(args);
    assert_eq!(answer.code, 2, "{answer}");
    assert!(answer.stderr.contains("spill_folder is /proc/version/spill"), "{answer}");
}

#[test]
fn a_worker_without_a_store_says_what_is_missing() {
    let answer = Place::new().call(["worker"]);
    assert_eq!(answer.code, 2, "{answer}");
    assert_answer!("usage_worker_without_store", answer);
}

#[test]
fn a_variable_that_is_empty_is_one_that_is_not_set() {
    let mut place = Place::new().with_store().claimed();
    place.file("good.toml", GOOD);
    for name in ["TIDEMARK_WEB_UI", "TIDEMARK_TASK_QUEUE", "TIDEMARK_HEARTBEAT_TIMEOUT"] {
        place = place.with(name, "");
    }
    // Nobody is at Temporal's address: so far they come.
    for args in [&["list"][..], &["apply", "good.toml", "--offline"]] {
        let answer = place.call(args);
        assert_eq!(answer.code, 6, "{args:?}: {answer}");
    }
    let no_store = place.with("TIDEMARK_STORE", "").call(["get", "acme/news"]);
    assert_eq!(no_store.code, 2, "{no_store}");
    assert!(no_store.stderr.contains("no store is named"), "{no_store}");
}

#[test]
fn what_is_said_is_not_empty() {
    let place = Place::new().with_store();
    for flag in ["--web-ui", "--task-queue", "--heartbeat-timeout"] {
        let answer = place.call(["apply", "good.toml", flag, ""]);
        assert_eq!(answer.code, 2, "{flag}: {answer}");
        assert!(answer.stderr.contains(flag), "{answer}");
    }
    let worker = place.call(["worker", "--task-queue", ""]);
    assert_eq!(worker.code, 2, "{worker}");
    assert!(worker.stderr.contains("--task-queue"), "{worker}");
}
