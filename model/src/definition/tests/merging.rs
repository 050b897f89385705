//! `[defaults]` and connections.

use super::*;
use crate::definition::{DeleteRule, DestinationDefinition};

const DEFAULTS: &str = r#"
[defaults]
every = "1h"
[defaults.source]
kind = "mailchimp"
api_key = "env:ACME_MAILCHIMP_KEY"
settle = "10s"
[defaults.destination]
kind = "record-api"
url = "https://data.internal/record"
api_key = "env:RECORD_API_KEY"
delete = { method = "DELETE", path = "/record/{id}" }
[defaults.record]
id = "contact_id"
email = "email_address"
[defaults.policy]
deletions = "propagate"
"#;

fn with_defaults(connection: &str) -> Definition {
    one(&format!("{DEFAULTS}\n[[connection]]\nid = \"acme/newsletter\"\n{connection}"))
}

#[test]
fn three_lines_make_a_connection() {
    let merged = with_defaults("source.list_id = \"a1b2c3\"");
    let alone = short_with("list_id = \"a1b2c3\"", "list_id = \"a1b2c3\"\nsettle = \"10s\"")
        .replace("tombstone = \"deleted\"", "method = \"DELETE\", path = \"/record/{id}\"");
    assert_eq!(merged, one(&alone));
}

#[test]
fn the_connections_own_value_wins() {
    let definition = with_defaults(
        r#"
        source = { list_id = "a1b2c3", settle = "1s" }
        record = { email = "merge_fields.MAIL", name = "full_name" }
        every = "2h""#,
    );
    assert_eq!(definition.schedule().to_string(), "every 2h");
    let fields: Vec<_> =
        definition.record().fields().iter().map(|(_, path)| path.to_string()).collect();
    assert_eq!(fields, ["merge_fields.MAIL", "full_name"]);
    assert_eq!(definition.record().id_path().as_str(), "contact_id");
}

#[test]
fn alternatives_are_not_mixed() {
    let definition = with_defaults(
        r#"
        source.list_id = "a1b2c3"
        destination.delete = { tombstone = "gone" }
        cron = "0 7 * * *"
        timezone = "UTC""#,
    );
    assert_eq!(definition.schedule().to_string(), "cron 0 7 * * * (UTC)");
    let DestinationDefinition::RecordApi(api) = definition.destination();
    assert_eq!(api.delete(), Some(&DeleteRule::Tombstone { field: "gone".to_owned() }));
}

#[test]
fn defaults_hold_for_their_own_file_only() {
    let files = [
        file(
            "one.toml",
            &format!("{DEFAULTS}\n[[connection]]\nid = \"a/b\"\nsource.list_id = \"x\""),
        ),
        file("two.toml", "[[connection]]\nid = \"a/c\"\n"),
    ];
    let problems = parse(&files, &[]).unwrap_err();
    assert!(problems.iter().all(|problem| problem.file == "two.toml"), "{problems}");
}

#[test]
fn what_is_wrong_in_defaults_is_said_once() {
    let text = DEFAULTS.replace("\"10s\"", "\"soon\"")
        + r#"
        [[connection]]
        id = "acme/one"
        source.list_id = "a"
        [[connection]]
        id = "acme/two"
        source.list_id = "b"
        "#;
    insta::assert_snapshot!(problems(&text));
}

/// A connection of its own interval would drop the other schedule without a word.
#[test]
fn defaults_have_one_schedule() {
    let both = "every = \"1h\"\ncron = \"0 7 * * *\"\ntimezone = \"UTC\"";
    let text = DEFAULTS.replace("every = \"1h\"", both)
        + r#"
        [[connection]]
        id = "acme/one"
        source.list_id = "a"
        [[connection]]
        id = "acme/two"
        every = "2h"
        source.list_id = "b"
        "#;
    let hint = "write every = \"1h\", or cron = \"0 7 * * *\" with timezone = \"Europe/Berlin\"";
    assert_eq!(
        problems(&text),
        format!("test.toml:4:8: `defaults.cron` excludes `every`\n  hint: {hint}")
    );
}

#[test]
fn a_word_that_is_no_kind_drops_no_defaults() {
    let source = "source = { kind = \"mailchip\", list_id = \"a1b2c3\" }";
    let told = problems(&format!("{DEFAULTS}\n[[connection]]\nid = \"acme/newsletter\"\n{source}"));
    assert!(told.contains("did you mean `mailchimp`?"), "{told}");
    assert!(!told.contains("is missing"), "{told}");
}

#[test]
fn defaults_have_a_form_of_their_own() {
    insta::assert_snapshot!(
        [
            "defaults = 1\n[[connection]]\n",
            "[defaults]\nid = \"a/b\"\nsource = 1\nevry = \"1h\"\n[[connection]]\nid = \"a/b\"\n",
        ]
        .map(problems)
        .join("\n\n")
    );
}
