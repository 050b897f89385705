//! Looking at both ends of a connection before anything runs.

use tidemark_model::{check::CheckReport, definition::Definition};

use crate::port::Connectors;

/// Asks both ends of a definition, at the same time. Changes nothing.
pub async fn check(connectors: &dyn Connectors, definition: &Definition) -> CheckReport {
    let source = async { connectors.source(definition)?.check().await };
    let destination = async { connectors.destination(definition)?.check().await };
    let (source, destination) = tokio::join!(source, destination);
    CheckReport { source, destination }
}
