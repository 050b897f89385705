//! Schedules by what they are and how they do.

use jiff::Timestamp;
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::workflowservice::v1::ListSchedulesRequest;
use tidemark_model::ids::{AccountId, ConnectionId};
use tidemark_workflows::{
    health::Health,
    names::{self, SearchAttribute},
};

use crate::{Listed, Operation, ScheduleClient, ScheduleError};

/// Visibility answers at most so many at once.
const PAGE_SIZE: i32 = 1_000;

/// Schedules that are not paused. The server sets the attribute only when one is paused for the
/// first time.
const RUNS: &str = "TemporalSchedulePaused = false OR TemporalSchedulePaused IS NULL";

/// Which schedules. Several values of one field are alternatives; fields are conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    pub connections: Vec<ConnectionId>,
    pub accounts: Vec<AccountId>,
    pub source_kinds: Vec<String>,
    pub destination_kinds: Vec<String>,
    pub health: Vec<Health>,
    /// `Some(true)`: only paused ones.
    pub paused: Option<bool>,
}

impl ScheduleFilter {
    /// The query, as visibility wants it. Matches schedules of connections only.
    #[must_use]
    pub fn query(&self) -> String {
        let mut conditions = vec![format!("{} IS NOT NULL", names::CONNECTION_ID.name)];
        let mut one_of = |attribute: SearchAttribute, values: &mut dyn Iterator<Item = &str>| {
            let values: Vec<String> = values.map(quoted).collect();
            if !values.is_empty() {
                conditions.push(format!("{} IN ({})", attribute.name, values.join(", ")));
            }
        };
        one_of(names::CONNECTION_ID, &mut self.connections.iter().map(ConnectionId::as_str));
        one_of(names::ACCOUNT_ID, &mut self.accounts.iter().map(AccountId::as_str));
        one_of(names::SOURCE_KIND, &mut self.source_kinds.iter().map(String::as_str));
        one_of(names::DESTINATION_KIND, &mut self.destination_kinds.iter().map(String::as_str));
        one_of(names::HEALTH, &mut self.health.iter().map(|health| health.as_str()));
        match self.paused {
            None => {}
            Some(true) => conditions.push("TemporalSchedulePaused = true".to_owned()),
            Some(false) => conditions.push(format!("({RUNS})")),
        }
        conditions.join(" AND ")
    }
}

/// The query of [`ScheduleClient::suspects`].
fn suspects(now: Timestamp) -> String {
    let health = [Health::Held, Health::Rejecting].map(|health| quoted(health.as_str()));
    format!(
        "({} < {} OR {} IN ({})) AND ({RUNS})",
        names::LAG_DEADLINE.name,
        quoted(&format!("{now:.3}")),
        names::HEALTH.name,
        health.join(", "),
    )
}

/// A text in quotes, so that nothing in it ends the text.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl ScheduleClient {
    /// All schedules that match, in the order of their connections. A new schedule, and a new
    /// value of an attribute, appear after about a second.
    ///
    /// # Errors
    /// Temporal cannot be reached or refuses the query.
    pub async fn list(&self, filter: &ScheduleFilter) -> Result<Vec<Listed>, ScheduleError> {
        self.matching(filter.query()).await
    }

    /// Schedules that may be late, or say that something is held or refused, and are not paused: in
    /// the order of their deadlines, the oldest first. Only a hint: attributes may be old.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn suspects(&self, now: Timestamp) -> Result<Vec<Listed>, ScheduleError> {
        let mut listed = self.matching(suspects(now)).await?;
        listed.sort_by_key(|listed| listed.attributes.lag_deadline);
        Ok(listed)
    }

    async fn matching(&self, query: String) -> Result<Vec<Listed>, ScheduleError> {
        let mut listed = Vec::new();
        let mut next_page_token = Vec::new();
        loop {
            let request = ListSchedulesRequest {
                namespace: self.namespace().to_owned(),
                maximum_page_size: PAGE_SIZE,
                next_page_token,
                query: query.clone(),
            };
            let page = self
                .call(WorkflowService::list_schedules, request)
                .await
                .map_err(ScheduleError::of(Operation::general("list schedules")))?;
            listed.extend(page.schedules.iter().filter_map(Listed::of));
            next_page_token = page.next_page_token;
            if next_page_token.is_empty() {
                break;
            }
        }
        listed.sort_by(|one, other| one.connection.cmp(&other.connection));
        Ok(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_conditions_and_values_are_alternatives() {
        let filter = ScheduleFilter {
            accounts: vec![AccountId::new("acme").unwrap(), AccountId::new("globex").unwrap()],
            health: vec![Health::Failing],
            paused: Some(false),
            ..ScheduleFilter::default()
        };
        assert_eq!(
            filter.query(),
            "ConnectionId IS NOT NULL AND AccountId IN ('acme', 'globex') AND Health IN ('failing') \
             AND (TemporalSchedulePaused = false OR TemporalSchedulePaused IS NULL)"
        );
    }

    #[test]
    fn suspects_are_late_or_say_so_and_run() {
        assert_eq!(
            suspects("2026-11-21T10:00:00Z".parse().unwrap()),
            "(LagDeadline < '2026-11-21T10:00:00.000Z' OR Health IN ('held', 'rejecting')) AND \
             (TemporalSchedulePaused = false OR TemporalSchedulePaused IS NULL)"
        );
    }

    #[test]
    fn no_text_ends_its_quotes() {
        let filter = ScheduleFilter {
            source_kinds: vec!["x') OR ('1'='1".to_owned()],
            ..ScheduleFilter::default()
        };
        assert!(filter.query().ends_with(r"SourceKind IN ('x\') OR (\'1\'=\'1')"));
    }
}
