//! Every help text, as a whole.

use crate::assert_answer;
use crate::call::Place;

#[test]
fn of_the_program() {
    assert_answer!("help", Place::new().call(["--help"]));
    assert_answer!("help_short", Place::new().call(["-h"]));
}

/// The verbs that the program's own help lists, in its groups.
fn verbs() -> Vec<String> {
    let help = Place::new().call(["-h"]).stdout;
    let groups = help.lines().take_while(|line| *line != "Options:");
    groups
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn of_every_verb() {
    let verbs = verbs();
    assert_eq!(verbs.first().map(String::as_str), Some("new"));
    assert_eq!(verbs.last().map(String::as_str), Some("completions"));
    for verb in verbs {
        assert_answer!(format!("help_{verb}"), Place::new().call([verb.as_str(), "--help"]));
    }
    assert_answer!("help_new_mailchimp", Place::new().call(["new", "mailchimp", "--help"]));
    let answer = Place::new().call(["monitor", "test-alert", "--help"]);
    assert_answer!("help_monitor_test_alert", answer);
    for verb in ["list", "show", "approve", "retry", "ignore"] {
        let answer = Place::new().call(["exceptions", "acme/news", verb, "--help"]);
        assert_answer!(format!("help_exceptions_{verb}"), answer);
    }
}

#[test]
fn no_value_of_the_environment_is_shown() {
    let place = Place::new().with("TIDEMARK_STORE", "s3://private-bucket/state");
    for verb in ["list", "worker"] {
        let answer = place.call([verb, "--help"]);
        assert!(!answer.stdout.contains("private-bucket"), "{answer}");
    }
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = Place::new().call(["completions", shell]);
        assert_eq!(answer.code, 0, "{answer}");
        for verb in ["apply", "inspect", "resume"] {
            assert!(answer.stdout.contains(verb), "{shell} does not know {verb}");
        }
    }
}
