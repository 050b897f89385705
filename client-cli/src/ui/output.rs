//! The data that a verb answers with, in the format that `-o` asks for.

use std::io::{IsTerminal as _, stdout};

use clap::ValueEnum;
use serde::Serialize;

use super::Ui;
use super::details::Details;
use super::table::{self, Cell};
use crate::error::Error;

/// How a verb writes its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// A JSON document in each line
    Jsonl,
    /// Ids only, one in each line
    Name,
}

/// The option that every verb has.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// How to write the result to stdout
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) output: Format,
}

/// One of several things that a verb answers with.
pub(crate) trait Entry: Serialize {
    /// The table's header.
    const COLUMNS: &'static [&'static str];

    /// One cell for each column.
    fn cells(&self) -> Vec<Cell>;

    /// Rows below the first one.
    fn further_rows(&self) -> Vec<Vec<Cell>> {
        Vec::new()
    }

    /// What `-o name` writes.
    fn name(&self) -> String;
}

/// The one thing that a verb answers with.
pub(crate) trait Subject: Serialize {
    /// What a person reads.
    fn details(&self) -> Details;

    /// What `-o name` writes.
    fn name(&self) -> String;
}

impl Ui {
    /// Writes several things.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) fn entries<T: Entry>(self, format: Format, entries: &[T]) -> Result<(), Error> {
        match format {
            Format::Table if entries.is_empty() => Ok(()),
            Format::Table => {
                let rows = rows(entries);
                self.data(&table::draw(T::COLUMNS, rows, stdout().is_terminal()))
            }
            Format::Json => self.data(&(pretty(&entries) + "\n")),
            Format::Jsonl => {
                self.data(&entries.iter().map(|entry| compact(entry) + "\n").collect::<String>())
            }
            Format::Name => {
                self.data(&entries.iter().map(|entry| entry.name() + "\n").collect::<String>())
            }
        }
    }

    /// Writes one thing.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) fn subject<T: Subject>(self, format: Format, subject: &T) -> Result<(), Error> {
        self.data(&match format {
            Format::Table => subject.details().to_string(),
            Format::Json => pretty(subject) + "\n",
            Format::Jsonl => compact(subject) + "\n",
            Format::Name => subject.name() + "\n",
        })
    }
}

impl Ui {
    /// Writes several things in full.
    ///
    /// # Errors
    /// The stream's.
    pub(crate) fn subjects<T: Subject>(self, format: Format, subjects: &[T]) -> Result<(), Error> {
        self.data(&match format {
            Format::Table => {
                let pages: Vec<String> =
                    subjects.iter().map(|subject| subject.details().to_string()).collect();
                pages.join("\n")
            }
            Format::Json => pretty(&subjects) + "\n",
            Format::Jsonl => subjects.iter().map(|subject| compact(subject) + "\n").collect(),
            Format::Name => subjects.iter().map(|subject| subject.name() + "\n").collect(),
        })
    }
}

/// The rows of a table of entries.
pub(crate) fn rows<T: Entry>(entries: &[T]) -> Vec<Vec<Cell>> {
    entries
        .iter()
        .flat_map(|entry| std::iter::once(entry.cells()).chain(entry.further_rows()))
        .collect()
}

fn pretty<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("what verbs answer with is JSON")
}

fn compact<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("what verbs answer with is JSON")
}
