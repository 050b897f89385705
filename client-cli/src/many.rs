//! Doing the same to many connections: go on after an error, and report for each.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::RunRef;

use crate::error::Error;
use crate::exit::Exit;
use crate::run::Ending;
use crate::selection::Chosen;
use crate::session::Session;
use crate::ui::Ui;
use crate::ui::output::{Entry, Format};
use crate::ui::table::{Cell, Tone};
use crate::ui::text::with_hints;

/// Schedules are changed so many at a time: each takes some 20 ms of the server.
const SIMULTANEOUS: usize = 8;

/// What became of one connection.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    connection: ConnectionId,
    /// What was done, or `failed`.
    result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<ReportedRun>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What to do about the error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    #[serde(skip)]
    tone: Tone,
}

/// The run that a report is about.
#[derive(Clone, Debug, Serialize)]
struct ReportedRun {
    workflow_id: String,
    run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl Report {
    /// It was done.
    pub(crate) fn done(connection: &ConnectionId, result: impl Into<String>) -> Self {
        Self {
            connection: connection.clone(),
            result: result.into(),
            run: None,
            ending: None,
            error: None,
            hints: Vec::new(),
            tone: Tone::Plain,
        }
    }

    /// It was not done.
    pub(crate) fn failed(connection: &ConnectionId, error: &Error) -> Self {
        Self {
            error: Some(error.to_string()),
            hints: error.hints(),
            tone: Tone::Bad,
            ..Self::done(connection, "failed")
        }
    }

    /// Says what was done before.
    pub(crate) fn after(mut self, what: &str) -> Self {
        self.result = format!("{what}; {}", self.result);
        self
    }

    /// Names the run that it led to.
    pub(crate) fn run(mut self, run: &RunRef, link: Option<String>) -> Self {
        self.run = Some(ReportedRun {
            workflow_id: run.workflow_id.clone(),
            run_id: run.run_id.clone(),
            link,
        });
        self
    }

    /// Says how the run ended.
    pub(crate) fn ending(mut self, ending: Ending) -> Self {
        self.tone = match ending.exit() {
            Exit::Ok => Tone::Good,
            Exit::Failed => Tone::Bad,
            _ => Tone::Attention,
        };
        ending.as_str().clone_into(&mut self.result);
        self.ending = Some(ending);
        self
    }

    /// What a caller ends with to whom only this was done.
    pub(crate) fn exit(&self) -> Exit {
        self.ending.as_ref().map_or(Exit::Ok, Ending::exit)
    }
}

impl Entry for Report {
    const COLUMNS: &'static [&'static str] = &["CONNECTION", "RESULT", "RUN"];

    fn cells(&self) -> Vec<Cell> {
        let result = match (&self.error, &self.ending) {
            (Some(error), _) => with_hints(&format!("failed: {error}"), &self.hints),
            (None, Some(ending)) => ending.sentence(),
            (None, None) => self.result.clone(),
        };
        vec![
            Cell::new(self.connection.as_str()),
            Cell::new(result).tone(self.tone),
            Cell::or_none(self.run.as_ref().map(|run| run.run_id.as_str())).tone(Tone::Faint),
        ]
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}

/// Does `work` to each connection, some at a time, and keeps their order. When Temporal or the
/// store cannot be reached, the rest is not tried.
pub(crate) async fn each<'c, T>(
    ids: &'c [ConnectionId],
    work: impl AsyncFn(&'c ConnectionId) -> Result<T, Error>,
) -> Vec<(&'c ConnectionId, Result<T, Error>)> {
    let stopped = AtomicBool::new(false);
    stream::iter(ids)
        .map(|id| {
            let (work, stopped) = (&work, &stopped);
            async move {
                if stopped.load(Ordering::Relaxed) {
                    return (id, Err(Error::NotTried));
                }
                let done = work(id).await;
                if matches!(&done, Err(error) if error.exit() == Exit::Unreachable) {
                    stopped.store(true, Ordering::Relaxed);
                }
                (id, done)
            }
        })
        .buffered(SIMULTANEOUS)
        .collect()
        .await
}

/// Writes what became of each. A single connection's error is the verb's own.
///
/// # Errors
/// The only connection's, or [`Error::SomeFailed`].
pub(crate) fn report(
    ui: Ui,
    format: Format,
    results: Vec<(&ConnectionId, Result<Report, Error>)>,
) -> Result<Exit, Error> {
    let count = results.len();
    let mut reports = Vec::with_capacity(count);
    let mut failed_count = 0;
    let mut exits = Vec::with_capacity(count);
    for (id, result) in results {
        match result {
            Ok(report) => {
                exits.push(report.exit());
                reports.push(report);
            }
            Err(error) if count == 1 => return Err(error),
            Err(error) => {
                failed_count += 1;
                reports.push(Report::failed(id, &error));
            }
        }
    }
    ui.entries(format, &reports)?;
    if count > 1 {
        failed_count += exits.iter().filter(|exit| **exit == Exit::Failed).count();
        if failed_count > 0 {
            return Err(Error::SomeFailed { failed_count, count });
        }
    }
    // Of runs that did not fail, the one that is least in step.
    Ok(exits.into_iter().max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok))
}

/// Says what would be done, to each connection that is there.
///
/// # Errors
/// As [`report`].
pub(crate) async fn dry_run(
    session: &Session,
    format: Format,
    chosen: &Chosen,
    would: &str,
) -> Result<Exit, Error> {
    let results = each(&chosen.ids, async |id| {
        session.schedule(id).await?;
        Ok(Report::done(id, format!("would be {would}")))
    })
    .await;
    report(session.ui(), format, results)
}
