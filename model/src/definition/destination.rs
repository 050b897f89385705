//! The destination side of a definition.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use url::Url;

use super::form::{self, Form, MAX_SETTLE, REQUEST_TIMEOUTS, Refusal};
use super::kind;
use super::record::SourcePath;
use super::section::{Reported, Section};
use super::shape::Shape;
use crate::schedule::duration::serde_text;
use crate::secret::SecretRef;

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DestinationDefinition {
    /// An HTTP API that takes JSON arrays of records.
    RecordApi(RecordApiDefinition),
}

impl DestinationDefinition {
    /// The word for it in a definition.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RecordApi(_) => RecordApiDefinition::KIND,
        }
    }
}

/// An HTTP API that takes JSON arrays of records by `POST`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordApiDefinition {
    pub(super) url: Url,
    pub(super) api_key: SecretRef,
    pub(super) header: String,
    pub(super) delete: Option<DeleteRule>,
    #[serde(default)]
    pub(super) read: Option<ReadRule>,
    pub(super) batch_records: u32,
    pub(super) batch_bytes: u64,
    pub(super) simultaneous_batches: u32,
    #[serde(with = "serde_text")]
    pub(super) request_timeout: Duration,
    #[serde(with = "serde_text")]
    pub(super) settle: Duration,
    pub(super) rejected_path: SourcePath,
}

impl RecordApiDefinition {
    pub(super) const KIND: &'static str = "record-api";
    pub(super) const DEFAULT_HEADER: &'static str = "Authorisation";
    pub(super) const DEFAULT_BATCH_RECORDS: u32 = 1_000;
    pub(super) const DEFAULT_BATCH_BYTES: u64 = 4 * 1024 * 1024;
    pub(super) const DEFAULT_SIMULTANEOUS_BATCHES: u32 = 4;
    pub(super) const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

    pub(super) fn default_rejected_path() -> SourcePath {
        "errors".parse().expect("a single word is a path")
    }

    /// Where batches are posted.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where the key is that is sent in [`Self::header`].
    pub fn api_key(&self) -> &SecretRef {
        &self.api_key
    }

    /// The name of the header that carries the key as it is, without a scheme before it.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// How a record is removed; `None` if the API cannot.
    pub fn delete(&self) -> Option<&DeleteRule> {
        self.delete.as_ref()
    }

    /// How what it holds is read; `None` if it cannot be.
    pub fn read(&self) -> Option<&ReadRule> {
        self.read.as_ref()
    }

    /// The most records in a batch.
    pub fn batch_records(&self) -> u32 {
        self.batch_records
    }

    /// The most bytes in a batch's body. A single record may be larger and then travels alone.
    pub fn batch_bytes(&self) -> u64 {
        self.batch_bytes
    }

    /// Batches under way at once.
    pub fn simultaneous_batches(&self) -> u32 {
        self.simultaneous_batches
    }

    /// When a request without an answer is given up.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// How long after its request a write may still take effect.
    pub fn settle(&self) -> Duration {
        self.settle
    }

    /// Where an answer of success names the records that it refused.
    pub fn rejected_path(&self) -> &SourcePath {
        &self.rejected_path
    }
}

/// How a record is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeleteRule {
    /// By a `DELETE` request for each record. `path` begins with `/`, stands for the path of the
    /// destination's address, and holds `{id}` once, for the record's id, percent-encoded.
    Request { path: String },
    /// By writing a record whose field `field` is true; every other write carries it as false.
    Tombstone { field: String },
}

/// How records are read back: `GET` on a path, with the parameters `prefix` (what the ids begin
/// with), `after` (only greater ids, as bytes) and `limit`. The answer is a JSON array of records in
/// ascending order of `id`; an empty one is the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRule {
    /// Begins with `/` and stands for the path of the destination's address.
    pub path: String,
}

/// Reads `[connection.destination]`.
pub(super) fn read(section: Section<'_>) -> Result<DestinationDefinition, Reported> {
    kind::only(section, RecordApiDefinition::KIND, record_api).map(DestinationDefinition::RecordApi)
}

