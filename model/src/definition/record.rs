//! How a source row becomes a record.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::form::{self, Form};
use super::section::{Reported, Section};
use super::shape::Shape;
use super::tree::{Table, Value};
use crate::ids::ConnectionId;

/// The one key of `[connection.record]` that is not a field.
pub(super) const ID_PREFIX: &str = "id_prefix";

/// Where a value is in a JSON object: keys joined by dots, such as `merge_fields.FNAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourcePath(Box<str>);

/// A text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a path: it is keys joined by dots, none of them empty, such as `merge_fields.FNAME`"
)]
pub struct PathError;

impl SourcePath {
    /// The whole path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The keys from the outside in; at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('.')
    }

    pub(super) fn form() -> Form<Self> {
        let shape = Shape::pattern("path", r"^[^.]+(\.[^.]+)*$");
        let text = form::text();
        let path = form::parsed(shape.clone(), "a path, text such as \"merge_fields.FNAME\"");
        Form::new(shape, move |value| text.read(value).and_then(|_| path.read(value)))
    }

    /// The value there, or `None` if a key is absent or what holds it is no object.
    pub fn find<'v>(&self, value: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.segments().try_fold(value, |value, key| value.as_object()?.get(key))
    }
}

impl FromStr for SourcePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let bad = |key: &str| key.is_empty() || key.trim() != key || key.contains(char::is_control);
        if text.split('.').any(bad) { Err(PathError) } else { Ok(Self(text.into())) }
    }
}

impl TryFrom<String> for SourcePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}

impl From<SourcePath> for String {
    fn from(path: SourcePath) -> Self {
        path.0.into()
    }
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourcePath({:?})", &*self.0)
    }
}

/// Whose records share their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdScope {
    /// Each connection has records of its own.
    #[default]
    Connection,
    /// Connections of one account may write the same records, so none of them may remove any.
    Account,
}

impl fmt::Display for IdScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connection => "connection",
            Self::Account => "account",
        })
    }
}

/// Which field of a record comes from where in a source row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordMapping {
    pub(super) id: SourcePath,
    pub(super) id_prefix: String,
    pub(super) id_scope: IdScope,
    pub(super) fields: Vec<(String, SourcePath)>,
}

impl RecordMapping {
    /// What is written before an id if the definition does not say.
    pub(super) fn default_id_prefix(connection: &ConnectionId, scope: IdScope) -> String {
        match scope {
            IdScope::Connection => format!("{}:", connection.name()),
            IdScope::Account => String::new(),
        }
    }

    /// The fields of a record and where their values are, sorted by field. The record's `id` is
    /// not among them: see [`Self::id_path`].
    pub fn fields(&self) -> &[(String, SourcePath)] {
        &self.fields
    }

    /// Where the id is in a source row.
    pub fn id_path(&self) -> &SourcePath {
        &self.id
    }

    /// What is written before the id, `newsletter:` for `acme/newsletter` if nothing else is said.
    pub fn id_prefix(&self) -> &str {
        &self.id_prefix
    }

    /// Whose records share their ids.
    pub fn id_scope(&self) -> IdScope {
        self.id_scope
    }
}

/// Reads `[connection.record]`. Any key that is not one of the mapping's own is a field.
pub(super) fn read(
    mut section: Section<'_>,
    connection: Option<&ConnectionId>,
    scope: Result<IdScope, Reported>,
) -> Result<RecordMapping, Reported> {
    let id = section.required("id", "write id = \"contact_id\"", SourcePath::form());
    let id_prefix = section.optional(ID_PREFIX, form::text());
    let mut fields = Vec::new();
    let mut complete = Ok(());
    let (field_name, path) = (form::name(), SourcePath::form());
    for entry in section.others(SourcePath::form().into_shape()) {
        let name = Value::Text(entry.key.clone());
        match field_name.read(&name).and_then(|name| Ok((name, path.read(&entry.node.value)?))) {
            Ok(field) => fields.push(field),
            Err(refusal) => complete = Err(section.refuse(entry, refusal)),
        }
    }
    fields.sort();
    complete?;
    let scope = scope?;
    let id_prefix = match (id_prefix?, connection) {
        (Some(prefix), _) => prefix,
        (None, Some(connection)) => RecordMapping::default_id_prefix(connection, scope),
        // The id was refused, so there is no definition to carry the prefix.
        (None, None) => return Err(Reported),
    };
    Ok(RecordMapping { id: id?, id_prefix, id_scope: scope, fields })
}

/// The fields that `[connection.record]` maps, `id` among them, whatever is wrong with it.
pub(super) fn mapped_fields(connection: &Table) -> Vec<&str> {
    match connection.find(&["record"]).map(|node| &node.value) {
        Some(Value::Table(record)) => {
            let keys = record.iter().map(|entry| entry.key.as_str());
            keys.filter(|key| *key != ID_PREFIX).collect()
        }
        _ => Vec::new(),
    }
}
