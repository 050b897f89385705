//! Definitions as operators write them, and every message that they can get.

mod consequences;
mod hashes;
mod merging;
mod problems;
mod reading;
mod reference;
mod round_trip;

use super::{Definition, Problems, SourceText, parse};

/// The shortest connection that is valid.
const SHORT: &str = r#"
[[connection]]
id = "acme/newsletter"
every = "1h"
[connection.source]
kind = "mailchimp"
api_key = "env:ACME_MAILCHIMP_KEY"
list_id = "a1b2c3"
[connection.destination]
kind = "record-api"
url = "https://data.internal/record"
api_key = "env:RECORD_API_KEY"
delete = { tombstone = "deleted" }
[connection.record]
id = "contact_id"
email = "email_address"
[connection.policy]
deletions = "propagate"
"#;

/// A connection with every key that there is.
const EVERYTHING: &str = r#"
[[connection]]
id = "acme/newsletter"
cron = "0 7 * * 1-5"
timezone = "Europe/Berlin"
max_lag = "8d"
id_scope = "account"
[connection.source]
kind = "mailchimp"
api_key = "file:/run/secrets/mailchimp"
list_id = "a1b2c3"
statuses = ["subscribed", "cleaned"]
base_url = "http://127.0.0.1:8600"
settle = "0s"
page_size = 500
simultaneous_requests = 2
request_timeout = "90s"
[connection.destination]
kind = "record-api"
url = "https://data.internal/record"
api_key = "env:RECORD_API_KEY"
header = "X-Api-Key"
delete = { method = "DELETE", path = "/record/{id}" }
batch_records = 50
batch_bytes = "512 KiB"
simultaneous_batches = 1
request_timeout = "10s"
settle = "2s"
read = { path = "/records" }
rejected_path = "result.refused"
[connection.record]
id = "contact_id"
id_prefix = "acme-"
lastname = "merge_fields.LNAME"
email = "email_address"
[connection.policy]
deletions = "keep"
hold_deletions = { over = 7, and_over_fraction = 0.25 }
invalid_records = "fail"
required = ["email", "id"]
full_read = "1 week"
deadline = "6h"
retry_rejected = 5
fail_rejected_over = 0.5
keep_raw = "0s"
keep_commits = 2
"#;

fn file(name: &str, text: &str) -> SourceText {
    SourceText { name: name.to_owned(), text: text.to_owned() }
}

fn parse_text(text: &str) -> Result<Vec<Definition>, Problems> {
    parse(&[file("test.toml", text)], &[])
}

/// The single definition in a text that is valid.
fn one(text: &str) -> Definition {
    let mut definitions = parse_text(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(definitions.len(), 1);
    definitions.remove(0)
}

/// [`SHORT`] with one piece replaced.
fn short_with(piece: &str, replacement: &str) -> String {
    assert_eq!(SHORT.matches(piece).count(), 1, "{piece}");
    SHORT.replace(piece, replacement)
}

/// All problems of a text, as they are printed.
fn problems(text: &str) -> String {
    match parse_text(text) {
        Ok(_) => panic!("is valid:\n{text}"),
        Err(problems) => problems.to_string(),
    }
}
