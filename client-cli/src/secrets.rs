//! The secrets that definitions refer to, as this process sees them. The workers' own may differ.

use std::io;
use std::path::Path;

use tidemark_model::definition::{Definition, DestinationDefinition, SourceDefinition};
use tidemark_model::secret::{SecretError, SecretLookup, SecretRef};

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

/// The references of a definition that cannot be resolved here.
pub(crate) fn missing(definition: &Definition) -> Vec<SecretError> {
    references(definition)
        .into_iter()
        .filter_map(|reference| reference.resolve(&Here).err())
        .collect()
}

fn references(definition: &Definition) -> [&SecretRef; 2] {
    let SourceDefinition::Mailchimp(source) = definition.source();
    let DestinationDefinition::RecordApi(destination) = definition.destination();
    [source.api_key(), destination.api_key()]
}
