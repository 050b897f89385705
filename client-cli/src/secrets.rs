//! The secrets that definitions refer to, as this process sees them. The workers' own may differ.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tidemark_model::definition::{Definition, DestinationDefinition, SourceDefinition};
use tidemark_model::failure::{Failure, FailureKind, Side};
use tidemark_model::ids::ConnectionId;
use tidemark_model::secret::{SecretError, SecretLookup, SecretRef};

use crate::ui::text::joined;

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Here;

impl SecretLookup for Here {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// A reference that cannot be resolved here.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The end of the connection that needs it.
    pub(crate) side: Side,
    error: SecretError,
}

impl Missing {
    /// What is missing, for somebody who is not a worker.
    pub(crate) fn message(&self) -> String {
        match &self.error {
            SecretError::Unset { name } => {
                format!("the environment variable `{name}` is not set here")
            }
            other => other.to_string(),
        }
    }

    /// The failure of a verb that asks the connection's ends from here, not through a worker.
    pub(crate) fn failure(&self) -> Failure {
        let message = match &self.error {
            SecretError::Unset { .. } => {
                format!("{}; this command asks with the secrets of its own shell", self.message())
            }
            _ => self.message(),
        };
        Failure::new(FailureKind::Unauthenticated, self.side, message)
            .caused_by_sources(&self.error)
            .hint("set it to what the workers have, and say the same again")
    }
}

/// The references of a definition that cannot be resolved here.
pub(crate) fn missing(definition: &Definition) -> Vec<Missing> {
    let SourceDefinition::Mailchimp(source) = definition.source();
    let DestinationDefinition::RecordApi(destination) = definition.destination();
    let references: [(Side, &SecretRef); 2] =
        [(Side::Source, source.api_key()), (Side::Destination, destination.api_key())];
    references.into_iter().filter_map(|(side, reference)| look(side, reference)).collect()
}

/// What keeps a reference from being resolved here.
pub(crate) fn look(side: Side, reference: &SecretRef) -> Option<Missing> {
    reference.resolve(&Here).err().map(|error| Missing { side, error })
}

/// For a verb that asks the connection's `sides` itself, with the secrets that are here.
///
/// # Errors
/// A reference of one of them cannot be resolved here.
pub(crate) fn require(definition: &Definition, sides: &[Side]) -> Result<(), Failure> {
    let missing = missing(definition).into_iter().find(|missing| sides.contains(&missing.side));
    missing.map_or(Ok(()), |missing| Err(missing.failure()))
}

/// A warning for each secret that is missing here, with the connections that need it: hundreds
/// may share one.
pub(crate) fn warnings(definitions: &[Definition]) -> Vec<String> {
    let mut needed: BTreeMap<String, Vec<&ConnectionId>> = BTreeMap::new();
    for definition in definitions {
        for missing in missing(definition) {
            let needed = needed.entry(missing.message()).or_default();
            if !needed.contains(&definition.id()) {
                needed.push(definition.id());
            }
        }
    }
    let of = |(message, ids): (String, Vec<&ConnectionId>)| {
        format!("{message}; the workers need it for {}", joined(&ids, 3))
    };
    needed.into_iter().map(of).collect()
}
