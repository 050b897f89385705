//! The rows of the table, one module each.

mod changes;
mod diff;
mod first_sync;
mod freshness;
mod killed;
mod monitor;
mod reading;
mod refused;
mod restless;
mod start;
mod unchanged;

use std::{process::ExitCode, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    figure::{Figure, Verdict},
    options::Options,
    report::Report,
    say,
};

/// A row that takes longer hangs: on a busy machine that of the monitor takes twenty minutes.
const ROW_LIMIT: Duration = Duration::from_mins(45);

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// A run of a list in which nothing changed: requests, Temporal actions, history events; and how
    /// many requests publish a run's state
    Unchanged,
    /// A run after a few changes in a large list: requests
    Changes,
    /// The first sync of a large list, against fetching and posting alone
    FirstSync,
    /// Reading a large list from a source that takes its time
    Reading,
    /// The comparison of two large listings, against DuckDB
    Diff,
    /// From the trigger of a run to its first request
    Start,
    /// Records that the destination refuses: requests
    Refused,
    /// A worker that is killed: when another one is at work, and what it does again
    Killed,
    /// Answers of the freshness gate, against a handler that returns a constant
    Freshness,
    /// A list that changes while it is read, for ten minutes: every green run exact
    Restless,
    /// A pass of the monitor over many schedules: requests, and time beside listing them
    Monitor,
}

impl Row {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changes => "changes",
            Self::FirstSync => "first-sync",
            Self::Reading => "reading",
            Self::Diff => "diff",
            Self::Start => "start",
            Self::Refused => "refused",
            Self::Killed => "killed",
            Self::Freshness => "freshness",
            Self::Monitor => "monitor",
            Self::Restless => "restless",
        }
    }

    async fn measure(self, options: &Options) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Unchanged => unchanged::measure(options).await,
            Self::Changes => changes::measure(options).await,
            Self::FirstSync => first_sync::measure(options).await,
            Self::Reading => reading::measure(options).await,
            Self::Diff => diff::measure(options).await,
            Self::Start => start::measure(options).await,
            Self::Refused => refused::measure(options).await,
            Self::Killed => killed::measure(options).await,
            Self::Freshness => freshness::measure(options).await,
            Self::Monitor => Box::pin(monitor::measure(options)).await,
            Self::Restless => Box::pin(restless::measure(options)).await,
        }
    }
}

/// Measures the rows that were asked for, prints the table, writes the JSON.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<ExitCode> {
    let asked = |row: &Row| options.only.is_empty() || options.only.contains(row);
    let mut report = Report::new(options.quick);
    for &row in Row::value_variants().iter().filter(|row| asked(row)) {
        say(&format!("{} …", row.name()));
        let figures = match tokio::time::timeout(ROW_LIMIT, Box::pin(row.measure(options))).await {
            Ok(Ok(figures)) => figures,
            Ok(Err(error)) => vec![Figure::missing(row, "all", format!("{error:#}"))],
            Err(_) => {
                vec![Figure::missing(row, "all", format!("it was not done after {ROW_LIMIT:?}"))]
            }
        };
        for figure in &figures {
            let measured = figure.measured.map(|value| figure.unit.show(value));
            let measured = measured.unwrap_or_default();
            say(&format!("  {}: {measured} {}", figure.figure, verdict(figure)));
        }
        report.add(figures);
        // After each row: what was measured is not lost when a later one hangs.
        report.write(&options.out)?;
    }
    print(&report.table());
    say(&format!("written to {}", options.out.display()));
    Ok(if report.reached() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(figure: &Figure) -> String {
    let note = if figure.note.is_empty() { String::new() } else { format!(" ({})", figure.note) };
    match figure.verdict {
        Verdict::Printed => note,
        other => format!("[{}]{note}", other.show()),
    }
}

#[expect(clippy::print_stdout, reason = "the table is the program's data")]
fn print(table: &str) {
    println!("{table}");
}

/// A count with its thousands apart: 1,000,000.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
