//! TOML as it was written: every key and value with its place.
//!
//! Also the merging of `[defaults]` into a connection, after which each value still knows the
//! line that it came from.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::SourceText;
use super::kind::KINDS;
use super::problem::Problem;

/// A place in a file.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) column: usize,
    /// It lies in `[defaults]`, so that many connections share what stands there.
    pub(super) shared: bool,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A value of TOML. Texts are not shown by any message, see [`Problem`].
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    /// `None`: outside of 64 bits.
    Integer(Option<i64>),
    Float(Option<f64>),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for "found …".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Keys with their values, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(Vec<Entry>);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Position,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.0.iter().position(|entry| entry.key == key)?;
        Some(self.0.remove(index))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// The value at the end of a path of keys.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Node> {
        let (key, rest) = path.split_first()?;
        let node = &self.get(key)?.node;
        match &node.value {
            _ if rest.is_empty() => Some(node),
            Value::Table(table) => table.find(rest),
            _ => None,
        }
    }

    /// Lays this table over `defaults`: tables are merged, everything else replaces.
    ///
    /// What is an alternative is not mixed: an own `every` drops a default `cron` and the other
    /// way round, an own `kind` drops the defaults of another kind, `delete` is replaced whole. A
    /// word that is no kind drops nothing: what it hides would be called missing.
    pub(super) fn over(mut self, defaults: &Self) -> Self {
        let kind = |table: &Self| table.find(&["kind"]).and_then(Node::text).map(str::to_owned);
        if let (Some(own), Some(default)) = (kind(&self), kind(defaults))
            && own != default
            && KINDS.contains(&own.as_str())
        {
            return self;
        }
        for default in &defaults.0 {
            let replaced = match default.key.as_str() {
                "every" => self.get("cron").is_some(),
                "cron" | "timezone" => self.get("every").is_some(),
                _ => false,
            };
            if replaced {
                continue;
            }
            match self.0.iter_mut().find(|entry| entry.key == default.key) {
                None => self.0.push(default.clone()),
                Some(own) if own.key == "delete" => {}
                Some(own) => {
                    if let (Value::Table(own), Value::Table(default)) =
                        (&mut own.node.value, &default.node.value)
                    {
                        *own = std::mem::take(own).over(default);
                    }
                }
            }
        }
        self
    }
}

/// A file's table, or every error of its syntax.
pub(super) fn read(source: &SourceText) -> Result<Node, Vec<Problem>> {
    let places = Places::of(source);
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        let (span, table) = (table.span(), table.into_inner());
        let value = places.table(&table, |key| key == "defaults");
        return Ok(Node { at: places.place(span.start, false), value });
    }
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            // The message describes the grammar; it never holds a piece of the source.
            let at = places.place(error.span().map_or(0, |span| span.start), false);
            let message = format!("not TOML: {}", error.message());
            Problem::new(&at, String::new(), message)
        })
        .collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    // What follows a first error in a line is mostly its echo.
    problems.dedup_by_key(|problem| problem.line);
    Err(problems)
}

/// Turns offsets into lines and columns.
struct Places<'t> {
    file: Arc<str>,
    text: &'t str,
    /// The offset of the first byte of each line.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    fn of(source: &'t SourceText) -> Self {
        let breaks = source.text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self {
            file: source.name.as_str().into(),
            text: &source.text,
            lines: std::iter::once(0).chain(breaks).collect(),
        }
    }

    fn place(&self, offset: usize, shared: bool) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied();
        let before = self.text.get(start.unwrap_or(0)..offset).unwrap_or_default();
        Position { file: Arc::clone(&self.file), line, column: before.chars().count() + 1, shared }
    }

    fn table(&self, table: &DeTable<'_>, shared: impl Fn(&str) -> bool) -> Value {
        let entries = table.iter().map(|(key, value)| {
            let shared = shared(key.get_ref());
            Entry {
                key: key.get_ref().to_string(),
                key_at: self.place(key.span().start, shared),
                node: self.node(value, shared),
            }
        });
        Value::Table(Table(entries.collect()))
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, shared: bool) -> Node {
        let at = self.place(value.span().start, shared);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            DeValue::Float(float) => Value::Float(float.as_str().parse().ok()),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| self.node(item, shared)).collect())
            }
            DeValue::Table(table) => self.table(table, |_| shared),
        };
        Node { at, value }
    }
}
