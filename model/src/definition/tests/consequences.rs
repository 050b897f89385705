//! What `apply` says about an edit.

use std::fmt::Write as _;

use super::*;
use crate::definition::{Consequence, Counts, consequences};

const COUNTS: Counts = Counts { rows: Some(1_234_567), records: Some(1_200_000) };

fn told(consequences: &[Consequence]) -> String {
    let mut text = String::new();
    for consequence in consequences {
        let Consequence { field, before, after, effect, sentence, asks } = consequence;
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        let (before, after) = (value(before), value(after));
        let asks = if *asks { " (asks)" } else { "" };
        writeln!(text, "{field}: {before} -> {after}\n  {effect:?}{asks}: {sentence}").unwrap();
    }
    text
}

#[test]
fn a_new_connection() {
    insta::assert_snapshot!(told(&consequences(None, &one(SHORT), Counts::default())));
}

#[test]
fn no_edit_has_no_consequence() {
    assert_eq!(consequences(Some(&one(SHORT)), &one(SHORT), COUNTS), []);
    // A default that is written out is no change.
    let written = one(&short_with("every = \"1h\"", "every = \"60m\"\nmax_lag = \"3h\""));
    assert_eq!(consequences(Some(&one(SHORT)), &written, COUNTS), []);
}

#[test]
fn each_kind_of_edit() {
    let edits = [
        ("every = \"1h\"", "cron = \"0 7 * * *\"\ntimezone = \"UTC\""),
        ("env:ACME_MAILCHIMP_KEY", "file:/run/key"),
        ("\"a1b2c3\"", "\"d4e5f6\""),
        ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = [\"subscribed\"]"),
        ("data.internal", "data.example"),
        ("\"deleted\"", "\"gone\""),
        ("\"contact_id\"", "\"contact_id\"\nid_prefix = \"n-\""),
        ("email =", "mail ="),
        ("\"email_address\"", "\"merge_fields.MAIL\""),
        ("\"propagate\"", "\"propagate\"\nrequired = [\"email\"]"),
        ("\"propagate\"", "\"keep\""),
    ];
    let old = one(SHORT);
    let edits = edits.map(|(piece, replacement)| {
        told(&consequences(Some(&old), &one(&short_with(piece, replacement)), COUNTS))
    });
    insta::assert_snapshot!(edits.join("\n"));
}

#[test]
fn ids_are_not_removed_at_another_address() {
    let new = short_with("data.internal", "data.example")
        .replace("\"contact_id\"", "\"contact_id\"\nid_prefix = \"n-\"");
    insta::assert_snapshot!(told(&consequences(Some(&one(SHORT)), &one(&new), Counts::default())));
}

#[test]
fn a_small_full_read_is_not_asked_about() {
    let edit = |rows| {
        let new = one(&short_with("\"a1b2c3\"", "\"d4e5f6\""));
        let counts = Counts { rows, records: rows };
        consequences(Some(&one(SHORT)), &new, counts).iter().any(|consequence| consequence.asks)
    };
    assert!(!edit(Some(100_000)));
    assert!(edit(Some(100_001)));
    assert!(edit(None));
}
