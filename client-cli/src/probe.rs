//! Looking at both ends of a connection before anything runs: credentials, list, mapping.

use std::sync::Arc;

use tidemark_connectors::HttpConnectors;
use tidemark_model::check::{CheckReport, DestinationCheck, SourceCheck};
use tidemark_model::definition::Definition;
use tidemark_model::failure::{Failure, FailureKind, Side};

use crate::error::Error;
use crate::secrets::Here;

/// Looks at sources and destinations from this machine, with the secrets that are at hand here.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    connectors: Arc<HttpConnectors>,
}

/// What both ends of a connection said, and whether that fits its definition.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    pub(crate) source: Result<SourceCheck, Failure>,
    pub(crate) destination: Result<DestinationCheck, Failure>,
}

impl Probe {
    /// # Errors
    /// No HTTP client can be set up on this machine.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { connectors: Arc::new(HttpConnectors::new(Here)?) })
    }

    /// Asks both ends.
    pub(crate) async fn look(&self, definition: &Definition) -> Probed {
        Probed::of(definition, tidemark_engine::check(&*self.connectors, definition).await)
    }
}

impl Probed {
    /// Judges what both ends said, wherever they were asked from.
    pub(crate) fn of(definition: &Definition, report: CheckReport) -> Self {
        let CheckReport { source, destination } = report;
        Self { source: source.and_then(|found| fits(definition, found)), destination }
    }

    /// The first thing that keeps the connection from working.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.source.as_ref().err().or(self.destination.as_ref().err())
    }
}

/// A path that no row has is a typo, not an empty field.
fn fits(definition: &Definition, found: SourceCheck) -> Result<SourceCheck, Failure> {
    if found.unmatched_paths.is_empty() {
        return Ok(found);
    }
    let paths: Vec<String> = found
        .unmatched_paths
        .iter()
        .map(|(path, nearest)| match nearest {
            Some(nearest) => format!("`{path}`, did you mean `{nearest}`?"),
            None => format!("`{path}`"),
        })
        .collect();
    let message = format!("no row of the first page has {}", paths.join("; "));
    let hint = format!("correct the mapping in the definition of {}", definition.id());
    Err(Failure::new(FailureKind::Invalid, Side::Source, message).hint(hint))
}
