//! Mutes: what is known already, and shall not be told for a while.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::{AccountId, ConnectionId};

/// What is muted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Muted {
    Connection(ConnectionId),
    Account(AccountId),
    Everything,
}

/// A mute. It always has an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    pub what: Muted,
    pub until: Timestamp,
    pub reason: String,
    pub by: String,
}

/// Whether nobody is to be told of a connection now.
#[must_use]
pub fn muted(mutes: &[Mute], connection: &ConnectionId, now: Timestamp) -> bool {
    mutes.iter().any(|mute| mute.covers(connection, now))
}

impl Mute {
    /// Whether it keeps quiet about a connection now.
    #[must_use]
    pub fn covers(&self, connection: &ConnectionId, now: Timestamp) -> bool {
        now < self.until
            && match &self.what {
                Muted::Connection(muted) => muted == connection,
                Muted::Account(account) => connection
                    .as_str()
                    .strip_prefix(account.as_str())
                    .is_some_and(|rest| rest.starts_with('/')),
                Muted::Everything => true,
            }
    }
}
