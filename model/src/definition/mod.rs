//! The definition of a connection: what an operator writes, checked as a whole.
//!
//! [`parse()`] reads TOML, merges `[defaults]` into each `[[connection]]` and reports every problem
//! of every file at once. It is pure: credentials, lists and addresses are looked at elsewhere.

mod consequence;
mod destination;
mod draft;
mod fingerprint;
mod form;
mod kind;
mod parse;
mod policy;
mod problem;
mod record;
mod schema;
mod section;
mod shape;
mod source;
pub mod tables;
mod territory;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::consequence::{Consequence, Counts, Effect, consequences};
pub use self::destination::{DeleteRule, DestinationDefinition, ReadRule, RecordApiDefinition};
pub use self::fingerprint::{Fingerprint, MAPPER_VERSION};
pub use self::parse::{SourceText, parse};
pub use self::policy::{Deletions, HoldDeletions, InvalidRecords, Policy};
pub use self::problem::{Problem, Problems};
pub use self::record::{IdScope, PathError, RecordMapping, SourcePath};
pub use self::schema::schema;
pub use self::source::{MailchimpDefinition, MemberStatus, SourceDefinition};
use crate::ids::ConnectionId;
use crate::schedule::Schedule;
use crate::schedule::duration::serde_text;

/// A connection that was checked. Its JSON is what the store keeps: secrets are references in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    id: ConnectionId,
    schedule: Schedule,
    #[serde(with = "serde_text")]
    max_lag: Duration,
    source: SourceDefinition,
    destination: DestinationDefinition,
    record: RecordMapping,
    policy: Policy,
}

impl Definition {
    /// The connection's id.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// When it runs.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// How far the destination may be behind before someone is told.
    pub fn max_lag(&self) -> Duration {
        self.max_lag
    }

    /// Where rows come from.
    pub fn source(&self) -> &SourceDefinition {
        &self.source
    }

    /// Where records go.
    pub fn destination(&self) -> &DestinationDefinition {
        &self.destination
    }

    /// How a row becomes a record.
    pub fn record(&self) -> &RecordMapping {
        &self.record
    }

    /// What it does with deletions, bad rows and time.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The definition as `apply` takes it: TOML that reads back as this definition. Values that
    /// are the defaults are left out.
    pub fn to_toml(&self) -> String {
        text::toml(self)
    }

    /// One line for lists and the schedule, under 1 KB, without a reference to a secret.
    pub fn summary(&self) -> String {
        text::summary(self)
    }

    /// Changes when the next run has to read in full.
    pub fn source_hash(&self) -> Fingerprint {
        fingerprint::source_side(self)
    }

    /// Changes when every record has to be sent again.
    pub fn destination_hash(&self) -> Fingerprint {
        fingerprint::destination_side(self)
    }
}
