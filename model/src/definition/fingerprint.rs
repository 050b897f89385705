//! What of a definition decides whether earlier work still holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Definition;
use super::destination::{DeleteRule, DestinationDefinition};
use super::source::SourceDefinition;

/// Raised when the same source row maps to another record than before: every connection then
/// reads in full.
pub const MAPPER_VERSION: u32 = 1;

/// BLAKE3 over one side of a definition, 64 hexadecimal digits.
///
/// References to secrets, limits, timeouts and the schedule are in none: they can be changed
/// without a full read and without sending anything again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Texts fed one after the other, each preceded by its length, so that no two lists of texts
/// share an input.
struct Canonical(blake3::Hasher);

impl Canonical {
    fn new(side: &str) -> Self {
        Self(blake3::Hasher::new()).text(side)
    }

    fn text(mut self, text: &str) -> Self {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    fn number(self, number: usize) -> Self {
        self.text(&number.to_string())
    }

    /// A list, preceded by the number of its texts.
    fn list<'t>(self, texts: impl ExactSizeIterator<Item = &'t str>) -> Self {
        let list = self.number(texts.len());
        texts.fold(list, Self::text)
    }

    fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().to_hex().to_string())
    }
}

/// The source side: what is read and what is made of it. A change makes the next run read in full.
///
/// The fields' names belong to it as well: a snapshot keeps mapped records, so a renamed field has
/// to be mapped again.
pub(super) fn source_side(definition: &Definition) -> Fingerprint {
    let canonical = Canonical::new("source side").text(definition.source().kind());
    let canonical = match definition.source() {
        SourceDefinition::Mailchimp(mailchimp) => {
            let canonical = canonical
                .text(mailchimp.base_url().map_or("", url::Url::as_str))
                .text(mailchimp.list_id());
            match mailchimp.statuses() {
                None => canonical.text("all"),
                Some(statuses) => {
                    canonical.text("some").list(statuses.iter().map(|status| status.as_str()))
                }
            }
        }
    };
    let record = definition.record();
    canonical
        .text(record.id_path().as_str())
        .list(record.fields().iter().map(|(field, _)| field.as_str()))
        .list(record.fields().iter().map(|(_, path)| path.as_str()))
        .list(definition.policy().required().iter().map(String::as_str))
        .text(&MAPPER_VERSION.to_string())
        .finish()
}

/// The destination side: where records are and under which ids. A change makes the next run send
/// every record again.
pub(super) fn destination_side(definition: &Definition) -> Fingerprint {
    let canonical = Canonical::new("destination side").text(definition.destination().kind());
    let canonical = match definition.destination() {
        DestinationDefinition::RecordApi(api) => {
            let canonical = canonical.text(api.url().as_str());
            match api.delete() {
                None => canonical.text("none"),
                Some(DeleteRule::Request { path }) => canonical.text("request").text(path),
                Some(DeleteRule::Tombstone { field }) => canonical.text("tombstone").text(field),
            }
        }
    };
    let record = definition.record();
    canonical
        .text(record.id_path().as_str())
        .text(record.id_prefix())
        .text(&record.id_scope().to_string())
        .list(record.fields().iter().map(|(field, _)| field.as_str()))
        .finish()
}
