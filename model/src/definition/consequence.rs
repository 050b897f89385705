//! What an edit costs, told before it is made.

use super::Definition;
use super::destination::{DeleteRule, DestinationDefinition};
use super::policy::Deletions;
use super::source::SourceDefinition;
use super::text;
use crate::schedule::{Schedule, duration};

/// A full read of more requests than this is asked about.
const REQUESTS_WITHOUT_ASKING: u64 = 100;

/// How much there is, as of the newest commit; `None` where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that the source shows.
    pub rows: Option<u64>,
    /// Records at the destination.
    pub records: Option<u64>,
}

/// What a change makes the next run do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing beyond what every run does.
    Nothing,
    /// The connection is new: everything is read and sent.
    FirstSync,
    /// The whole source is read.
    FullRead,
    /// Every record is sent again.
    SendAgain,
    /// Every record is sent to a new address; those at the old one stay there.
    Move,
    /// Every record is sent under a new id.
    IdsChange,
}

/// What one changed field leads to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Consequence {
    /// The field, from the connection on: `destination.url`.
    pub field: String,
    /// What it was; `None` if it was not there.
    pub before: Option<String>,
    /// What it is; `None` if it is no longer there.
    pub after: Option<String>,
    pub effect: Effect,
    /// What the next run does for it, in words: "nothing", "reads all 1,200 rows …".
    pub sentence: String,
    /// It is costly, so `apply` asks before it is made.
    pub asks: bool,
}

/// The consequence of each field in which `new` differs from `old`, in the order in which a
/// definition is written. A connection without an `old` has one: everything is read and sent.
pub fn consequences(
    old: Option<&Definition>,
    new: &Definition,
    counts: Counts,
) -> Vec<Consequence> {
    let Some(old) = old else {
        return vec![Consequence {
            field: "connection".to_owned(),
            before: None,
            after: Some(text::summary(new)),
            effect: Effect::FirstSync,
            sentence: "the first run reads every row and sends every record".to_owned(),
            asks: false,
        }];
    };
    let fields = [fields(old), fields(new)];
    let [before, after] = &fields;
    let value = |fields: &[Field], name: &str| {
        fields.iter().find(|field| field.name == name).map(|field| field.value.clone())
    };
    let gone = before.iter().filter(|field| value(after, &field.name).is_none());
    let edit = Edit { old, new, counts };
    after
        .iter()
        .chain(gone)
        .filter_map(|field| {
            let (before, after) = (value(before, &field.name), value(after, &field.name));
            (before != after).then(|| edit.consequence(field, before, after))
        })
        .collect()
}

/// One field of a definition as text, and what depends on it.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) concerns: Concerns,
}

/// What a field decides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Concerns {
    /// Neither what is read nor what is sent.
    Operation,
    /// What happens to the record of a row that vanished.
    Deletions,
    /// Which rows are read, or which of them are sent.
    Rows,
    /// What is made of a row.
    Mapping,
    /// Which fields a record has.
    Fields,
    Address,
    /// How a record is written or removed, at the same place and under the same id.
    Records,
    Ids,
}

/// All fields with their values, defaults included: a default that is written out is no change.
pub(super) fn fields(definition: &Definition) -> Vec<Field> {
    use Concerns::{Address, Fields, Ids, Mapping, Operation, Rows};
    let mut fields = Vec::new();
    let mut add = |name: &str, value: String, concerns| {
        fields.push(Field { name: name.to_owned(), value, concerns });
    };
    let listed = |items: Vec<&str>| items.join(", ");
    match definition.schedule() {
        Schedule::Every(interval) => add("every", duration::text(interval.duration()), Operation),
        Schedule::Cron(cron) => {
            add("cron", cron.expression().to_owned(), Operation);
            add("timezone", cron.timezone().to_owned(), Operation);
        }
    }
    add("max_lag", duration::text(definition.max_lag()), Operation);
    let SourceDefinition::Mailchimp(source) = definition.source();
    add("source.kind", definition.source().kind().to_owned(), Rows);
    add("source.api_key", source.api_key().to_string(), Operation);
    add("source.list_id", source.list_id().to_owned(), Rows);
    let statuses = match source.statuses() {
        None => "all".to_owned(),
        Some(statuses) => listed(statuses.iter().map(|status| status.as_str()).collect()),
    };
    add("source.statuses", statuses, Rows);
    let base_url = source.base_url().map_or("that of the key", |url| url.as_str());
    add("source.base_url", base_url.to_owned(), Rows);
    add("source.settle", duration::text(source.settle()), Operation);
    add("source.page_size", source.page_size().to_string(), Operation);
    let simultaneous_requests = source.simultaneous_requests().to_string();
    add("source.simultaneous_requests", simultaneous_requests, Operation);
    add("source.request_timeout", duration::text(source.request_timeout()), Operation);

    let DestinationDefinition::RecordApi(api) = definition.destination();
    add("destination.kind", definition.destination().kind().to_owned(), Address);
    add("destination.url", api.url().to_string(), Address);
    add("destination.api_key", api.api_key().to_string(), Operation);
    add("destination.header", api.header().to_owned(), Operation);
    let delete = match api.delete() {
        None => "none".to_owned(),
        Some(DeleteRule::Request { path }) => format!("DELETE {path}"),
        Some(DeleteRule::Tombstone { field }) => format!("tombstone {field}"),
    };
    add("destination.delete", delete, Concerns::Records);
    let read = api.read().map_or_else(|| "none".to_owned(), |read| format!("GET {}", read.path));
    add("destination.read", read, Operation);
    add("destination.batch_records", api.batch_records().to_string(), Operation);
    add("destination.batch_bytes", text::size(api.batch_bytes()), Operation);
    let simultaneous_batches = api.simultaneous_batches().to_string();
    add("destination.simultaneous_batches", simultaneous_batches, Operation);
    add("destination.request_timeout", duration::text(api.request_timeout()), Operation);
    add("destination.settle", duration::text(api.settle()), Operation);
    add("destination.rejected_path", api.rejected_path().to_string(), Operation);

    let record = definition.record();
    add("id_scope", record.id_scope().to_string(), Concerns::Records);
    add("record.id", record.id_path().to_string(), Ids);
    add("record.id_prefix", format!("\"{}\"", record.id_prefix()), Ids);
    for (field, path) in record.fields() {
        add(&format!("record.{field}"), path.to_string(), Fields);
    }

    let policy = definition.policy();
    add("policy.deletions", policy.deletions().to_string(), Concerns::Deletions);
    let hold = policy.hold_deletions();
    add("policy.hold_deletions.over", hold.over.to_string(), Operation);
    let fraction = hold.and_over_fraction.to_string();
    add("policy.hold_deletions.and_over_fraction", fraction, Operation);
    add("policy.invalid_records", policy.invalid_records().to_string(), Operation);
    let required = listed(policy.required().iter().map(String::as_str).collect());
    add("policy.required", format!("[{required}]"), Mapping);
    add("policy.full_read", duration::text(policy.full_read()), Operation);
    add("policy.deadline", duration::text(policy.deadline()), Operation);
    add("policy.retry_rejected", format!("{} runs", policy.retry_rejected()), Operation);
    add("policy.fail_rejected_over", policy.fail_rejected_over().to_string(), Operation);
    add("policy.keep_raw", duration::text(policy.keep_raw()), Operation);
    add("policy.keep_commits", policy.keep_commits().to_string(), Operation);
    fields
}

