//! A definition as text: the TOML that `apply` takes back, and one line for a list.

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytesize::ByteSize;

use super::Definition;
use super::destination::{DeleteRule, DestinationDefinition, ReadRule, RecordApiDefinition};
use super::policy::{Deletions, HoldDeletions, InvalidRecords, Policy};
use super::record::{ID_PREFIX, IdScope, RecordMapping};
use super::source::{MailchimpDefinition, SourceDefinition};
use crate::schedule::{Schedule, duration};

/// The most bytes of a summary: every published state repeats it in the schedule's history.
const SUMMARY_BYTES: usize = 1_000;

/// Writes what differs from the defaults, so that what is read is what was decided.
pub(super) fn toml(definition: &Definition) -> String {
    let mut out = Lines::default();
    out.line("[[connection]]");
    out.text("id", definition.id());
    match definition.schedule() {
        Schedule::Every(interval) => out.duration("every", interval.duration()),
        Schedule::Cron(cron) => {
            out.text("cron", cron.expression());
            out.text("timezone", cron.timezone());
        }
    }
    let default_max_lag = definition.schedule().interval_longest() * 3;
    out.duration_unless("max_lag", definition.max_lag(), default_max_lag);
    if definition.record().id_scope() == IdScope::Account {
        out.text("id_scope", "account");
    }
    out.line("\n[connection.source]");
    out.text("kind", definition.source().kind());
    match definition.source() {
        SourceDefinition::Mailchimp(mailchimp) => out.mailchimp(mailchimp),
    }
    out.line("\n[connection.destination]");
    out.text("kind", definition.destination().kind());
    match definition.destination() {
        DestinationDefinition::RecordApi(api) => out.record_api(api),
    }
    out.line("\n[connection.record]");
    out.record(definition);
    out.line("\n[connection.policy]");
    out.policy(definition.policy());
    out.0
}

/// One line, under 1 KB, without references to secrets.
pub(super) fn summary(definition: &Definition) -> String {
    let source = match definition.source() {
        SourceDefinition::Mailchimp(mailchimp) => format!("mailchimp list {}", mailchimp.list_id()),
    };
    let destination = match definition.destination() {
        DestinationDefinition::RecordApi(api) => format!("record-api {}", api.url()),
    };
    let deletions = match definition.policy().deletions() {
        Deletions::Propagate => "propagated",
        Deletions::Keep => "kept",
    };
    let schedule = definition.schedule();
    let max_lag = duration::text(definition.max_lag());
    let mut summary = format!(
        "{source} → {destination} · {schedule} · max lag {max_lag} · deletions {deletions}"
    );
    summary.truncate(summary.floor_char_boundary(SUMMARY_BYTES));
    summary
}

