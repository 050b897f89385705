use super::*;
use crate::http::told::{Given, told};

const HTML: &str = "<html>try again later</html>";

/// One of each row of the table, as a destination or something in front of it answers.
const ANSWERS: &[Given] = &[
    Given(401, r#"{"error":"no such key"}"#, None),
    Given(401, "", None),
    Given(403, r#"{"message":"this key only reads"}"#, None),
    Given(404, HTML, None),
    Given(410, "", None),
    Given(405, "", None),
    Given(415, r#"{"detail":"want text/csv"}"#, None),
    Given(302, "", None),
    Given(413, "", None),
    Given(429, r#"{"error":"slow down"}"#, Some(90)),
    Given(429, "", None),
    Given(408, "", None),
    Given(425, "", None),
    Given(500, r#"{"error":"ada@example.com broke it"}"#, None),
    Given(502, HTML, None),
    Given(503, "", Some(7)),
    Given(400, r#"{"error":"ada@example.com is not valid"}"#, None),
    Given(422, r#"{"reason":"n:1 is taken"}"#, None),
    // A pause that comes with what no retry changes is not one.
    Given(400, HTML, Some(7)),
];

fn subject(key: &str) -> Subject {
    Subject { connection: "acme/news".parse().unwrap(), key: key.parse().unwrap() }
}

fn record() -> Write {
    Write {
        key: "k1".to_owned(),
        id: "n:1".to_owned(),
        record: r#"{"id":"n:1","email":"ada@example.com"}"#.to_owned(),
    }
}

#[test]
fn every_refusal() {
    let subject = subject("env:RECORD_KEY");
    let records = [record()];
    let refusal = |given: &Given| given.told(&subject.refusal(&given.answer(), &records));
    let texts: Vec<String> = ANSWERS.iter().map(refusal).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn every_answer_of_success_that_cannot_be_used() {
    use wire::{UnreadableAnswer, UnusableRecords};

    let subject = subject("env:RECORD_KEY");
    let mut texts = Vec::new();
    for error in [
        UnreadableAnswer::CutOff,
        UnreadableAnswer::Page,
        UnreadableAnswer::NotAList,
        UnreadableAnswer::Foreign,
    ] {
        texts.push(told(&format!("a batch: {error:?}"), &subject.unreadable(error)));
    }
    for error in [
        UnusableRecords::CutOff,
        UnusableRecords::NotRecords,
        UnusableRecords::Foreign,
        UnusableRecords::Unordered,
    ] {
        texts.push(told(&format!("reading back: {error:?}"), &subject.unreadable_records(error)));
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_key_in_a_file_needs_no_restart() {
    let answer = Given(401, "", None).answer();
    let refusal = subject("file:/run/secrets/records").refusal(&answer, &[]);
    let hint = "put a valid key at `file:/run/secrets/records`, then: tidemark start acme/news";
    assert_eq!(refusal.hint.as_deref(), Some(hint));
}
