//! What a definition promises.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tidemark_engine::definitions::StoredDefinition;
use tidemark_model::{
    definition::{Definition, DestinationDefinition, SourceDefinition},
    entry::Committed,
};

use super::history::History;
use crate::rules::Terms;

pub(super) fn of(
    stored: &StoredDefinition,
    definition: &Definition,
    commit: Option<&Committed>,
    history: History,
) -> Terms {
    let schedule = definition.schedule();
    let max_lag = whole(definition.max_lag());
    let reread = commit.is_some_and(|commit| {
        let took = commit.committed_at.duration_since(commit.manifest.complete_as_of);
        commit.manifest.definition.source_hash != definition.source_hash() || took > max_lag
    });
    Terms {
        max_lag,
        interval: whole(schedule.interval_longest() + schedule.jitter()),
        created_at: history.created_at,
        applied_at: stored.applied_at,
        edits: history.edits,
        reread_at: reread.then_some(stored.applied_at),
        source: source(definition.source()),
        destination: destination(definition.destination()),
    }
}

pub(super) fn whole(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

/// The system that rows come from.
fn source(definition: &SourceDefinition) -> Arc<str> {
    let SourceDefinition::Mailchimp(mailchimp) = definition;
    let host = mailchimp.base_url().and_then(|url| url.host_str());
    match host {
        Some(host) => format!("{} {host}", definition.kind()).into(),
        // Which of its systems it is, only the key says.
        None => definition.kind().into(),
    }
}

/// The system that records go to.
fn destination(definition: &DestinationDefinition) -> Arc<str> {
    let DestinationDefinition::RecordApi(record_api) = definition;
    let host = record_api.url().host_str().unwrap_or_default();
    format!("{} {host}", definition.kind()).into()
}
