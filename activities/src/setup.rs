//! What `setup` makes in Temporal: the search attributes. The schedule of the sweep is
//! [elsewhere](crate::sweep).

use temporalio_client::{
    Client, NamespacedClient as _,
    tonic::{Code, IntoRequest as _, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType,
    operatorservice::v1::{AddSearchAttributesRequest, ListSearchAttributesRequest},
};
use tidemark_schedules::ProjectionSettings;
use tidemark_workflows::names::{AttributeKind, SEARCH_ATTRIBUTES, SearchAttribute};

use crate::sweep;

/// Why the search attributes are not all there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    #[error(
        "the search attribute {name} of namespace {namespace} is a {found}, and a {wanted} is needed: \
         use another namespace, or remove it with \
         `temporal operator search-attribute remove --namespace {namespace} --name {name}`"
    )]
    WrongType { namespace: String, name: &'static str, found: String, wanted: &'static str },
    #[error(
        "temporal has no namespace {namespace}: make it with \
         `temporal operator namespace create --namespace {namespace}`"
    )]
    NoNamespace { namespace: String },
    #[error("temporal did not answer a request to {operation}")]
    Unreachable { operation: &'static str, source: Box<Status> },
    #[error("temporal refused to {operation}: {}", source.message())]
    Refused { operation: &'static str, source: Box<Status> },
}

/// What [`ensure_search_attributes`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnsuredAttributes {
    pub present: Vec<&'static str>,
    pub added: Vec<&'static str>,
}

/// Registers the search attributes that the client's namespace lacks. Those of another type are
/// an error: the server would take the request for them with success, and change nothing.
///
/// # Errors
/// An attribute of another type, and then nothing is added; no such namespace; no answer; a refusal.
pub async fn ensure_search_attributes(client: &Client) -> Result<EnsuredAttributes, SetupError> {
    let namespace = client.namespace();
    let mut ensured = EnsuredAttributes::default();
    let mut missing = Vec::new();
    let present = list(client, &namespace).await?;
    for wanted in SEARCH_ATTRIBUTES {
        match present.iter().find(|(name, _)| name == wanted.name) {
            None => missing.push(wanted),
            Some((_, kind)) if *kind == indexed(wanted.kind) => ensured.present.push(wanted.name),
            Some((_, kind)) => {
                return Err(SetupError::WrongType {
                    namespace,
                    name: wanted.name,
                    found: word(*kind).to_owned(),
                    wanted: wanted.kind.as_str(),
                });
            }
        }
    }
    if !missing.is_empty() {
        add(client, &namespace, &missing).await?;
        ensured.added = missing.iter().map(|one| one.name).collect();
    }
    Ok(ensured)
}

/// The search attributes that the client's namespace lacks, or has with another type: what a
/// worker looks at before it starts.
///
/// # Errors
/// No such namespace, no answer, or a refusal.
pub async fn missing_search_attributes(client: &Client) -> Result<Vec<&'static str>, SetupError> {
    let present = list(client, &client.namespace()).await?;
    let there = |wanted: &SearchAttribute| {
        present.iter().any(|(name, kind)| name == wanted.name && *kind == indexed(wanted.kind))
    };
    Ok(SEARCH_ATTRIBUTES.iter().filter(|wanted| !there(wanted)).map(|one| one.name).collect())
}

/// The commands that do the same, for clusters where somebody else runs them.
#[must_use]
pub fn commands(namespace: &str, settings: &ProjectionSettings) -> String {
    let mut text = format!("temporal operator search-attribute create --namespace {namespace}");
    for one in SEARCH_ATTRIBUTES {
        text.push_str(&format!(" \\\n  --name {} --type {}", one.name, one.kind.as_str()));
    }
    text.push('\n');
    text.push_str(&sweep::command(namespace, settings));
    text
}

async fn list(
    client: &Client,
    namespace: &str,
) -> Result<Vec<(String, IndexedValueType)>, SetupError> {
    let request = ListSearchAttributesRequest { namespace: namespace.to_owned() };
    let listed = client
        .connection()
        .operator_service()
        .list_search_attributes(request.into_request())
        .await
        .map_err(|status| error(namespace, "list its search attributes", status))?
        .into_inner();
    let kind = |kind| IndexedValueType::try_from(kind).unwrap_or(IndexedValueType::Unspecified);
    Ok(listed.custom_attributes.into_iter().map(|(name, code)| (name, kind(code))).collect())
}

async fn add(
    client: &Client,
    namespace: &str,
    missing: &[SearchAttribute],
) -> Result<(), SetupError> {
    let request = AddSearchAttributesRequest {
        search_attributes: missing
            .iter()
            .map(|one| (one.name.to_owned(), indexed(one.kind).into()))
            .collect(),
        namespace: namespace.to_owned(),
    };
    client
        .connection()
        .operator_service()
        .add_search_attributes(request.into_request())
        .await
        .map(drop)
        .map_err(|status| error(namespace, "add search attributes", status))
}

fn indexed(kind: AttributeKind) -> IndexedValueType {
    match kind {
        AttributeKind::Keyword => IndexedValueType::Keyword,
        AttributeKind::Datetime => IndexedValueType::Datetime,
    }
}

fn word(kind: IndexedValueType) -> &'static str {
    match kind {
        IndexedValueType::Unspecified => "value of an unknown type",
        IndexedValueType::Text => "Text",
        IndexedValueType::Keyword => "Keyword",
        IndexedValueType::Int => "Int",
        IndexedValueType::Double => "Double",
        IndexedValueType::Bool => "Bool",
        IndexedValueType::Datetime => "Datetime",
        IndexedValueType::KeywordList => "KeywordList",
    }
}

pub(crate) fn error(namespace: &str, operation: &'static str, status: Status) -> SetupError {
    let source = Box::new(status);
    match source.code() {
        Code::NotFound => SetupError::NoNamespace { namespace: namespace.to_owned() },
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled => {
            SetupError::Unreachable { operation, source }
        }
        _ => SetupError::Refused { operation, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_name_every_attribute_and_the_sweep() {
        insta::assert_snapshot!(commands("default", &ProjectionSettings::default()), @r#"
        temporal operator search-attribute create --namespace default \
          --name ConnectionId --type Keyword \
          --name AccountId --type Keyword \
          --name SourceKind --type Keyword \
          --name DestinationKind --type Keyword \
          --name Health --type Keyword \
          --name SyncedThrough --type Datetime \
          --name LagDeadline --type Datetime \
          --name Outcome --type Keyword
        temporal schedule create --namespace default --schedule-id tidemark-sweep \
          --interval 24h/2h --jitter 1h --catchup-window 24h \
          --overlap-policy Skip --workflow-id tidemark-sweep --type SweepStore \
          --task-queue tidemark --input '{"timing":{"deadline":"20h","heartbeat_timeout":"20s"}}'
        "#);
    }
}
