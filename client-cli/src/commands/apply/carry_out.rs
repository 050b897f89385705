//! Storing definitions and making their schedules.

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tidemark_engine::definitions::{self, Stored, StoredDefinition};

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
        .filter_map(|change| Some(change.refusal(change.refused.as_ref()?)))
        .collect();
    let applied = changes.iter().map(Change::planned).collect();
    Outcome { applied, errors }.end().map(drop)
}

/// Carries out every change; one that fails keeps no other from being made.
pub(super) async fn all(planner: &Planner<'_>, changes: Vec<Change>, start: bool) -> Outcome {
    let results: Vec<(Applied, Option<Error>)> = stream::iter(changes)
        .map(async |change| one(planner, &change, start).await)
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

async fn one(planner: &Planner<'_>, change: &Change, start: bool) -> (Applied, Option<Error>) {
    let mut applied = change.applied(change.kind.done());
    match make(planner, change, start, &mut applied).await {
        Ok(()) => (applied, None),
        Err(error) => (ended_by(change, &error, applied.version), Some(error)),
    }
}

/// As a row of the answer, if an error came between. What is stored by then stands.
fn ended_by(change: &Change, error: &Error, stored: Option<u32>) -> Applied {
    match error {
        Error::Refused { .. } => change.not_made("refused", error, None),
        _ => change.not_made("failed", error, stored),
    }
}

/// Makes a change, and notes each step that is done.
async fn make(
    planner: &Planner<'_>,
    change: &Change,
    start: bool,
    applied: &mut Applied,
) -> Result<(), Error> {
    if let Some(failure) = &change.refused {
        return Err(change.refusal(failure));
    }
    if change.kind == Kind::Unchanged {
        applied.version = Some(change.stored_version);
        return Ok(());
    }
    let version = store(planner, change).await?;
    applied.version = Some(version);
    let projection = planner.projection(&change.definition, version);
    standing::schedule(planner.session, &change.definition, &projection).await?;
    if start {
        let run = start::begun(planner.session, change.definition.id()).await?;
        applied.result += if run.is_some() { ", started" } else { ", triggered" };
        applied.run_id = run.map(|run| run.run_id);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use tidemark_model::definition::{SourceText, parse};
    use tidemark_model::failure::{Failure, FailureKind, Side};

    use super::*;

    const DEFINITION: &str = r#"
[[connection]]
id = "acme/news"
every = "1h"

[connection.source]
kind = "mailchimp"
api_key = "env:KEY"
list_id = "a1b2c3"

[connection.destination]
kind = "record-api"
url = "https://data.example.com/record"
api_key = "env:RECORD_KEY"

[connection.record]
id = "contact_id"
email = "email_address"

[connection.policy]
deletions = "keep"
"#;

    fn change() -> Change {
        let text = SourceText { name: "a.toml".to_owned(), text: DEFINITION.to_owned() };
        let definition = parse(&[text], &[]).unwrap().remove(0);
        Change {
            definition,
            stored_version: 2,
            kind: Kind::Change,
            consequences: Vec::new(),
            same_destination: false,
            refused: None,
        }
    }

    #[test]
    fn only_a_refusal_is_called_one_and_what_is_stored_is_told() {
        let change = change();
        let failure = Failure::new(FailureKind::Unauthenticated, Side::Source, "no such key");
        let refused = ended_by(&change, &change.refusal(&failure), None);
        assert_eq!((refused.result.as_str(), refused.version), ("refused", None));

        let overtaken = Error::Overtaken { id: change.definition.id().clone(), version: 3 };
        let failed = ended_by(&change, &overtaken, None);
        assert_eq!((failed.result.as_str(), failed.version), ("failed", None));
        let stored = ended_by(&change, &Error::NotTried, Some(3));
        assert_eq!((stored.result.as_str(), stored.version), ("failed", Some(3)));
        assert_eq!(stored.error, Some(Error::NotTried.to_string()));
    }
}
