//! Storing definitions and making their schedules.

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tidemark_engine::definitions::{self, Stored, StoredDefinition};
use tidemark_model::failure::Failure;

use super::plan::{Applied, Change, Kind, Planner};
use crate::commands::start;
use crate::error::Error;
use crate::exit::Exit;
use crate::standing;

/// Connections that are changed at once.
const SIMULTANEOUS: usize = 8;

/// How often a connection is looked at again because somebody else changed it meanwhile.
const ATTEMPTS: usize = 3;

/// What became of all connections.
pub(super) struct Outcome {
    pub(super) applied: Vec<Applied>,
    errors: Vec<Error>,
}

impl Outcome {
    /// How the verb ends: with the only connection's error, or with their number.
    ///
    /// # Errors
    /// Something failed.
    pub(super) fn end(mut self) -> Result<Exit, Error> {
        match (self.errors.len(), self.applied.len()) {
            (0, _) => Ok(Exit::Ok),
            (1, 1) => Err(self.errors.remove(0)),
            (failed_count, count) => Err(Error::SomeFailed { failed_count, count }),
        }
    }
}

/// How a dry run ends if some connections would be refused.
///
/// # Errors
/// Some would.
pub(super) fn refusals(changes: &[Change]) -> Result<(), Error> {
    let errors: Vec<Error> = changes
        .iter()
        .filter_map(|change| Some(refusal(change, change.refused.as_ref()?)))
        .collect();
    let applied = changes.iter().map(Change::planned).collect();
    Outcome { applied, errors }.end().map(drop)
}

/// The connection stands beside it already.
fn text(error: &Error) -> String {
    match error {
        Error::Refused { failure, .. } => failure.to_string(),
        other => other.to_string(),
    }
}

fn refusal(change: &Change, failure: &Failure) -> Error {
    Error::Refused { id: change.definition.id().clone(), failure: Box::new(failure.clone()) }
}

/// Carries out every change; one that fails keeps no other from being made.
pub(super) async fn all(planner: &Planner<'_>, changes: Vec<Change>, start: bool) -> Outcome {
    let results: Vec<(Applied, Option<Error>)> = stream::iter(changes)
        .map(async |change| match one(planner, &change, start).await {
            Ok(applied) => (applied, None),
            Err(error) => (change.refused(text(&error)), Some(error)),
        })
        .buffered(SIMULTANEOUS)
        .collect()
        .await;
    let mut outcome = Outcome { applied: Vec::with_capacity(results.len()), errors: Vec::new() };
    for (applied, error) in results {
        outcome.applied.push(applied);
        outcome.errors.extend(error);
    }
    outcome
}

async fn one(planner: &Planner<'_>, change: &Change, start: bool) -> Result<Applied, Error> {
    if let Some(failure) = &change.refused {
        return Err(refusal(change, failure));
    }
    let mut applied = change.applied(change.kind.done());
    if change.kind == Kind::Unchanged {
        applied.version = Some(change.stored_version);
        return Ok(applied);
    }
    let version = store(planner, change).await?;
    let projection = planner.projection(&change.definition, version);
    standing::schedule(planner.session, &change.definition, &projection).await?;
    applied.version = Some(version);
    if start {
        let run = start::begun(planner.session, change.definition.id()).await?;
        applied.result += ", started";
        applied.run_id = Some(run.run_id);
    }
    Ok(applied)
}

/// Stores the definition as the next version, and says which one that is.
async fn store(planner: &Planner<'_>, change: &Change) -> Result<u32, Error> {
    if change.kind == Kind::Repair {
        return Ok(change.stored_version);
    }
    let folder = planner.session.store().await?.connection(change.definition.id());
    let mut version = change.stored_version + 1;
    for _ in 0..ATTEMPTS {
        let wanted = StoredDefinition {
            version,
            applied_at: Timestamp::now(),
            definition: Some(change.definition.clone()),
            same_destination: change.same_destination,
        };
        match definitions::put(&folder, wanted).await? {
            Stored::Stored => return Ok(version),
            Stored::Overtaken(other) if other.definition.as_ref() == Some(&change.definition) => {
                return Ok(other.version);
            }
            Stored::Overtaken(other) => {
                // What was agreed to was the way from another definition to this one.
                let anew = planner.change(change.definition.clone()).await?;
                if anew.asks() {
                    return Err(Error::Overtaken {
                        id: change.definition.id().clone(),
                        version: other.version,
                    });
                }
                version = anew.stored_version + 1;
            }
        }
    }
    Err(Error::Overtaken { id: change.definition.id().clone(), version })
}
