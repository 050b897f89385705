//! The records that a connection regards as its own.
//!
//! A connection that propagates deletions removes those of its records whose row it no longer
//! sees. Two of them with one territory would remove each other's.

use std::collections::BTreeMap;

use url::Url;

use super::Definition;
use super::destination::DestinationDefinition;
use super::draft::{self, Draft};
use super::form;
use super::policy::Deletions;
use super::problem::Problem;
use super::record::{ID_PREFIX, RecordMapping};
use super::section::Reports;
use super::tree::{Node, Table};
use crate::ids::ConnectionId;
use crate::secret::SecretRef;

/// Where the records are that a connection would delete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Territory {
    address: String,
    credential: SecretRef,
    id_prefix: String,
}

impl Territory {
    /// `None` for a definition that deletes nothing.
    fn of(definition: &Definition) -> Option<Self> {
        if definition.policy().deletions() == Deletions::Keep {
            return None;
        }
        let DestinationDefinition::RecordApi(api) = definition.destination();
        Some(Self {
            address: address(api.url()),
            credential: api.api_key().clone(),
            id_prefix: definition.record().id_prefix().to_owned(),
        })
    }

    /// That of a connection which may not be valid as a whole. `None` if it deletes nothing, or
    /// if one of the parts is wrong.
    pub(super) fn in_table(id: &ConnectionId, table: &Table) -> Option<Self> {
        if table.find(&["policy", "deletions"])?.text() != Some("propagate") {
            return None;
        }
        let value = |path: &[&str]| table.find(path).map(|node| &node.value);
        let scope = value(&["id_scope"])
            .map(|value| draft::id_scope().read(value))
            .transpose()
            .ok()?
            .unwrap_or_default();
        let id_prefix = match table.find(&["record", ID_PREFIX]) {
            Some(node) => Node::text(node)?.to_owned(),
            None => RecordMapping::default_id_prefix(id, scope),
        };
        Some(Self {
            address: address(&form::address().read(value(&["destination", "url"])?).ok()?),
            credential: form::secret().read(value(&["destination", "api_key"])?).ok()?,
            id_prefix,
        })
    }
}

/// With and without a slash at its end, it is most likely the same place.
fn address(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Reports every connection whose territory another one has already.
pub(super) fn territories_are_apart(drafts: &[Draft], stored: &[Definition], reports: &Reports) {
    let defined_again = |id: &ConnectionId| drafts.iter().any(|draft| draft.id.as_ref() == Ok(id));
    let mut owners: BTreeMap<Territory, (&ConnectionId, &str)> = stored
        .iter()
        .filter(|definition| !defined_again(definition.id()))
        .filter_map(|definition| {
            Some((Territory::of(definition)?, (definition.id(), ", which is applied already")))
        })
        .collect();
    for draft in drafts {
        let (Ok(id), Some(territory)) = (&draft.id, &draft.territory) else { continue };
        match owners.get(territory) {
            // The same id twice is another problem.
            Some((owner, _)) if *owner == id => {}
            Some((owner, state)) => {
                let message = format!(
                    "`{id}` would delete the records of `{owner}`{state}: both propagate \
                     deletions to the same address, with the same credential and the same id prefix"
                );
                let problem = Problem::new(&draft.at, format!("record.{ID_PREFIX}"), message);
                reports.add(problem.hint(
                    "give one of them a `record.id_prefix` of its own, or write \
                     deletions = \"keep\" in both",
                ));
            }
            None => {
                owners.insert(territory.clone(), (id, ""));
            }
        }
    }
}
