use super::*;
use crate::http::told::{Given, told};

const HTML: &str = "<html>try again later</html>";

/// One of each row of the table, as Mailchimp or something in front of it answers.
const ANSWERS: &[Given] = &[
    Given(401, r#"{"title":"API Key Invalid","status":401,"detail":"ada@example.com"}"#, None),
    Given(401, "", None),
    Given(403, r#"{"title":"User Disabled"}"#, None),
    Given(403, HTML, None),
    Given(429, r#"{"title":"Too Many Requests"}"#, Some(90)),
    Given(429, "", None),
    Given(404, r#"{"title":"Resource Not Found"}"#, None),
    Given(404, HTML, None),
    Given(426, "", None),
    Given(301, "", None),
    Given(408, "", None),
    Given(500, r#"{"title":"Internal Server Error"}"#, None),
    Given(502, HTML, None),
    Given(503, "", Some(7)),
    Given(400, r#"{"title":"Invalid Resource","detail":"ada@example.com"}"#, None),
    // A pause that comes with what no retry changes is not one.
    Given(400, HTML, Some(7)),
];

fn subject(key: &str) -> Subject {
    Subject { connection: "acme/news".parse().unwrap(), key: key.parse().unwrap() }
}

#[test]
fn every_refusal() {
    let subject = subject("env:ACME_KEY");
    let refusal = |given: &Given| given.told(&subject.refusal(&given.answer()));
    let mut texts: Vec<String> = ANSWERS.iter().map(refusal).collect();
    texts.push(told("an answer that cannot be read", &unreadable(&Malformed::NoKey)));
    texts.push(told("an answer without a `Date`", &undated()));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_key_in_a_file_needs_no_restart() {
    let refusal = subject("file:/run/secrets/acme").refusal(&Given(401, "", None).answer());
    let hint = "put a valid key at `file:/run/secrets/acme`, then: tidemark start acme/news";
    assert_eq!(refusal.hint.as_deref(), Some(hint));
}

#[test]
fn a_title_is_cut_and_tells_no_terminal_what_to_do() {
    let title = format!(r#"{{"title":"\u001b[2J{}"}}"#, "x".repeat(200));
    let problem: Problem = serde_json::from_str(&title).unwrap();
    let expected = format!("400 [2J{}", "x".repeat(TITLE_LIMIT - 3));
    assert_eq!(name(StatusCode::BAD_REQUEST, Some(&problem)), expected);
}
