//! Members as whoever plays with a world sees them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::member::{Member, Status, hex};

/// The ids of a member after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberIds {
    /// Survives a change of the address.
    pub contact_id: String,
    /// MD5 of the lower-case address.
    pub id: String,
    /// Survives a change of the address.
    pub web_id: u64,
}

/// A member as it is in truth, whatever the listing shows yet.
pub struct MemberView<'a>(&'a Member);

impl<'a> MemberView<'a> {
    pub(crate) fn new(member: &'a Member) -> Self {
        Self(member)
    }

    /// Survives a change of the address.
    pub fn contact_id(&self) -> String {
        hex(&self.0.contact_id)
    }

    /// Whether the list shows the member without it.
    pub fn hides_contact_id(&self) -> bool {
        self.0.extra.as_ref().is_some_and(|extra| extra.no_contact_id)
    }

    /// MD5 of the lower-case address.
    pub fn id(&self) -> String {
        hex(&self.0.hash)
    }

    /// The address.
    pub fn email(&self) -> &str {
        &self.0.email
    }

    /// What the list says about the member.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// Unix seconds.
    pub fn last_changed(&self) -> i64 {
        self.0.last_changed
    }

    /// The value of a merge field; an empty string if it is not set.
    pub fn merge_field(&self, tag: &str) -> Value {
        self.0.merge_field(tag)
    }
}
