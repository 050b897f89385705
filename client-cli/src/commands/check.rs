//! `check`: look whether definitions would work, without changing anything.

use std::path::PathBuf;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_model::check::SampleRecord;
use tidemark_model::definition::{Definition, parse};
use tidemark_model::failure::{Failure, Side};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::probe::{Probe, Probed};
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::text::counted;
use crate::{files, on_worker, secrets};

/// Connections that are looked at at once.
const SIMULTANEOUS: usize = 8;

/// Look whether definitions would work, without changing anything
///
/// Every problem of every file is told at once. Then both ends are asked: does the key work, is
/// the list there, does the mapping fit. They are asked from here, with the secrets that are at
/// hand here, or with --on-worker from where the workers are, with theirs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders of .toml files, or - for stdin
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,

    /// Only look at the files
    #[arg(long)]
    offline: bool,

    /// Let a worker ask both ends, with its own secrets
    #[arg(long, conflicts_with = "offline")]
    on_worker: bool,

    /// Show the contents of the sample records, which may be personal data
    #[arg(long, conflicts_with = "offline")]
    values: bool,

    #[command(flatten)]
    output: OutputArgs,
}

/// What was found about one definition.
#[derive(Debug, Serialize)]
struct Checked {
    id: ConnectionId,
    summary: String,
    ok: bool,
    source: Option<SourceFound>,
    destination: Option<String>,
    problems: Vec<ProblemFound>,
}

#[derive(Debug, Serialize)]
struct SourceFound {
    name: String,
    row_total: u64,
    invalid_count: u64,
    invalid_reasons: Vec<(String, u64)>,
    samples: Vec<SampleRecord>,
}

#[derive(Debug, Serialize)]
struct ProblemFound {
    message: String,
    hint: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        if self.on_worker && self.values {
            return Err(Error::usage(
                "--values and --on-worker exclude each other: contents of records never cross \
                 Temporal",
                "leave one of them out; --values needs the secrets here",
            ));
        }
        let texts = files::read(&self.paths)?;
        let stored = stored(session).await;
        let definitions =
            parse(&texts, &stored).map_err(|problems| Error::Definitions { problems })?;
        let asker = self.asker(session).await?;
        let checked: Vec<Checked> = stream::iter(&definitions)
            .map(|definition| check(&asker, definition, self.values))
            .buffered(SIMULTANEOUS)
            .try_collect()
            .await?;
        session.ui().subjects(self.output.output, &checked)?;
        let count = checked.len();
        match checked.iter().filter(|checked| !checked.ok).count() {
            0 => Ok(Exit::Ok),
            failed_count => Err(Error::CheckFailed { failed_count, count }),
        }
    }
}

impl Args {
    async fn asker<'s>(&self, session: &'s Session) -> Result<Asker<'s>, Error> {
        if self.offline {
            Ok(Asker::Nobody)
        } else if self.on_worker {
            on_worker::insist_on_one(session).await?;
            Ok(Asker::Worker(session))
        } else {
            Ok(Asker::Here(Probe::new()?))
        }
    }
}

/// Who asks both ends.
enum Asker<'s> {
    Nobody,
    Here(Probe),
    Worker(&'s Session),
}

/// Definitions of other connections, if a store is at hand: two must not delete each other's
/// records. A check needs no store.
async fn stored(session: &Session) -> Vec<Definition> {
    let Ok(store) = session.store().await else { return Vec::new() };
    let all = definitions::all(store).await.unwrap_or_default();
    all.into_iter().filter_map(|(_, stored)| stored.definition).collect()
}

/// Looks at one definition.
///
/// # Errors
/// No worker can be asked. What would not work is no error but part of the answer.
async fn check(asker: &Asker<'_>, definition: &Definition, values: bool) -> Result<Checked, Error> {
    let mut checked = Checked {
        id: definition.id().clone(),
        summary: definition.summary(),
        ok: true,
        source: None,
        destination: None,
        problems: Vec::new(),
    };
    let (probed, missing) = match asker {
        Asker::Nobody => return Ok(checked),
        Asker::Here(probe) => (probe.look(definition).await, secrets::missing(definition)),
        Asker::Worker(session) => {
            (Probed::of(definition, on_worker::check(session, definition).await?), Vec::new())
        }
    };
    for one in &missing {
        let hint = "set it for this command as well, or let a worker look with --on-worker";
        checked.problem(one.message(), Some(hint.to_owned()));
    }
    // What the missing secret of an end leads to is no second problem.
    let at_hand = |side| !missing.iter().any(|one| one.side == side);
    match probed.source {
        Ok(found) => {
            checked.source = Some(SourceFound {
                name: found.name,
                row_total: found.row_total,
                invalid_count: found.invalid_count,
                invalid_reasons: found.invalid_reasons,
                samples: found.samples.into_iter().map(|one| sample(one, values)).collect(),
            });
        }
        Err(failure) if at_hand(Side::Source) => checked.failure(&failure),
        Err(_) => {}
    }
    match probed.destination {
        Ok(found) => checked.destination = Some(found.answer),
        Err(failure) if at_hand(Side::Destination) => checked.failure(&failure),
        Err(_) => {}
    }
    Ok(checked)
}

/// A worker masks before it answers; a mask of a mask is the same.
fn sample(record: SampleRecord, values: bool) -> SampleRecord {
    if values { record } else { record.masked() }
}

impl Checked {
    fn problem(&mut self, message: String, hint: Option<String>) {
        self.ok = false;
        // What keeps both ends from being asked is one problem.
        if self.problems.iter().any(|problem| problem.message == message) {
            return;
        }
        self.problems.push(ProblemFound { message, hint });
    }

    fn failure(&mut self, failure: &Failure) {
        let mut message = failure.message.clone();
        for cause in &failure.causes {
            message += &format!(": {cause}");
        }
        self.problem(message, failure.hint.clone());
    }
}

impl Subject for Checked {
    fn details(&self) -> Details {
        let mut details = Details::default()
            .section(self.id.as_str())
            .pair("definition", &self.summary)
            .pair_if("destination", self.destination.as_deref());
        if let Some(source) = &self.source {
            details = details
                .pair("source", format!("{}, {}", source.name, counted(source.row_total, "row")));
            if source.invalid_count > 0 {
                let mut invalid =
                    format!("{} of the first page", counted(source.invalid_count, "row"));
                for (reason, count) in &source.invalid_reasons {
                    invalid += &format!("\n{count} × {reason}");
                }
                details = details.pair("invalid", invalid);
            }
            for (place, sample) in (1..).zip(&source.samples) {
                let fields: Vec<String> =
                    sample.fields.iter().map(|(name, text)| format!("{name} = {text}")).collect();
                details = details.pair(&format!("record {place}"), fields.join("\n"));
            }
        }
        for problem in &self.problems {
            details =
                details.pair("problem", &problem.message).pair_if("hint", problem.hint.as_deref());
        }
        details.pair("result", if self.ok { "ok" } else { "would not work" })
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}
