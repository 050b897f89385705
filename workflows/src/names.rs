//! What things are called in Temporal: the workflow, its ids, its queue, and the search attributes.
//!
//! Everything here is read by other programs (the Web UI, saved queries, dashboards), so a name
//! that was released never changes its meaning.

use tidemark_model::ids::ConnectionId;

/// The type of the sync workflow.
pub const SYNC_WORKFLOW: &str = "SyncConnection";

/// The type of the workflow that sweeps the store.
pub const SWEEP_WORKFLOW: &str = "SweepStore";

/// The id of the sweep's schedule, and of its runs. No connection's: those have a slash.
pub const SWEEP_ID: &str = "tidemark-sweep";
/// The type of the workflow that looks at both ends of a definition.
pub const CHECK_WORKFLOW: &str = "CheckConnection";

/// The task queue if `TIDEMARK_TASK_QUEUE` names no other.
pub const DEFAULT_TASK_QUEUE: &str = "tidemark";

/// The schedule of a connection has the connection's id.
#[must_use]
pub fn schedule_id(connection: &ConnectionId) -> String {
    connection.to_string()
}

/// The id of a connection's runs, to which Temporal appends `-` and the scheduled time.
#[must_use]
pub fn workflow_id(connection: &ConnectionId) -> String {
    format!("sync/{connection}")
}

/// The id of a check; `nonce` tells those of one connection apart.
#[must_use]
pub fn check_workflow_id(connection: &ConnectionId, nonce: &str) -> String {
    format!("check/{connection}-{nonce}")
}

/// What a search attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeKind {
    /// Text that is compared as a whole.
    Keyword,
    /// An instant.
    Datetime,
}

impl AttributeKind {
    /// Temporal's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keyword => "Keyword",
            Self::Datetime => "Datetime",
        }
    }
}

/// A search attribute that `setup` registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SearchAttribute {
    pub name: &'static str,
    pub kind: AttributeKind,
    /// What it says, and of what.
    pub meaning: &'static str,
}

/// The connection: on its schedule and on its runs.
pub const CONNECTION_ID: SearchAttribute = SearchAttribute {
    name: "ConnectionId",
    kind: AttributeKind::Keyword,
    meaning: "account/connection, on schedules and runs",
};

/// The part of the connection's id before the slash: on its schedule and on its runs.
pub const ACCOUNT_ID: SearchAttribute = SearchAttribute {
    name: "AccountId",
    kind: AttributeKind::Keyword,
    meaning: "who owns the connection, on schedules and runs",
};

/// The kind of the source: on the schedule.
pub const SOURCE_KIND: SearchAttribute = SearchAttribute {
    name: "SourceKind",
    kind: AttributeKind::Keyword,
    meaning: "where rows come from, on schedules",
};

/// The kind of the destination: on the schedule.
pub const DESTINATION_KIND: SearchAttribute = SearchAttribute {
    name: "DestinationKind",
    kind: AttributeKind::Keyword,
    meaning: "where records go, on schedules",
};

/// A [`Health`](crate::health::Health): on the schedule.
pub const HEALTH: SearchAttribute = SearchAttribute {
    name: "Health",
    kind: AttributeKind::Keyword,
    meaning: "new, in-step, in-step-except, rejecting, held or failing, on schedules",
};

/// The watermark of the newest commit that was published: on the schedule.
pub const SYNCED_THROUGH: SearchAttribute = SearchAttribute {
    name: "SyncedThrough",
    kind: AttributeKind::Datetime,
    meaning: "the watermark of the newest commit, on schedules",
};

/// When somebody has to be told unless a newer commit comes: on the schedule.
pub const LAG_DEADLINE: SearchAttribute = SearchAttribute {
    name: "LagDeadline",
    kind: AttributeKind::Datetime,
    meaning: "watermark + max_lag, on schedules",
};

/// An [`Outcome`](tidemark_model::receipt::Outcome): on a run, when it ends.
pub const OUTCOME: SearchAttribute = SearchAttribute {
    name: "Outcome",
    kind: AttributeKind::Keyword,
    meaning: "how a run ended, on runs",
};

/// All of them. SQL visibility has room for 10 keywords and 3 datetimes in a namespace.
pub const SEARCH_ATTRIBUTES: [SearchAttribute; 8] = [
    CONNECTION_ID,
    ACCOUNT_ID,
    SOURCE_KIND,
    DESTINATION_KIND,
    HEALTH,
    SYNCED_THROUGH,
    LAG_DEADLINE,
    OUTCOME,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_fit_sql_visibility() {
        let count = |kind| SEARCH_ATTRIBUTES.iter().filter(|one| one.kind == kind).count();
        assert!(count(AttributeKind::Keyword) <= 10);
        assert!(count(AttributeKind::Datetime) <= 3);
    }

    #[test]
    fn a_name_stands_for_one_attribute() {
        let names: std::collections::BTreeSet<_> =
            SEARCH_ATTRIBUTES.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), SEARCH_ATTRIBUTES.len());
    }
}