/// TOML under construction.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn value(&mut self, key: &str, value: impl fmt::Display) {
        writeln!(self.0, "{} = {value}", bare_or_quoted(key)).expect("a string takes any text");
    }

    fn text(&mut self, key: &str, text: impl fmt::Display) {
        self.value(key, quoted(&text.to_string()));
    }

    fn duration(&mut self, key: &str, duration: Duration) {
        self.text(key, duration::text(duration));
    }

    fn duration_unless(&mut self, key: &str, duration: Duration, default: Duration) {
        if duration != default {
            self.duration(key, duration);
        }
    }

    fn value_unless<T: PartialEq + fmt::Display>(&mut self, key: &str, value: T, default: T) {
        if value != default {
            self.value(key, value);
        }
    }

    fn mailchimp(&mut self, mailchimp: &MailchimpDefinition) {
        use MailchimpDefinition as M;
        self.text("api_key", mailchimp.api_key());
        self.text("list_id", mailchimp.list_id());
        if let Some(statuses) = mailchimp.statuses() {
            self.value("statuses", array(statuses.iter().map(|status| status.as_str())));
        }
        if let Some(base_url) = mailchimp.base_url() {
            self.text("base_url", base_url);
        }
        self.duration_unless("settle", mailchimp.settle(), M::DEFAULT_SETTLE);
        self.value_unless("page_size", mailchimp.page_size(), M::MAX_PAGE_SIZE);
        let simultaneous = mailchimp.simultaneous_requests();
        self.value_unless("simultaneous_requests", simultaneous, M::DEFAULT_SIMULTANEOUS_REQUESTS);
        let timeout = mailchimp.request_timeout();
        self.duration_unless("request_timeout", timeout, M::DEFAULT_REQUEST_TIMEOUT);
    }

    fn record_api(&mut self, api: &RecordApiDefinition) {
        use RecordApiDefinition as R;
        self.text("url", api.url());
        self.text("api_key", api.api_key());
        if api.header() != R::DEFAULT_HEADER {
            self.text("header", api.header());
        }
        match api.delete() {
            None => {}
            Some(DeleteRule::Request { path }) => {
                self.value("delete", format!("{{ method = \"DELETE\", path = {} }}", quoted(path)));
            }
            Some(DeleteRule::Tombstone { field }) => {
                self.value("delete", format!("{{ tombstone = {} }}", quoted(field)));
            }
        }
        if let Some(ReadRule { path }) = api.read() {
            self.value("read", format!("{{ path = {} }}", quoted(path)));
        }
        self.value_unless("batch_records", api.batch_records(), R::DEFAULT_BATCH_RECORDS);
        if api.batch_bytes() != R::DEFAULT_BATCH_BYTES {
            self.text("batch_bytes", size(api.batch_bytes()));
        }
        let simultaneous = api.simultaneous_batches();
        self.value_unless("simultaneous_batches", simultaneous, R::DEFAULT_SIMULTANEOUS_BATCHES);
        self.duration_unless("request_timeout", api.request_timeout(), R::DEFAULT_REQUEST_TIMEOUT);
        self.duration_unless("settle", api.settle(), Duration::ZERO);
        if *api.rejected_path() != R::default_rejected_path() {
            self.text("rejected_path", api.rejected_path());
        }
    }

    fn record(&mut self, definition: &Definition) {
        let record = definition.record();
        self.text("id", record.id_path());
        let default = RecordMapping::default_id_prefix(definition.id(), record.id_scope());
        if record.id_prefix() != default {
            self.text(ID_PREFIX, record.id_prefix());
        }
        for (field, path) in record.fields() {
            self.text(field, path);
        }
    }

    fn policy(&mut self, policy: &Policy) {
        use Policy as P;
        self.text("deletions", policy.deletions());
        let hold = policy.hold_deletions();
        if hold != HoldDeletions::default() {
            let HoldDeletions { over, and_over_fraction } = hold;
            let limit = format!("{{ over = {over}, and_over_fraction = {and_over_fraction} }}");
            self.value("hold_deletions", limit);
        }
        if policy.invalid_records() != InvalidRecords::default() {
            self.text("invalid_records", policy.invalid_records());
        }
        if !policy.required().is_empty() {
            self.value("required", array(policy.required().iter().map(String::as_str)));
        }
        self.duration_unless("full_read", policy.full_read(), P::DEFAULT_FULL_READ);
        self.duration_unless("deadline", policy.deadline(), P::DEFAULT_DEADLINE);
        self.value_unless("retry_rejected", policy.retry_rejected(), P::DEFAULT_RETRY_REJECTED);
        let share = policy.fail_rejected_over();
        self.value_unless("fail_rejected_over", share, P::DEFAULT_FAIL_REJECTED_OVER);
        self.duration_unless("keep_raw", policy.keep_raw(), P::DEFAULT_KEEP_RAW);
        self.value_unless("keep_commits", policy.keep_commits(), P::DEFAULT_KEEP_COMMITS);
    }
}

/// Bytes in the greatest unit of which they are a whole number.
pub(super) fn size(bytes: u64) -> String {
    let units = [(ByteSize::mib(1), "MiB"), (ByteSize::kib(1), "KiB")];
    let whole =
        units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(unit.as_u64()));
    match whole {
        Some((unit, name)) => format!("{} {name}", bytes / unit.as_u64()),
        None => format!("{bytes} B"),
    }
}

fn bare_or_quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

/// A basic string of TOML. No text of a definition holds a control character.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn array<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}
