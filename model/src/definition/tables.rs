//! Tables of other files, read as definitions are: every problem at once, with its place and the
//! nearest key, and no value ever repeated.

pub use super::form::{Form, checked, flag, one_of, secret_of, set, word};
use super::parse::SourceText;
use super::problem::{Problem, Problems};
use super::section::Reports;
pub use super::section::{Reported, Section};
use super::tree::{self, Node, Position, Table, Value};

/// Reads every `[[key]]` of a file, which may have none. Other keys of the file are somebody
/// else's. `read` asks a table for each of its keys once; what it does not ask for is unknown.
///
/// # Errors
/// Everything that is wrong in any of the tables, or the syntax of the file.
pub fn read<T>(
    file: &SourceText,
    key: &'static str,
    mut read: impl FnMut(&mut Section<'_>) -> Result<T, Reported>,
) -> Result<Vec<T>, Problems> {
    let document = match tree::read(file) {
        Ok(document) => document,
        Err(problems) => return Problems::none_in(problems).map(|()| Vec::new()),
    };
    let reports = Reports::default();
    let read: Vec<_> = tables(&document, key, &reports)
        .into_iter()
        .map(|(at, table)| {
            let mut section = Section::apart(key, at, table, &reports);
            let value = read(&mut section);
            section.finish();
            value
        })
        .collect();
    let mut problems = reports.into_problems();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Problems::none_in(problems)?;
    let read: Result<_, Reported> = read.into_iter().collect();
    Ok(read.expect("whatever keeps a table from being read was reported"))
}

fn tables<'n>(
    document: &'n Node,
    key: &'static str,
    reports: &Reports,
) -> Vec<(&'n Position, &'n Table)> {
    let Value::Table(document) = &document.value else { return Vec::new() };
    let Some(entry) = document.get(key) else { return Vec::new() };
    let refuse = |at: &Position, message: String| {
        let problem = Problem::new(at, key.to_owned(), message);
        reports.add(problem.hint(format!("begin each {key} with [[{key}]]")));
    };
    let Value::Array(items) = &entry.node.value else {
        let found = entry.node.value.kind();
        refuse(&entry.node.at, format!("`{key}` has to be a list of tables, found {found}"));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for item in items {
        match &item.value {
            Value::Table(table) => tables.push((&item.at, table)),
            other => {
                let found = other.kind();
                refuse(&item.at, format!("each `{key}` has to be a table, found {found}"));
            }
        }
    }
    tables
}
