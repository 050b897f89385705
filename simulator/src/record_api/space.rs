//! The records of one key. They are kept as the text they came in: a million take little room.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// The largest batch that is accepted; a larger one gets 413.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchLimits {
    /// Records of one batch.
    pub record_count: usize,
    /// Bytes of its body.
    pub bytes: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { record_count: 10_000, bytes: 16 << 20 }
    }
}

/// Which records are refused, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectRule {
    /// The ids that are refused.
    pub ids: BTreeSet<String>,
    /// What the answer says about each.
    #[serde(default = "default_message")]
    pub message: String,
    /// What the answer is.
    #[serde(default)]
    pub answer: Refused,
}

fn default_message() -> String {
    "the record is not valid".to_owned()
}

impl RejectRule {
    /// Refuses every batch that has one of these ids.
    pub fn batches_with<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> Self {
        let ids = ids.into_iter().map(Into::into).collect();
        Self { ids, message: default_message(), answer: Refused::Batch }
    }

    /// Takes the others, and names the refused ones in an answer with this status (200 or 207).
    pub fn records<I: Into<String>>(ids: impl IntoIterator<Item = I>, status: u16) -> Self {
        Self { answer: Refused::Records { status }, ..Self::batches_with(ids) }
    }
}

/// How a refusal is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Refused {
    /// 400 for the whole batch; nothing of it is kept.
    #[default]
    Batch,
    /// The others are kept; the body names the refused: `{"errors": [{"id", "message"}]}`.
    Records {
        /// The status of the answer, 200 or 207.
        status: u16,
    },
}

pub(crate) enum Outcome {
    Accepted { count: usize },
    PartlyRefused { status: StatusCode, accepted: usize, refused: Vec<(String, String)> },
    Refused(String),
    TooLarge(String),
    Unknown,
}

#[derive(Default)]
struct Contents {
    records: BTreeMap<String, Box<str>>,
    limits: BatchLimits,
    rejects: Vec<RejectRule>,
}

impl Contents {
    fn rule(&self, id: &str) -> Option<&RejectRule> {
        self.rejects.iter().find(|rule| rule.ids.contains(id))
    }
}

#[derive(Default)]
pub(crate) struct Space(Mutex<Contents>);

#[derive(Deserialize)]
struct Identified {
    id: String,
}

impl Space {
    pub(crate) fn write(&self, body: &[u8]) -> Outcome {
        let limits = self.contents().limits;
        if body.len() > limits.bytes {
            return Outcome::TooLarge(format!(
                "a batch may have {} bytes, this one has {}",
                limits.bytes,
                body.len()
            ));
        }
        // Parsed outside the lock, so that batches sent side by side are taken side by side.
        let batch = match parse(body) {
            Ok(batch) => batch,
            Err(message) => return Outcome::Refused(message),
        };
        if batch.len() > limits.record_count {
            return Outcome::TooLarge(format!(
                "a batch may have {} records, this one has {}",
                limits.record_count,
                batch.len()
            ));
        }
        let mut contents = self.contents();
        let mut refused = Vec::new();
        let mut partial_status = StatusCode::OK;
        for (id, _) in &batch {
            match contents.rule(id) {
                None => {}
                Some(RejectRule { answer: Refused::Batch, message, .. }) => {
                    return Outcome::Refused(message.clone());
                }
                Some(RejectRule { answer: Refused::Records { status }, message, .. }) => {
                    partial_status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
                    refused.push((id.clone(), message.clone()));
                }
            }
        }
        let count = batch.len();
        if refused.is_empty() {
            contents.records.extend(batch);
            return Outcome::Accepted { count };
        }
        for (id, record) in batch {
            if contents.rule(&id).is_none() {
                contents.records.insert(id, record);
            }
        }
        let accepted = count - refused.len();
        Outcome::PartlyRefused { status: partial_status, accepted, refused }
    }

    pub(crate) fn remove(&self, id: &str) -> Outcome {
        let mut contents = self.contents();
        if let Some(rule) = contents.rule(id) {
            return Outcome::Refused(rule.message.clone());
        }
        match contents.records.remove(id) {
            Some(_) => Outcome::Accepted { count: 1 },
            None => Outcome::Unknown,
        }
    }

    /// The texts of up to `limit` records whose ids begin with `prefix` and lie behind `after`, in
    /// their order.
    pub(crate) fn behind(&self, prefix: &str, after: &str, limit: usize) -> Vec<String> {
        let contents = self.contents();
        let from = after.max(prefix);
        let records = contents.records.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        records
            .skip_while(|(id, _)| id.as_str() <= after)
            .take_while(|(id, _)| id.starts_with(prefix))
            .take(limit)
            .map(|(_, record)| record.to_string())
            .collect()
    }

    pub(crate) fn set_limits(&self, limits: BatchLimits) {
        self.contents().limits = limits;
    }

    pub(crate) fn reject(&self, rule: RejectRule) {
        self.contents().rejects.push(rule);
    }

    pub(crate) fn clear_rejects(&self) {
        self.contents().rejects.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.contents().records.len()
    }

    pub(crate) fn each(&self, mut visit: impl FnMut(&str, &str)) {
        for (id, record) in &self.contents().records {
            visit(id, record);
        }
    }

    pub(crate) fn records(&self) -> BTreeMap<String, Value> {
        let mut records = BTreeMap::new();
        self.each(|id, text| {
            // Valid JSON that does not fit a `Value` (a number beyond f64) is shown as its text.
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            records.insert(id.to_owned(), value);
        });
        records
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(body: &[u8]) -> Result<Vec<(String, Box<str>)>, String> {
    let texts: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not a JSON array of records: {error}"))?;
    let identified = texts.into_iter().map(|text| {
        let Identified { id } = serde_json::from_str(text.get())
            .map_err(|error| format!("a record is not an object with a text `id`: {error}"))?;
        if id.is_empty() {
            return Err("a record has an empty `id`".to_owned());
        }
        Ok((id, text.get().into()))
    });
    identified.collect()
}
