//! From the texts of files to checked definitions.

use std::collections::{BTreeMap, BTreeSet};

use super::Definition;
use super::draft::{self, Draft};
use super::problem::{Problem, Problems};
use super::section::{KEYS, Reported, Reports, suggestion};
use super::territory::territories_are_apart;
use super::tree::{self, Node, Position, Table, Value};
use crate::ids::ConnectionId;

/// The text of one file.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// The path that problems show, or `<stdin>`.
    pub name: String,
    /// TOML.
    pub text: String,
}

/// Reads and checks the connections of all files, in the order in which they stand.
///
/// `[defaults]` of a file are merged into the connections of that file. `stored` are the
/// definitions that hold already; those that the files define again are left out of account.
///
/// # Errors
/// Everything that is wrong in any file. Nothing may be created then.
pub fn parse(files: &[SourceText], stored: &[Definition]) -> Result<Vec<Definition>, Problems> {
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    for file in files {
        match tree::read(file) {
            Ok(document) => connections(document, &mut drafts, &mut problems),
            Err(errors) => problems.extend(errors),
        }
    }
    let reports = Reports::default();
    ids_are_unique(&drafts, &reports);
    territories_are_apart(&drafts, stored, &reports);
    problems.extend(reports.into_problems());
    in_order(&mut problems, files);
    Problems::none_in(problems)?;
    let definitions: Result<_, Reported> = drafts.into_iter().map(Draft::finish).collect();
    Ok(definitions.expect("whatever keeps a draft from its end was reported"))
}

/// Sorts problems by file and line. What is wrong in `[defaults]` was met once for each
/// connection; it stays once.
fn in_order(problems: &mut Vec<Problem>, files: &[SourceText]) {
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems.sort_by_key(|problem| {
        let file = files.iter().position(|file| file.name == problem.file);
        (file, problem.line, problem.column)
    });
}

/// Reads the connections of one file.
fn connections(document: Node, drafts: &mut Vec<Draft>, problems: &mut Vec<Problem>) {
    let Value::Table(mut document_table) = document.value else { return };
    let reports = Reports::default();
    let defaults = document_table.remove("defaults").map(|entry| entry.node);
    let connections = document_table.remove("connection").map(|entry| entry.node);
    for entry in document_table.iter() {
        let problem = Problem::new(
            &entry.key_at,
            entry.key.clone(),
            format!("`{}` is unknown", entry.key.escape_debug()),
        );
        reports.add(problem.hint(suggestion(&entry.key, &["connection", "defaults"], KEYS)));
    }
    let defaults = defaults.map(|node| defaults_of(node, &reports)).unwrap_or_default();
    let items = match connections {
        None => {
            let message = "`connection` is missing: the file defines none";
            let problem = Problem::new(&document.at, "connection".to_owned(), message);
            reports.add(problem.hint("begin each connection with [[connection]]"));
            Vec::new()
        }
        Some(Node { value: Value::Array(items), at }) => {
            if items.is_empty() {
                let message = "`connection` is empty: the file defines none";
                let problem = Problem::new(&at, "connection".to_owned(), message);
                reports.add(problem.hint("begin each connection with [[connection]]"));
            }
            items
        }
        Some(Node { value, at }) => {
            let message =
                format!("`connection` has to be a list of tables, found {}", value.kind());
            let problem = Problem::new(&at, "connection".to_owned(), message);
            reports.add(problem.hint("begin each connection with [[connection]]"));
            Vec::new()
        }
    };
    for item in items {
        match item.value {
            Value::Table(table) => {
                let (draft, of_connection) = connection(&item.at, table, &defaults);
                drafts.push(draft);
                problems.extend(of_connection);
            }
            other => {
                let message =
                    format!("each `connection` has to be a table, found {}", other.kind());
                reports.add(Problem::new(&item.at, "connection".to_owned(), message));
            }
        }
    }
    problems.extend(reports.into_problems());
}

/// Checks what no connection could tell: the rest is checked where it is merged into.
fn defaults_of(node: Node, reports: &Reports) -> Table {
    let mut table = match node.value {
        Value::Table(table) => table,
        other => {
            let message = format!("`defaults` has to be a table, found {}", other.kind());
            reports.add(Problem::new(&node.at, "defaults".to_owned(), message));
            return Table::default();
        }
    };
    if let Some(entry) = table.remove("id") {
        let message = "`defaults.id` is refused: each connection has an id of its own";
        reports.add(Problem::new(&entry.key_at, "defaults.id".to_owned(), message));
    }
    if let (Some(cron), true) = (table.get("cron"), table.get("every").is_some()) {
        let message = "`defaults.cron` excludes `every`";
        let problem = Problem::new(&cron.node.at, "defaults.cron".to_owned(), message);
        reports.add(problem.hint(draft::SCHEDULE_HINT));
        // Said once, and not again of each connection.
        table.remove("every");
    }
    for key in ["source", "destination", "record", "policy"] {
        let Some(entry) = table.get(key) else { continue };
        if !matches!(entry.node.value, Value::Table(_)) {
            let path = format!("defaults.{key}");
            let message = format!("`{path}` has to be a table, found {}", entry.node.value.kind());
            reports.add(Problem::new(&entry.node.at, path, message));
            table.remove(key);
        }
    }
    table
}

fn connection(at: &Position, table: Table, defaults: &Table) -> (Draft, Vec<Problem>) {
    let merged = table.over(defaults);
    let id = merged.get("id").map(|entry| (entry, draft::id().read(&entry.node.value)));
    let name = id.as_ref().and_then(|(_, id)| id.as_ref().ok()).map(ToString::to_string);
    let reports = Reports::of_connection(name);
    let id = match id {
        None => Err(Reported),
        Some((_, Ok(id))) => Ok(id),
        Some((entry, Err(refusal))) => {
            let message = format!("`id` {}", refusal.message);
            let problem = Problem::new(&entry.node.at, "id".to_owned(), message);
            Err(reports.add(Problem { hint: refusal.hint, ..problem }))
        }
    };
    let draft = Draft::read(at, &merged, id, &reports);
    (draft, reports.into_problems())
}

fn ids_are_unique(drafts: &[Draft], reports: &Reports) {
    let mut first: BTreeMap<&ConnectionId, &Position> = BTreeMap::new();
    for draft in drafts {
        let Ok(id) = &draft.id else { continue };
        match first.get(id) {
            None => {
                first.insert(id, &draft.at);
            }
            Some(first) => {
                let message = format!(
                    "`{id}` is defined twice, first at {}:{}:{}",
                    first.file, first.line, first.column
                );
                let problem = Problem::new(&draft.at, "id".to_owned(), message);
                reports.add(problem.hint("give one of the two another id"));
            }
        }
    }
}
