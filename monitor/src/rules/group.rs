//! Many connections with one cause: one notice that counts and samples them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_model::ids::ConnectionId;

use super::episode::Kind;
use super::settings::Settings;

/// A group that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub kind: Kind,
    pub key: String,
    pub members: BTreeSet<ConnectionId>,
    pub opened_at: Timestamp,
    pub told_at: Timestamp,
    /// How many members it had then.
    pub told_count: usize,
    pub reminder_count: u64,
}

impl Group {
    /// Whether there is something to say again.
    pub(super) fn reminder_due(&self, now: Timestamp, settings: &Settings) -> bool {
        let count = self.members.len();
        let silence = now.duration_since(self.told_at);
        let grown = count > self.told_count && silence >= settings.regroup_every;
        let doubled = count >= 2 * self.told_count;
        grown || doubled || silence >= settings.remind_every
    }

    /// Whether so few are left that they are told one by one again. Fewer than it takes to make a
    /// group, so that it does not come and go with one connection.
    pub(super) fn dissolves(&self, settings: &Settings) -> bool {
        self.members.len() < settings.group_from.div_ceil(2)
    }
}
