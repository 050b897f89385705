//! Files of definitions, good and bad.

use crate::assert_answer;
use crate::call::Place;

/// A file with one connection.
pub(crate) const GOOD: &str = r#"
[[connection]]
id = "acme/news"
every = "1h"

[connection.source]
kind = "mailchimp"
api_key = "env:ACME_KEY"
list_id = "a1b2c3"

[connection.destination]
kind = "record-api"
url = "https://data.example/record"
api_key = "env:RECORD_KEY"
delete = { method = "DELETE", path = "/record/{id}" }

[connection.record]
id = "contact_id"
email = "email_address"

[connection.policy]
deletions = "propagate"
"#;

#[test]
fn all_problems_of_all_files_at_once_and_nothing_is_created() {
    let place = Place::new().with_store().claimed();
    let bad = GOOD
        .replace("every = \"1h\"", "evry = \"1h\"\nevery = \"30s\"\nmax_lag = \"31s\"")
        .replace("env:ACME_KEY", "0123456789abcdef-us6")
        .replace("deletions = \"propagate\"", "invalid_records = \"drop\"");
    place.file("files/a.toml", &bad);
    place.file("files/b.toml", &GOOD.replace("acme/news", "acme/News"));
    place.file("files/c.toml", "[[connection]\n");
    place.file("files/notes.txt", "not a definition");
    for verb in [["check", "files", "--offline"].as_slice(), &["apply", "files"]] {
        let answer = place.call(verb);
        assert_eq!(answer.code, 2, "{answer}");
        assert_eq!(answer.stdout, "");
        assert!(!answer.stderr.contains("0123456789abcdef"), "{answer}");
        assert_answer!("problems_of_all_files", answer);
    }
    assert!(!place.path().join("store/connections").exists(), "nothing was created");
}

#[test]
fn one_id_in_two_files() {
    let place = Place::new();
    place.file("a.toml", GOOD);
    place.file("b.toml", GOOD);
    assert_answer!("problems_same_id", place.call(["check", "--offline", "a.toml", "b.toml"]));
}

#[test]
fn a_good_file_from_a_folder_a_path_and_stdin() {
    let place = Place::new();
    place.file("folder/a.toml", GOOD);
    let by_path = place.call(["check", "--offline", "folder/a.toml"]);
    assert_eq!(by_path.code, 0, "{by_path}");
    assert_answer!("check_offline", by_path);
    let by_folder = place.call(["check", "--offline", "folder"]);
    let by_stdin = place.call_with(["check", "--offline", "-"], GOOD);
    assert_eq!(by_folder.to_string(), by_path.to_string());
    assert_eq!(by_stdin.to_string(), by_path.to_string());
}

#[test]
fn problems_on_stdin_are_those_of_stdin() {
    let answer = Place::new().call_with(["check", "--offline", "-"], "conection = []\n");
    assert_answer!("problems_of_stdin", answer);
}

#[test]
fn files_that_are_not_there() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let missing = place.call(["check", "missing.toml"]);
    assert_eq!(missing.code, 5, "{missing}");
    assert_answer!("file_missing", missing);
    let both = place.call(["check", "missing.toml", "empty"]);
    assert_answer!("files_missing", both);
    let empty = place.call(["check", "empty"]);
    assert_eq!(empty.code, 5, "{empty}");
    assert_answer!("folder_empty", empty);
}

#[test]
fn a_file_that_cannot_be_read_hides_no_problem_of_the_others() {
    let place = Place::new();
    place.file("files/a.toml", &GOOD.replace("every = \"1h\"", "every = \"1s\""));
    std::fs::write(place.path().join("files/b.toml"), b"# caf\xe9\n").unwrap();
    let answer = place.call(["check", "--offline", "files", "missing.toml"]);
    assert_eq!(answer.code, 2, "{answer}");
    for problem in [
        "error: 3 problems in the definitions; nothing was changed",
        "files/a.toml:4:9: acme/news: `every` is shorter than a minute",
        "files/b.toml:1:6: not TOML: not UTF-8",
        "missing.toml:1:1: cannot be read: ",
    ] {
        assert!(answer.stderr.contains(problem), "{answer}");
    }
    let alone = place.call(["check", "--offline", "files/b.toml"]);
    assert_eq!(alone.code, 2, "{alone}");
}

#[test]
fn a_secret_that_is_not_set_is_an_error_of_check() {
    let place = Place::new();
    place.file("a.toml", &GOOD.replace("https://data.example", "http://127.0.0.1:9"));
    let answer = place.call(["check", "a.toml"]);
    assert_eq!(answer.code, 1, "{answer}");
    assert_answer!("check_unset_variables", answer);
}
