//! `check`: look whether definitions would work, without changing anything.

use std::path::PathBuf;

use futures::{StreamExt as _, stream};
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::port::SampleRecord;
use tidemark_model::definition::{Definition, parse};
use tidemark_model::failure::{Failure, Side};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::exit::Exit;
use crate::probe::{Probe, Probed};
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::text::{counted, cut};
use crate::{files, secrets};

/// Connections that are looked at at once.
const SIMULTANEOUS: usize = 8;

/// Look whether definitions would work, without changing anything
///
/// Every problem of every file is told at once. Then both ends are asked from here, with the
/// secrets that are at hand here: does the key work, is the list there, does the mapping fit.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, folders of .toml files, or - for stdin
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,

    /// Only look at the files
    #[arg(long)]
    offline: bool,

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
    samples: Vec<Sample>,
}

/// A record as it would be sent.
#[derive(Debug, Serialize)]
struct Sample {
    fields: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct ProblemFound {
    message: String,
    hint: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let texts = files::read(&self.paths)?;
        let stored = stored(session).await;
        let definitions =
            parse(&texts, &stored).map_err(|problems| Error::Definitions { problems })?;
        let probe = if self.offline { None } else { Some(Probe::new()?) };
        let checked: Vec<Checked> = stream::iter(&definitions)
            .map(|definition| check(probe.as_ref(), definition, self.values))
            .buffered(SIMULTANEOUS)
            .collect()
            .await;
        session.ui().subjects(self.output.output, &checked)?;
        let count = checked.len();
        match checked.iter().filter(|checked| !checked.ok).count() {
            0 => Ok(Exit::Ok),
            failed_count => Err(Error::CheckFailed { failed_count, count }),
        }
    }
}

/// Definitions of other connections, if a store is at hand: two must not delete each other's
/// records. A check needs no store.
async fn stored(session: &Session) -> Vec<Definition> {
    let Ok(store) = session.store().await else { return Vec::new() };
    let all = definitions::all(store).await.unwrap_or_default();
    all.into_iter().filter_map(|(_, stored)| stored.definition).collect()
}

async fn check(probe: Option<&Probe>, definition: &Definition, values: bool) -> Checked {
    let mut checked = Checked {
        id: definition.id().clone(),
        summary: definition.summary(),
        ok: true,
        source: None,
        destination: None,
        problems: Vec::new(),
    };
    let Some(probe) = probe else { return checked };
    let missing = secrets::missing(definition);
    for one in &missing {
        checked.problem(one.message(), Some("set it for this command as well".to_owned()));
    }
    // What the missing secret of an end leads to is no second problem.
    let at_hand = |side| !missing.iter().any(|one| one.side == side);
    let Probed { source, destination } = probe.look(definition).await;
    match source {
        Ok(found) => {
            checked.source = Some(SourceFound {
                name: found.name,
                row_total: found.row_total,
                invalid_count: found.invalid_count,
                samples: found.samples.into_iter().map(|one| sample(one, values)).collect(),
            });
        }
        Err(failure) if at_hand(Side::Source) => checked.failure(&failure),
        Err(_) => {}
    }
    match destination {
        Ok(found) => checked.destination = Some(found.answer),
        Err(failure) if at_hand(Side::Destination) => checked.failure(&failure),
        Err(_) => {}
    }
    checked
}

fn sample(record: SampleRecord, values: bool) -> Sample {
    let shown = |text: String| if values { text } else { masked(&text) };
    Sample { fields: record.fields.into_iter().map(|(name, text)| (name, shown(text))).collect() }
}

/// The shape of a text without its content: letters are x, digits 9.
pub(crate) fn masked(text: &str) -> String {
    let shape: String = text
        .chars()
        .map(|c| match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_alphanumeric() => 'x',
            c => c,
        })
        .collect();
    cut(&shape, 40)
}

impl Checked {
    fn problem(&mut self, message: String, hint: Option<String>) {
        self.ok = false;
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
                let count = counted(source.invalid_count, "row");
                details = details.pair("invalid", format!("{count} of the first page"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_shape_and_nothing_else() {
        assert_eq!(masked("Ada.Lovelace+1815@example.com"), "xxx.xxxxxxxx+9999@xxxxxxx.xxx");
        assert_eq!(masked("Żółć 12"), "xxxx 99");
        assert_eq!(masked(&"a".repeat(1_000)).chars().count(), 40);
    }
}
