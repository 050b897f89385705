//! A table of a definition while it is read: each key is asked for once, what nobody asked for is
//! unknown.

use std::cell::RefCell;

use super::form::{Form, Refusal};
use super::problem::Problem;
use super::shape::Shape;
use super::tree::{Entry, Position, Table, Value};

/// The problem is in the list already; whoever holds this has nothing to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported;

/// Collects problems. A connection's name is added to what concerns only it.
#[derive(Debug, Default)]
pub(super) struct Reports {
    problems: RefCell<Vec<Problem>>,
    connection: Option<String>,
    /// What was asked for, if somebody wants to know.
    keys: Option<RefCell<Vec<Key>>>,
}

/// A key that was asked for: what a definition may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// From the connection on, with dots: `source.list_id`.
    pub(super) path: String,
    pub(super) shape: Shape,
    /// Nothing holds if it is missing.
    pub(super) required: bool,
}

/// Stands for any other key in a [`Key`]'s path.
pub(super) const ANY_KEY: &str = "*";

impl Reports {
    pub(super) fn of_connection(connection: Option<String>) -> Self {
        Self { connection, ..Self::default() }
    }

    /// Reports that also note which keys are asked for.
    pub(super) fn of_keys() -> Self {
        Self { keys: Some(RefCell::default()), ..Self::default() }
    }

    fn asked(&self, path: String, shape: Shape, required: bool) {
        if let Some(keys) = &self.keys {
            keys.borrow_mut().push(Key { path, shape, required });
        }
    }

    /// The keys that were asked for.
    pub(super) fn into_keys(self) -> Vec<Key> {
        self.keys.map(RefCell::into_inner).unwrap_or_default()
    }

    /// A problem of one value. In `[defaults]` it belongs to no connection in particular.
    fn value(&self, at: &Position, problem: Problem) -> Reported {
        let connection = if at.shared { None } else { self.connection.clone() };
        self.add(Problem { connection, ..problem })
    }

    /// A problem between values, of which only some may stand in `[defaults]`.
    pub(super) fn between(&self, problem: Problem) -> Reported {
        self.add(Problem { connection: self.connection.clone(), ..problem })
    }

    /// A problem outside of any connection.
    pub(super) fn add(&self, problem: Problem) -> Reported {
        self.problems.borrow_mut().push(problem);
        Reported
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A table of a definition while it is read.
pub struct Section<'t> {
    /// Its path with a dot behind it; empty for the connection itself.
    prefix: String,
    at: &'t Position,
    table: Option<&'t Table>,
    asked: Vec<&'static str>,
    /// Keys that are known in other tables of the same file.
    elsewhere: Elsewhere,
    reports: &'t Reports,
}

/// Keys by the table that they belong to.
pub(super) type Elsewhere = &'static [(&'static str, &'static [&'static str])];

impl<'t> Section<'t> {
    pub(super) fn root(at: &'t Position, table: &'t Table, reports: &'t Reports) -> Self {
        Self {
            prefix: String::new(),
            at,
            table: Some(table),
            asked: Vec::new(),
            elsewhere: KEYS,
            reports,
        }
    }

    /// A table of another kind than a connection, under `key`.
    pub(super) fn apart(
        key: &str,
        at: &'t Position,
        table: &'t Table,
        reports: &'t Reports,
    ) -> Self {
        let prefix = format!("{key}.");
        Self { prefix, at, table: Some(table), asked: Vec::new(), elsewhere: &[], reports }
    }

    /// The table under `key`. If it is missing it reads as empty, so that each of its required
    /// keys is named.
    pub(super) fn section(&mut self, key: &'static str) -> Result<Section<'t>, Reported> {
        let (at, table) = match self.entry(key) {
            None => (self.at, None),
            Some(entry) => match &entry.node.value {
                Value::Table(table) => (&entry.key_at, Some(table)),
                other => return Err(self.refuse(entry, Refusal::expected("a table", other))),
            },
        };
        let prefix = format!("{}{key}.", self.prefix);
        let (elsewhere, reports) = (self.elsewhere, self.reports);
        Ok(Section { prefix, at, table, asked: Vec::new(), elsewhere, reports })
    }

    /// The table under `key`, `None` if it is missing.
    pub(super) fn optional_section(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Section<'t>>, Reported> {
        let section = self.section(key)?;
        Ok(section.table.is_some().then_some(section))
    }

    /// Whether nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_none_or(|table| table.iter().next().is_none())
    }

