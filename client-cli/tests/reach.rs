//! Temporal or the store is out of reach.

use std::net::TcpListener;

use crate::assert_answer;
use crate::call::Place;

#[test]
fn every_verb_that_needs_temporal_says_that_it_is_not_there() {
    let calls: [&[&str]; 10] = [
        &["list"],
        &["start", "acme/a"],
        &["start", "--all"],
        &["watch", "acme/a"],
        &["cancel", "acme/a"],
        &["pause", "acme/a", "--reason", "x"],
        &["resume", "acme/a"],
        &["resume", "--paused-by", "move"],
        &["setup"],
        &["worker"],
    ];
    for args in calls {
        let place = Place::new().with_store().claimed();
        let answer = place.call(args);
        assert_eq!(answer.code, 6, "{args:?}: {answer}");
        assert_eq!(answer.stdout, "", "{args:?}");
    }
    assert_answer!("reach_no_temporal", Place::new().call(["list"]));
}

/// What the program and a role both have as a setting is one thing at both, wherever it is said.
/// Containers have all of them in their environment.
#[test]
fn roles_take_the_settings_that_the_program_has_too() {
    let shared = [
        ("TIDEMARK_STORE", "--store", "file:///nowhere"),
        ("TIDEMARK_TASK_QUEUE", "--task-queue", "other"),
        ("TIDEMARK_WEB_UI", "--web-ui", "http://127.0.0.1:8080"),
    ];
    // Refused for another reason, so that nobody waits for a role that watches for ever.
    let roles: [(&[&str], i32); 4] = [
        (&["monitor", "test-alert"], 0),
        (&["monitor", "--pass-every", "soon"], 2),
        (&["gateway", "--max-requests", "many"], 2),
        (&["worker", "--grace-period", "soon"], 2),
    ];
    for (args, code) in roles {
        let place =
            shared.iter().fold(Place::new(), |place, (name, _, value)| place.with(name, value));
        let answer = place.call(args);
        assert_eq!(answer.code, code, "{args:?}: {answer}");
        assert!(code == 0 || answer.stderr.contains(args[1]), "{args:?}: {answer}");
        for (_, flag, value) in shared {
            if flag == "--web-ui" && args[0] != "monitor" {
                continue;
            }
            let answer = Place::new().with_store().call([args, &[flag, value]].concat());
            assert_eq!(answer.code, code, "{args:?} {flag}: {answer}");
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_within_five_seconds() {
    // The system accepts connections to it, and nobody ever reads from them. The message names
    // the limit, which is what this test is about; how long it takes is the program's affair.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();

    let answer = Place::new().with("TEMPORAL_ADDRESS", &address).call(["list"]);

    assert_eq!(answer.code, 6, "{answer}");
    assert_answer!("reach_silent_temporal", answer);
}

#[test]
fn settings_of_temporal_that_cannot_be_used() {
    let place = Place::new().with("TEMPORAL_ADDRESS", "://");
    let answer = place.call(["list"]);
    assert_eq!(answer.code, 2, "{answer}");
    assert_answer!("reach_bad_settings", answer);
}

#[test]
fn stores_that_cannot_be_used() {
    let get = ["get", "acme/a"];
    assert_answer!("store_not_named", Place::new().call(get));
    let stores = [
        ("store_of_unknown_kind", "ftp://host/state", 2),
        ("store_with_a_password", "s3://user:hunter2@bucket/state", 2),
        ("store_not_an_address", "state", 2),
        ("store_behind_a_file", "file:///proc/version/state", 6),
    ];
    for (name, url, code) in stores {
        let answer = Place::new().with("TIDEMARK_STORE", url).call(get);
        assert_eq!(answer.code, code, "{name}: {answer}");
        assert!(!answer.to_string().contains("hunter2"), "{answer}");
        assert_answer!(name, answer);
    }
    let place = Place::new().with_store();
    assert_answer!("store_not_there", place.call(get));
    std::fs::create_dir(place.path().join("store")).unwrap();
    assert_answer!("store_not_set_up", place.call(get));
    let elsewhere = Place::new().with_store().claimed().with("TEMPORAL_NAMESPACE", "staging");
    assert_answer!("store_of_another_namespace", elsewhere.call(get));
}

#[test]
fn setup_prints_its_commands_without_a_server() {
    let place = Place::new().with("TEMPORAL_NAMESPACE", "staging");
    let answer = place.call(["setup", "--print"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert_answer!("setup_print", answer);
}