fn record_api(mut section: Section<'_>) -> Result<RecordApiDefinition, Reported> {
    use RecordApiDefinition as R;
    let url = section.required("url", "write url = \"https://host/path\"", form::address());
    let api_key = section.required(
        "api_key",
        "write api_key = \"env:NAME\" or \"file:/path\"",
        form::secret(),
    );
    let header = section.or("header", R::DEFAULT_HEADER.to_owned(), header());
    let delete =
        section.optional_section("delete").and_then(|section| section.map(delete_rule).transpose());
    let read =
        section.optional_section("read").and_then(|section| section.map(read_rule).transpose());
    let batch_records =
        section.or("batch_records", R::DEFAULT_BATCH_RECORDS, form::count(1..=100_000));
    let batch_bytes = section.or(
        "batch_bytes",
        R::DEFAULT_BATCH_BYTES,
        form::size(ByteSize::kib(1)..=ByteSize::mib(64)),
    );
    let simultaneous_batches =
        section.or("simultaneous_batches", R::DEFAULT_SIMULTANEOUS_BATCHES, form::count(1..=64));
    let request_timeout =
        section.or("request_timeout", R::DEFAULT_REQUEST_TIMEOUT, form::duration(REQUEST_TIMEOUTS));
    let settle = section.or("settle", Duration::ZERO, form::duration(Duration::ZERO..=MAX_SETTLE));
    let rejected_path = section.optional("rejected_path", SourcePath::form());
    section.finish();
    Ok(RecordApiDefinition {
        url: url?,
        api_key: api_key?,
        header: header?,
        delete: delete?,
        read: read?,
        batch_records: batch_records?,
        batch_bytes: batch_bytes?,
        simultaneous_batches: simultaneous_batches?,
        request_timeout: request_timeout?,
        settle: settle?,
        rejected_path: rejected_path?.unwrap_or_else(R::default_rejected_path),
    })
}

/// The characters of a token, RFC 9110 section 5.6.2.
fn header() -> Form<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let header = move |name: String| {
        if !name.is_empty() && name.chars().all(token) {
            Ok(name)
        } else {
            Err(Refusal::new("is not the name of a header").hint("such as \"X-Api-Key\""))
        }
    };
    let shape = Shape::pattern("name of a header", "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$");
    form::text().then(header).shaped(shape)
}

fn delete_rule(mut section: Section<'_>) -> Result<DeleteRule, Reported> {
    let hint =
        "write { method = \"DELETE\", path = \"/record/{id}\" } or { tombstone = \"field\" }";
    if section.has("tombstone") {
        let field = section.required("tombstone", hint, form::name());
        section.finish();
        return Ok(DeleteRule::Tombstone { field: field? });
    }
    let method = section.required("method", hint, form::one_of(&[("DELETE", ())]));
    let path = section.required("path", hint, delete_path());
    section.finish();
    method?;
    Ok(DeleteRule::Request { path: path? })
}

fn read_rule(mut section: Section<'_>) -> Result<ReadRule, Reported> {
    let path = section.required("path", "write { path = \"/record\" }", read_path());
    section.finish();
    Ok(ReadRule { path: path? })
}

fn read_path() -> Form<String> {
    let shape = Shape::pattern("path", r"^/[^\s?#{}]*$");
    form::text().then(without_query).shaped(shape)
}

fn without_query(path: String) -> Result<String, Refusal> {
    let refused = |message| Err(Refusal::new(message).hint("such as \"/record\""));
    if !path.starts_with('/') {
        refused("has to begin with `/`")
    } else if path.contains(|c: char| c.is_whitespace() || "?#{}".contains(c)) {
        refused("holds a space, a brace, `?` or `#`")
    } else {
        Ok(path)
    }
}

fn delete_path() -> Form<String> {
    let shape = Shape::pattern("path with `{id}`", r"^/[^\s?#{}]*\{id\}[^\s?#{}]*$");
    form::text().then(with_id).shaped(shape)
}

fn with_id(path: String) -> Result<String, Refusal> {
    let refused = |message| Err(Refusal::new(message).hint("such as \"/record/{id}\""));
    if !path.starts_with('/') {
        refused("has to begin with `/`")
    } else if path.matches("{id}").count() != 1 {
        refused("has to hold `{id}` once, where the record's id goes")
    } else if path.contains(|c: char| c.is_whitespace() || "?#".contains(c)) {
        refused("holds a space, `?` or `#`")
    } else if path.matches(['{', '}']).count() != 2 {
        refused("holds a brace beside those of `{id}`")
    } else {
        Ok(path)
    }
}
