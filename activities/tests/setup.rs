//! Search attributes.

use temporalio_client::tonic::IntoRequest as _;
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType, operatorservice::v1::AddSearchAttributesRequest,
};
use tidemark_activities::setup::{
    EnsuredAttributes, SetupError, ensure_search_attributes, missing_search_attributes,
};
use tidemark_workflows::names::SEARCH_ATTRIBUTES;

use crate::server::{client, client_of, start};

#[tokio::test]
async fn a_second_setup_finds_everything() {
    let client = client().await;
    let names: Vec<_> = SEARCH_ATTRIBUTES.iter().map(|one| one.name).collect();

    let ensured = ensure_search_attributes(&client).await.unwrap();

    assert_eq!(ensured, EnsuredAttributes { present: names, added: Vec::new() });
    assert!(missing_search_attributes(&client).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attribute_of_another_type_is_refused() {
    // A server of its own: what is registered here would break every other test.
    let server = start().await;
    let client = client_of(&server).await;
    let request = AddSearchAttributesRequest {
        search_attributes: [("Health".to_owned(), IndexedValueType::Int.into())].into(),
        namespace: server.namespace().to_owned(),
    };
    let mut operator = client.connection().operator_service();
    operator.add_search_attributes(request.into_request()).await.unwrap();

    let refused = ensure_search_attributes(&client).await.unwrap_err();

    assert!(matches!(refused, SetupError::WrongType { name: "Health", .. }), "{refused}");
    let missing = missing_search_attributes(&client).await.unwrap();
    assert_eq!(missing.len(), SEARCH_ATTRIBUTES.len(), "nothing was added beside it");
}
