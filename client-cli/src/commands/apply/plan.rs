//! What applying definitions would change, and what that costs.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::log::Log;
use tidemark_engine::store::Folder;
use tidemark_model::definition::{Consequence, Counts, Definition, Effect, consequences};
use tidemark_model::failure::Failure;
use tidemark_schedules::{Projection, ProjectionSettings, ScheduleError};

use super::taken;
use crate::error::Error;
use crate::probe::Probe;
use crate::secrets;
use crate::session::Session;
use crate::ui::output::Entry;
use crate::ui::table::{Cell, Tone};
use crate::ui::text::with_hints;

/// Connections that are looked at at once.
const SIMULTANEOUS: usize = 8;

/// What is to be done to one connection.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) definition: Definition,
    /// The newest stored version; 0 if there is none.
    pub(super) stored_version: u32,
    pub(super) kind: Kind,
    pub(super) consequences: Vec<Consequence>,
    /// The address is new and the system behind it is the old one.
    pub(super) same_destination: bool,
    /// Why it is not made: one of its ends says that it would not work, or it is another store's.
    pub(super) refused: Option<Failure>,
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Create,
    Change,
    /// The definition stands, and its schedule is not what follows from it.
    Repair,
    Unchanged,
}

impl Kind {
    fn would(self) -> &'static str {
        match self {
            Self::Create => "would be created",
            Self::Change => "would be changed",
            Self::Repair => "schedule would be repaired",
            Self::Unchanged => "unchanged",
        }
    }

    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change => "changed",
            Self::Repair => "schedule repaired",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Change {
    fn new(definition: Definition, stored_version: u32, kind: Kind) -> Self {
        Self {
            definition,
            stored_version,
            kind,
            consequences: Vec::new(),
            same_destination: false,
            refused: None,
        }
    }

    /// Whether it has to be agreed to.
    pub(super) fn asks(&self) -> bool {
        self.refused.is_none() && self.consequences.iter().any(|consequence| consequence.asks)
    }

    pub(super) fn pending(&self) -> bool {
        self.kind != Kind::Unchanged
    }

    /// As a row of the answer, before it is carried out.
    pub(super) fn planned(&self) -> Applied {
        match &self.refused {
            Some(failure) => self.not_made("refused", &self.refusal(failure), None),
            None => self.applied(self.kind.would()),
        }
    }

    /// The error for a connection that is not made.
    pub(super) fn refusal(&self, failure: &Failure) -> Error {
        Error::Refused { id: self.definition.id().clone(), failure: Box::new(failure.clone()) }
    }

    /// As a row of the answer, if it was not carried out, or not to its end: which version was
    /// stored.
    pub(super) fn not_made(&self, result: &str, error: &Error, stored: Option<u32>) -> Applied {
        // The connection stands beside it already.
        let text = match error {
            Error::Refused { failure, .. } => failure.to_string(),
            other => other.to_string(),
        };
        Applied { error: Some(text), hints: error.hints(), version: stored, ..self.applied(result) }
    }

    /// As a row of the answer.
    pub(super) fn applied(&self, result: &str) -> Applied {
        Applied {
            connection: self.definition.id().to_string(),
            change: Some(self.kind),
            result: result.to_owned(),
            version: None,
            consequences: self.consequences.clone(),
            run_id: None,
            error: None,
            hints: Vec::new(),
        }
    }
}

/// Compares definitions with what is stored and scheduled.
pub(super) struct Planner<'s> {
    pub(super) session: &'s Session,
    settings: ProjectionSettings,
    same_destination: bool,
}

impl<'s> Planner<'s> {
    /// `same_destination`: new addresses are those of the old systems.
    pub(super) fn new(
        session: &'s Session,
        same_destination: bool,
        settings: ProjectionSettings,
    ) -> Self {
        Self { session, settings, same_destination }
    }

    /// What is to be done to each connection.
    ///
    /// # Errors
    /// The store or Temporal does not answer, or `--same-destination` does not fit.
    pub(super) async fn plan(&self, definitions: Vec<Definition>) -> Result<Vec<Change>, Error> {
        stream::iter(definitions)
            .map(|definition| self.change(definition))
            .buffered(SIMULTANEOUS)
            .try_collect()
            .await
    }