    /// Whether `key` is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    /// The place of a key, or of the section if the key is missing.
    pub(super) fn at(&self, key: &str) -> &'t Position {
        let entry = self.table.and_then(|table| table.get(key));
        entry.map_or(self.at, |entry| &entry.node.at)
    }

    pub(super) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The value of `key`, `None` if it is missing.
    ///
    /// # Errors
    /// It is of another form.
    pub fn optional<T: 'static>(
        &mut self,
        key: &'static str,
        form: Form<T>,
    ) -> Result<Option<T>, Reported> {
        self.value(key, form, false)
    }

    fn value<T: 'static>(
        &mut self,
        key: &'static str,
        form: Form<T>,
        required: bool,
    ) -> Result<Option<T>, Reported> {
        let value = match self.entry(key) {
            None => Ok(None),
            Some(entry) => form
                .read(&entry.node.value)
                .map(Some)
                .map_err(|refusal| self.refuse(entry, refusal)),
        };
        self.reports.asked(self.path(key), form.into_shape(), required);
        value
    }

    /// The value of `key`, or what holds if it is missing.
    ///
    /// # Errors
    /// It is of another form.
    pub fn or<T: 'static>(
        &mut self,
        key: &'static str,
        default: T,
        form: Form<T>,
    ) -> Result<T, Reported> {
        Ok(self.optional(key, form)?.unwrap_or(default))
    }

    /// The value of `key`; `hint` tells what to write if it is missing.
    ///
    /// # Errors
    /// It is missing, or of another form.
    pub fn required<T: 'static>(
        &mut self,
        key: &'static str,
        hint: &str,
        form: Form<T>,
    ) -> Result<T, Reported> {
        match self.value(key, form, true)? {
            Some(value) => Ok(value),
            None => Err(self.missing(key, hint)),
        }
    }

    /// Reports that `key` is missing.
    pub(super) fn missing(&self, key: &str, hint: &str) -> Reported {
        let path = self.path(key);
        let message = format!("`{path}` is missing");
        self.reports.between(Problem::new(self.at, path, message).hint(hint))
    }

    /// Reports what is wrong between `key` and others; `message` goes on after the key.
    pub fn conflict(&self, key: &str, message: &str, hint: &str) -> Reported {
        let path = self.path(key);
        let message = format!("`{path}` {message}");
        self.reports.between(Problem::new(self.at(key), path, message).hint(hint))
    }

    /// What was not asked for, where any key is allowed; `shape` is that of its values.
    pub(super) fn others(&mut self, shape: Shape) -> Vec<&'t Entry> {
        self.reports.asked(self.path(ANY_KEY), shape, false);
        self.rest()
    }

    fn rest(&mut self) -> Vec<&'t Entry> {
        let asked = std::mem::take(&mut self.asked);
        let entries = self.table.into_iter().flat_map(Table::iter);
        entries.filter(|entry| !asked.contains(&entry.key.as_str())).collect()
    }

    /// Reports what was not asked for as unknown.
    pub(super) fn finish(mut self) {
        let known = self.asked.clone();
        for entry in self.rest() {
            let path = self.path(&entry.key);
            let message = format!("`{}` is unknown", shown(&path));
            let problem = Problem::new(&entry.key_at, path, message);
            self.reports
                .value(&entry.key_at, problem.hint(suggestion(&entry.key, &known, self.elsewhere)));
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.asked.push(key);
        self.table?.get(key)
    }

    /// Reports that the value of an entry is not as it should be.
    pub(super) fn refuse(&self, entry: &Entry, refusal: Refusal) -> Reported {
        let Refusal { message, hint, others } = refusal;
        let at = &entry.node.at;
        let path = self.path(&entry.key);
        let message = format!("`{}` {message}", shown(&path));
        let problem = Problem { hint, ..Problem::new(at, path, message) };
        let reported = self.reports.value(at, problem);
        for other in others {
            self.refuse(entry, other);
        }
        reported
    }
}

/// A key as it may stand in a message: control characters escaped, not too long.
fn shown(path: &str) -> String {
    path.chars().take(100).flat_map(char::escape_debug).collect()
}

/// What to write instead of a key that is unknown among `known`.
pub(super) fn suggestion(key: &str, known: &[&str], elsewhere: Elsewhere) -> String {
    let belongs = elsewhere.iter().find(|(_, keys)| keys.contains(&key));
    match (nearest(key, known), belongs) {
        (Some(nearest), _) => did_you_mean(nearest),
        (None, Some((section, _))) => format!("it belongs under {section}"),
        (None, None) => format!("known here: {}", list(known, "and")),
    }
}

/// The keys by the table that they belong to, for those who write one into another.
pub(super) const KEYS: Elsewhere = &[
    ("[[connection]]", &["every", "cron", "timezone", "max_lag", "id_scope"]),
    ("[connection.source]", &["list_id", "statuses", "base_url", "page_size"]),
    (
        "[connection.destination]",
        &["url", "header", "delete", "read", "batch_records", "batch_bytes", "rejected_path"],
    ),
    ("[connection.record]", &["id_prefix"]),
    (
        "[connection.policy]",
        &[
            "deletions",
            "hold_deletions",
            "invalid_records",
            "required",
            "full_read",
            "deadline",
            "retry_rejected",
            "fail_rejected_over",
            "keep_raw",
            "keep_commits",
        ],
    ),
];

/// The known word that `word` is most likely meant to be.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&word, known);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(nearest) >= 0.6).then_some(nearest)
}

pub(super) fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// `a`, `b`, and `c`.
pub(super) fn list(words: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [one, other] => format!("{one} {conjunction} {other}"),
        [first @ .., last] => format!("{}, {conjunction} {last}", first.join(", ")),
    }
}
