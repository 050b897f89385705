//! Between plain values and the payloads and times of Temporal's messages.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use temporalio_common::protos::temporal::api::{
    common::v1::{Memo, Payload, SearchAttributes},
    failure::v1::{Failure, failure::FailureInfo},
    schedule::v1::{Schedule, schedule_action},
    workflow::v1::NewWorkflowExecutionInfo,
};
use tidemark_workflows::names::{AttributeKind, SearchAttribute};

/// A value as JSON, as the SDK's default converter writes it.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Payload {
    let data = serde_json::to_vec(value).expect("plain values of this crate are JSON");
    Payload {
        metadata: HashMap::from([("encoding".to_owned(), b"json/plain".to_vec())]),
        data,
        ..Payload::default()
    }
}

/// The value of a JSON payload; `None` if it is not one of that type.
pub fn from_json<T: DeserializeOwned>(payload: &Payload) -> Option<T> {
    serde_json::from_slice(&payload.data).ok()
}

/// What whoever failed said about it in the details of an application's failure. `None` for a
/// failure that Temporal noticed, such as an attempt that gave no sign of life.
pub fn failure_details<T: DeserializeOwned>(failure: &Failure) -> Option<T> {
    let Some(FailureInfo::ApplicationFailureInfo(application)) = &failure.failure_info else {
        return None;
    };
    from_json(application.details.as_ref()?.payloads.first()?)
}

/// Whether it is Temporal that noticed a failure, since an attempt did not end or gave no sign of life.
pub(crate) fn timed_out(failure: &Failure) -> bool {
    matches!(failure.failure_info, Some(FailureInfo::TimeoutFailureInfo(_)))
}

/// The runs that a schedule starts.
pub fn started(schedule: &Schedule) -> Option<&NewWorkflowExecutionInfo> {
    let schedule_action::Action::StartWorkflow(action) =
        schedule.action.as_ref()?.action.as_ref()?;
    Some(action)
}

/// The values of search attributes, collected by name.
#[derive(Default)]
pub struct Attributes(HashMap<String, Payload>);

impl Attributes {
    pub fn keyword(self, attribute: SearchAttribute, value: &str) -> Self {
        debug_assert_eq!(attribute.kind, AttributeKind::Keyword);
        self.set(attribute, json(value))
    }

    pub fn datetime(self, attribute: SearchAttribute, value: Timestamp) -> Self {
        debug_assert_eq!(attribute.kind, AttributeKind::Datetime);
        self.set(attribute, json(&value))
    }

    fn set(mut self, attribute: SearchAttribute, mut payload: Payload) -> Self {
        payload.metadata.insert("type".to_owned(), attribute.kind.as_str().as_bytes().to_vec());
        self.0.insert(attribute.name.to_owned(), payload);
        self
    }

    pub fn build(self) -> SearchAttributes {
        SearchAttributes { indexed_fields: self.0 }
    }
}

/// The value of a search attribute, if it is set.
pub fn attribute<T: DeserializeOwned>(
    attributes: Option<&SearchAttributes>,
    attribute: SearchAttribute,
) -> Option<T> {
    attributes?.indexed_fields.get(attribute.name).and_then(from_json)
}

/// A memo of one field.
pub fn memo<T: Serialize + ?Sized>(field: &str, value: &T) -> Memo {
    Memo { fields: HashMap::from([(field.to_owned(), json(value))]) }
}

/// The field of a memo, if it is there.
pub fn memo_field<T: DeserializeOwned>(memo: Option<&Memo>, field: &str) -> Option<T> {
    memo?.fields.get(field).and_then(from_json)
}

/// A protobuf timestamp as ours.
pub fn timestamp(seconds: i64, nanos: i32) -> Option<Timestamp> {
    Timestamp::new(seconds, nanos).ok()
}
