//! One member of a list, kept small: a million of them live in memory at once.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An MD5: of a lower-case e-mail address, or the made-up identity of a contact.
pub(crate) type Hash = [u8; 16];

/// What a list says about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Receives mail.
    #[default]
    Subscribed,
    /// Left.
    Unsubscribed,
    /// Bounced.
    Cleaned,
    /// Has not confirmed yet.
    Pending,
    /// Bought something, never subscribed.
    Transactional,
    /// Deleted by `DELETE`; hidden unless asked for.
    Archived,
}

impl Status {
    pub(crate) const ALL: [Self; 6] = [
        Self::Subscribed,
        Self::Unsubscribed,
        Self::Cleaned,
        Self::Pending,
        Self::Transactional,
        Self::Archived,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Unsubscribed => "unsubscribed",
            Self::Cleaned => "cleaned",
            Self::Pending => "pending",
            Self::Transactional => "transactional",
            Self::Archived => "archived",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) email: Box<str>,
    /// MD5 of the lower-case address; moves with it.
    pub(crate) hash: Hash,
    /// Survives a change of the address.
    pub(crate) contact_id: Hash,
    pub(crate) status: Status,
    pub(crate) html: bool,
    pub(crate) vip: bool,
    pub(crate) rating: u8,
    pub(crate) first_name: Box<str>,
    pub(crate) last_name: Box<str>,
    /// Unix seconds, like every time here.
    pub(crate) last_changed: i64,
    pub(crate) opted_in_at: i64,
    /// 0 = never signed up by a form, shown as an empty string.
    pub(crate) signed_up_at: i64,
    /// What few members have.
    pub(crate) extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Extra {
    /// Merge fields other than plain text in FNAME and LNAME; an entry here wins over those.
    pub(crate) merge_fields: BTreeMap<String, Value>,
    /// `"merge_fields": null` instead of an object.
    pub(crate) no_merge_fields: bool,
    /// No `"contact_id"` at all.
    pub(crate) no_contact_id: bool,
    /// Ids of the interests that are on.
    pub(crate) interests: Vec<String>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) language: String,
    pub(crate) unsubscribed_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tag {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) added_at: i64,
}

impl Member {
    pub(crate) fn new(email: &str, contact_id: Hash, status: Status, now: i64) -> Self {
        Self {
            email: email.into(),
            hash: email_hash(email),
            contact_id,
            status,
            html: true,
            vip: false,
            rating: 2,
            first_name: "".into(),
            last_name: "".into(),
            last_changed: now,
            opted_in_at: now,
            signed_up_at: 0,
            extra: None,
        }
    }

    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The value of a merge field; what is not set is an empty string.
    pub(crate) fn merge_field(&self, tag: &str) -> Value {
        if let Some(value) = self.extra.as_ref().and_then(|extra| extra.merge_fields.get(tag)) {
            return value.clone();
        }
        match tag {
            "FNAME" => Value::from(&*self.first_name),
            "LNAME" => Value::from(&*self.last_name),
            _ => Value::from(""),
        }
    }

    pub(crate) fn set_merge_field(&mut self, tag: &str, value: Value) {
        if let Some(extra) = &mut self.extra {
            extra.merge_fields.remove(tag);
            extra.no_merge_fields = false;
        }
        match (tag, value) {
            ("FNAME", Value::String(text)) => self.first_name = text.into(),
            ("LNAME", Value::String(text)) => self.last_name = text.into(),
            (_, value) => {
                self.extra().merge_fields.insert(tag.to_owned(), value);
            }
        }
    }

    /// When the member left, as far as it did.
    pub(crate) fn unsubscribed_at(&self) -> i64 {
        self.extra.as_ref().and_then(|extra| extra.unsubscribed_at).unwrap_or(self.last_changed)
    }
}

pub(crate) fn email_hash(email: &str) -> Hash {
    Md5::digest(email.to_lowercase().as_bytes()).into()
}

/// The ten characters that name an address across all lists.
pub(crate) fn unique_email_id(hash: &Hash) -> String {
    let digest: Hash = Md5::digest([b"unique".as_slice(), hash].concat()).into();
    hex(&digest).chars().take(10).collect()
}

/// The made-up identity of the contact in a list.
pub(crate) fn contact_id(list_id: &str, web_id: u64) -> Hash {
    Md5::digest([list_id.as_bytes(), b"/", &web_id.to_be_bytes()].concat()).into()
}

pub(crate) fn hex(hash: &Hash) -> String {
    let mut text = Vec::with_capacity(32);
    push_hex(&mut text, hash);
    text.into_iter().map(char::from).collect()
}

pub(crate) fn push_hex(out: &mut Vec<u8>, hash: &Hash) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in hash {
        for nibble in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        }
    }
}

pub(crate) fn parse_hex(text: &str) -> Option<Hash> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |n, d| n * 16 + d)).collect();
    if digits.len() == 32 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_md5_of_the_lower_case_address() {
        assert_eq!(hex(&email_hash("User@Example.COM")), "b58996c504c5638798eb6b511e6f49af");
        assert_eq!(
            parse_hex("b58996c504c5638798eb6b511e6f49af"),
            Some(email_hash("user@example.com"))
        );
        assert_eq!(parse_hex("b589"), None);
        assert_eq!(parse_hex(&"é".repeat(16)), None);
    }
}
