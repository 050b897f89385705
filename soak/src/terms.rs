//! A version of the connection's definition, as TOML for the engine and in plain terms for whoever
//! checks its work.

use std::collections::BTreeMap;

use serde_json::Value;
use tidemark_simulator::Status;

use crate::{run::DEADLINE, shape::Shape, truth::Member};

/// The parts of a definition that decide what the destination must hold.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) prefix: String,
    /// Which merge field the record's `firstname` is.
    first: &'static str,
    subscribed_only: bool,
    require_email: bool,
    /// The destination's address has this number.
    pub(crate) address: u32,
    pub(crate) tombstone: bool,
    pub(crate) keep: bool,
}

/// The fields of a record by name, its id aside.
pub(crate) type Fields = BTreeMap<String, String>;

/// What a member is to the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    Filtered,
    Invalid,
    Record { id: String, fields: Fields },
}

/// What an edit changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Mapping,
    Filter,
    Address,
    DeleteRule,
    Prefix,
    Deletions,
}

impl Edit {
    pub(crate) const ALL: [Self; 6] = [
        Self::Mapping,
        Self::Filter,
        Self::Address,
        Self::DeleteRule,
        Self::Prefix,
        Self::Deletions,
    ];
}

impl Terms {
    pub(crate) fn first(shape: &Shape) -> Self {
        Self {
            prefix: "newsletter:".to_owned(),
            first: "FNAME",
            subscribed_only: false,
            require_email: shape.require_email,
            address: 1,
            tombstone: shape.tombstone,
            keep: shape.keep,
        }
    }

    /// The next version, after an edit.
    pub(crate) fn edited(&self, edit: Edit) -> Self {
        let mut next = self.clone();
        match edit {
            Edit::Mapping => next.first = if self.first == "FNAME" { "LNAME" } else { "FNAME" },
            Edit::Filter => next.subscribed_only = !self.subscribed_only,
            Edit::Address => next.address += 1,
            Edit::DeleteRule => next.tombstone = !self.tombstone,
            Edit::Deletions => next.keep = !self.keep,
            Edit::Prefix => {
                next.prefix =
                    if self.prefix == "newsletter:" { "n2:" } else { "newsletter:" }.to_owned();
            }
        }
        next
    }

    pub(crate) fn toml(&self, shape: &Shape) -> String {
        let Self { prefix, first, address, .. } = self;
        let statuses = if self.subscribed_only { "statuses = [\"subscribed\"]" } else { "" };
        let delete = if self.tombstone {
            "{ tombstone = \"deleted\" }"
        } else {
            "{ method = \"DELETE\", path = \"/record/{id}\" }"
        };
        let deletions = if self.keep { "keep" } else { "propagate" };
        let invalid = if shape.fail_invalid { "fail" } else { "quarantine" };
        let required = if self.require_email { "required = [\"email\"]" } else { "" };
        let key = space(*address);
        let Shape {
            page_size,
            simultaneous_requests,
            settle,
            batch_records,
            simultaneous_batches,
            ..
        } = shape;
        let Shape { timeout, destination_settle, full_read_hours, retry_rejected, .. } = shape;
        let Shape { hold_over, keep_commits, .. } = shape;
        let deadline = DEADLINE / 1_000;
        format!(
            r#"
            [[connection]]
            id = "acme/newsletter"
            every = "1h"
            [connection.source]
            kind = "mailchimp"
            api_key = "env:KEY"
            list_id = "a1b2c3"
            base_url = "http://mailchimp.test"
            page_size = {page_size}
            simultaneous_requests = {simultaneous_requests}
            settle = "{settle}s"
            {statuses}
            [connection.destination]
            kind = "record-api"
            url = "http://destination-{address}.test/record"
            api_key = "env:{key}"
            delete = {delete}
            batch_records = {batch_records}
            simultaneous_batches = {simultaneous_batches}
            request_timeout = "{timeout}s"
            settle = "{destination_settle}s"
            [connection.record]
            id = "contact_id"
            id_prefix = "{prefix}"
            firstname = "merge_fields.{first}"
            lastname = "merge_fields.LNAME"
            email = "email_address"
            [connection.policy]
            deletions = "{deletions}"
            invalid_records = "{invalid}"
            {required}
            full_read = "{full_read_hours}h"
            retry_rejected = {retry_rejected}
            fail_rejected_over = 0.5
            hold_deletions = {{ over = {hold_over}, and_over_fraction = 0.1 }}
            deadline = "{deadline}s"
            keep_raw = "1h"
            keep_commits = {keep_commits}
            "#
        )
    }

    /// The id of a contact's record.
    pub(crate) fn id(&self, contact: &str) -> String {
        format!("{}{contact}", self.prefix)
    }

    /// What a member is under these terms.
    pub(crate) fn map(&self, contact: &str, member: &Member) -> Mapped {
        if self.subscribed_only && member.status != Status::Subscribed {
            return Mapped::Filtered;
        }
        if member.keyless {
            return Mapped::Invalid;
        }
        let first = if self.first == "FNAME" { &member.first } else { &member.last };
        let (Some(first), Some(last)) = (text(first), text(&member.last)) else {
            return Mapped::Invalid;
        };
        if self.require_email && member.email.is_empty() {
            return Mapped::Invalid;
        }
        let fields = [("firstname", first), ("lastname", last), ("email", member.email.clone())];
        Mapped::Record {
            id: self.id(contact),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }
}

/// The key of the records at an address, and the name under which it is asked for.
pub(crate) fn space(address: u32) -> String {
    format!("RECORD_KEY_{address}")
}

/// A field is a text: what is missing is empty, and what has parts is no text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