    /// What is to be done to one connection.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub(super) async fn change(&self, definition: Definition) -> Result<Change, Error> {
        let folder = self.session.store().await?.connection(definition.id());
        let stored = definitions::newest(&folder).await?;
        let stored_version = stored.as_ref().map_or(0, |stored| stored.version);
        let Some(old) = stored.and_then(|stored| stored.definition) else {
            return self.creation(&folder, definition, stored_version).await;
        };
        if old == definition {
            let kind = if self.scheduled(&definition, stored_version).await? {
                Kind::Unchanged
            } else {
                Kind::Repair
            };
            return Ok(Change::new(definition, stored_version, kind));
        }
        let counts = counts(&Log::open(&folder).await?);
        let mut consequences = consequences(Some(&old), &definition, counts);
        let same_destination = self.same_destination && stays(&definition, &mut consequences)?;
        Ok(Change {
            consequences,
            same_destination,
            ..Change::new(definition, stored_version, Kind::Change)
        })
    }

    /// A connection that is not there. One that was removed goes on from its log, unless that was
    /// purged.
    async fn creation(
        &self,
        folder: &Folder,
        definition: Definition,
        stored_version: u32,
    ) -> Result<Change, Error> {
        let log = Log::open(folder).await?;
        let mut consequences = match removed(folder, stored_version).await? {
            Some(old) if log.newest_commit().is_some() => {
                consequences(Some(&old), &definition, counts(&log))
            }
            _ => consequences(None, &definition, Counts::default()),
        };
        if consequences.is_empty() {
            consequences.push(Consequence {
                field: "connection".to_owned(),
                before: None,
                after: Some(definition.summary()),
                effect: Effect::Nothing,
                sentence: "goes on from its log: what changed since is read and sent".to_owned(),
                asks: false,
            });
        }
        let refused = taken::refusal(self.session, definition.id(), &log).await?;
        Ok(Change {
            consequences,
            refused,
            ..Change::new(definition, stored_version, Kind::Create)
        })
    }

    /// The schedule that follows from a definition.
    pub(super) fn projection(&self, definition: &Definition, version: u32) -> Projection {
        Projection::new(definition, version, &self.settings)
    }

    /// Whether the schedule is what follows from the definition.
    async fn scheduled(&self, definition: &Definition, version: u32) -> Result<bool, Error> {
        let schedules = &self.session.temporal().await?.schedules;
        match schedules.describe(definition.id()).await {
            Ok(description) => Ok(description.matches(&self.projection(definition, version))),
            Err(ScheduleError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// How much there is, as of the newest commit.
fn counts(log: &Log) -> Counts {
    let receipt = log.newest_commit().map(|commit| &commit.receipt);
    Counts {
        rows: receipt.map(|receipt| receipt.rows.next),
        records: receipt.map(|receipt| receipt.records.next),
    }
}

/// The definition that held before a connection was removed.
async fn removed(folder: &Folder, newest_version: u32) -> Result<Option<Definition>, Error> {
    for version in (1..newest_version).rev() {
        let stored = definitions::at(folder, version).await?;
        if let Some(definition) = stored.and_then(|stored| stored.definition) {
            return Ok(Some(definition));
        }
    }
    Ok(None)
}

/// Asks both ends of each connection that is new or changed, if its secrets are at hand here, and
/// refuses those that would not work.
///
/// # Errors
/// No request can be made from this machine at all.
pub(super) async fn probe(changes: Vec<Change>) -> Result<Vec<Change>, Error> {
    let probe = Probe::new()?;
    let probed = stream::iter(changes).map(async |mut change| {
        let due = change.refused.is_none() && matches!(change.kind, Kind::Create | Kind::Change);
        if due && secrets::missing(&change.definition).is_empty() {
            change.refused = probe.look(&change.definition).await.failure().cloned();
        }
        change
    });
    Ok(probed.buffered(SIMULTANEOUS).collect().await)
}

/// Takes `--same-destination` into account. Whether it concerns the connection at all.
fn stays(definition: &Definition, consequences: &mut [Consequence]) -> Result<bool, Error> {
    let sends_again =
        |one: &&Consequence| matches!(one.effect, Effect::SendAgain | Effect::IdsChange);
    let moved = consequences.iter().any(|one| one.effect == Effect::Move);
    if !moved {
        return Ok(false);
    }
    if let Some(other) = consequences.iter().find(sends_again) {
        return Err(Error::usage(
            format!(
                "--same-destination cannot be said of {}, because `{}` changes as well",
                definition.id(),
                other.field
            ),
            "apply the new address first, and the other change after it",
        ));
    }
    for consequence in consequences.iter_mut().filter(|one| one.effect == Effect::Move) {
        consequence.effect = Effect::Nothing;
        consequence.asks = false;
        "nothing is sent again: the system behind the new address is the old one"
            .clone_into(&mut consequence.sentence);
    }
    Ok(true)
}

/// What became, or would become, of one connection.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Applied {
    pub(super) connection: String,
    pub(super) change: Option<Kind>,
    pub(super) result: String,
    /// The stored version, once there is one.
    pub(super) version: Option<u32>,
    pub(super) consequences: Vec<Consequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// What to do about the error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

impl Applied {
    fn row(&self, consequence: Option<&Consequence>, first: bool) -> Vec<Cell> {
        let tone = match self.change {
            _ if self.error.is_some() => Tone::Bad,
            Some(Kind::Unchanged) => Tone::Faint,
            Some(Kind::Create) => Tone::Good,
            _ => Tone::Attention,
        };
        let head = |text: &str, tone| {
            if first { Cell::new(text).tone(tone) } else { Cell::blank() }
        };
        let what = consequence.map(|one| match (&one.before, &one.after) {
            (Some(before), Some(after)) => format!("{}: {before} -> {after}", one.field),
            (None, Some(after)) if one.field == "connection" => after.clone(),
            (None, Some(after)) => format!("{}: {after}", one.field),
            (_, None) => format!("{}: left out", one.field),
        });
        let sentence = match (&self.error, consequence) {
            (Some(error), _) if first => Some(with_hints(error, &self.hints)),
            (_, consequence) => consequence.map(|one| one.sentence.clone()),
        };
        vec![
            head(&self.connection, Tone::Plain),
            head(&self.result, tone),
            Cell::or_none(what),
            Cell::or_none(sentence),
        ]
    }
}

impl Entry for Applied {
    const COLUMNS: &'static [&'static str] = &["CONNECTION", "RESULT", "CHANGE", "CONSEQUENCE"];

    fn cells(&self) -> Vec<Cell> {
        self.row(self.consequences.first(), true)
    }

    fn further_rows(&self) -> Vec<Vec<Cell>> {
        self.consequences.iter().skip(1).map(|one| self.row(Some(one), false)).collect()
    }

    fn name(&self) -> String {
        self.connection.clone()
    }
}