/// Two versions of a definition, and how much there is.
struct Edit<'d> {
    old: &'d Definition,
    new: &'d Definition,
    counts: Counts,
}

impl Edit<'_> {
    fn consequence(
        &self,
        field: &Field,
        before: Option<String>,
        after: Option<String>,
    ) -> Consequence {
        let concerns = match field.concerns {
            // A field that exists before and after has only another path.
            Concerns::Fields if before.is_some() && after.is_some() => Concerns::Mapping,
            concerns => concerns,
        };
        let (effect, sentence) = self.effect(concerns);
        let asks = match effect {
            Effect::Nothing | Effect::FirstSync => false,
            Effect::FullRead => {
                self.requests().is_none_or(|requests| requests > REQUESTS_WITHOUT_ASKING)
            }
            Effect::SendAgain | Effect::Move | Effect::IdsChange => true,
        };
        Consequence { field: field.name.clone(), before, after, effect, sentence, asks }
    }

    fn effect(&self, concerns: Concerns) -> (Effect, String) {
        let (read, records) = (self.full_read(), self.records());
        match concerns {
            Concerns::Operation => (Effect::Nothing, "nothing is read or sent again".to_owned()),
            Concerns::Deletions => (Effect::Nothing, self.deletions()),
            Concerns::Rows => {
                let vanished = match self.new.policy().deletions() {
                    Deletions::Propagate => {
                        "records of rows that are no longer sent are removed, through the guard of \
                         deletions"
                    }
                    Deletions::Keep => "records of rows that are no longer sent stay",
                };
                (Effect::FullRead, format!("{read}; {vanished}"))
            }
            Concerns::Mapping => (Effect::FullRead, format!("{read}; what changes is sent")),
            Concerns::Fields => (Effect::SendAgain, format!("{read}, and sends {records} again")),
            Concerns::Records => (Effect::SendAgain, format!("the next run sends {records} again")),
            Concerns::Address => (
                Effect::Move,
                format!(
                    "the next run sends {records} to the new address; at the old one they stay \
                     where they are"
                ),
            ),
            Concerns::Ids => (Effect::IdsChange, self.ids()),
        }
    }

    fn deletions(&self) -> String {
        match self.new.policy().deletions() {
            Deletions::Propagate => {
                "from now on a record goes when its row does; those kept so far stay where they are"
            }
            Deletions::Keep => "from now on a record stays when its row goes",
        }
        .to_owned()
    }

    /// The unused ids are removed only where nothing else changed about the place.
    fn ids(&self) -> String {
        let records = self.records();
        let DestinationDefinition::RecordApi(old) = self.old.destination();
        let DestinationDefinition::RecordApi(new) = self.new.destination();
        let removed =
            old.url() == new.url() && self.new.policy().deletions() == Deletions::Propagate;
        let unused = if removed {
            "are removed, through the guard of deletions"
        } else {
            "stay where they are"
        };
        let read = if self.old.record().id_path() == self.new.record().id_path() {
            "the next run".to_owned()
        } else {
            format!("{} and", self.full_read())
        };
        format!("{read} sends {records} under new ids; those under the old ids {unused}")
    }

    /// The requests of a full read.
    fn requests(&self) -> Option<u64> {
        let SourceDefinition::Mailchimp(source) = self.new.source();
        Some(self.counts.rows?.div_ceil(u64::from(source.page_size().max(1))).max(1))
    }

    fn full_read(&self) -> String {
        match (self.counts.rows, self.requests()) {
            (Some(rows), Some(requests)) => format!(
                "the next run reads {} in about {}",
                counted(rows, "row"),
                counted(requests, "request")
            ),
            _ => "the next run reads every row".to_owned(),
        }
    }

    fn records(&self) -> String {
        match self.counts.records {
            Some(records) => counted(records, "record"),
            None => "every record".to_owned(),
        }
    }
}

/// `1 row`, `1,200 rows`.
fn counted(count: u64, noun: &str) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {noun}{}", if count == 1 { "" } else { "s" })
}
