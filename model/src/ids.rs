//! Names of things: accounts, connections, rows of a source and records of a destination.
//!
//! Each is text that was checked once, when it was made; cloning is cheap.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not an id. Never repeats more of the text than the character that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    #[error("is empty")]
    Empty,
    #[error("has {length} bytes, and at most {limit} are allowed")]
    TooLong { length: usize, limit: usize },
    #[error("contains {found:?}, and only a-z, 0-9 and `-` are allowed")]
    Character { found: char },
    #[error("is not of the form account/connection")]
    Form,
}

/// Implements what all ids share: text in, text out, serde as text.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                String::from(&*id.0)
            }
        }
    };
}

/// Who owns a connection: the part of its id before the slash. Requests are limited per account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(Arc<str>);

text_id!(AccountId);

impl AccountId {
    /// Checks that `text` is made of `a-z`, `0-9` and `-`.
    pub fn new(text: &str) -> Result<Self, IdError> {
        check_part(text)?;
        check_length(text)?;
        Ok(Self(text.into()))
    }
}

/// The id of a connection, `account/connection`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionId(Arc<str>);

text_id!(ConnectionId);

impl ConnectionId {
    /// The most bytes that an id may have: a workflow id is `sync/<id>-<time>`, has at most
    /// 200 bytes, and its time (RFC 3339, up to milliseconds) takes 24 of them.
    pub const MAX_LENGTH: usize = 200 - "sync/".len() - "-".len() - 24;

    /// Checks that `text` is of the form `account/connection`, both of `a-z`, `0-9` and `-`.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        let (account, name) = text.split_once('/').ok_or(IdError::Form)?;
        if account.is_empty() || name.is_empty() || name.contains('/') {
            return Err(IdError::Form);
        }
        check_part(account)?;
        check_part(name)?;
        check_length(text)?;
        Ok(Self(text.into()))
    }

    /// Who owns the connection.
    pub fn account(&self) -> AccountId {
        AccountId(self.parts().0.into())
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').expect("a connection id holds a slash")
    }
}

/// The stable key of a row at its source: any text that is not empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordKey(Arc<str>);

text_id!(RecordKey);

impl RecordKey {
    /// Refuses only the empty text.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() { Err(IdError::Empty) } else { Ok(Self(text.into())) }
    }
}

/// The id of a record at its destination: the id prefix of the connection and the mapped id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordId(Arc<str>);

text_id!(RecordId);

impl RecordId {
    /// Refuses only the empty text.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() { Err(IdError::Empty) } else { Ok(Self(text.into())) }
    }
}

fn check_part(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    match text.chars().find(|c| !allowed(c)) {
        Some(found) => Err(IdError::Character { found }),
        None => Ok(()),
    }
}

fn check_length(text: &str) -> Result<(), IdError> {
    let (length, limit) = (text.len(), ConnectionId::MAX_LENGTH);
    if length > limit { Err(IdError::TooLong { length, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connection_id_has_two_parts() {
        let id = ConnectionId::new("acme/newsletter").unwrap();
        assert_eq!(id.account(), AccountId::new("acme").unwrap());
        assert_eq!(id.name(), "newsletter");
        assert_eq!(id.to_string(), "acme/newsletter");
        assert_eq!(format!("{id:?}"), r#"ConnectionId("acme/newsletter")"#);
    }

    #[test]
    fn other_forms_are_refused() {
        let refused = |text: &str| ConnectionId::new(text).unwrap_err();
        assert_eq!(refused(""), IdError::Empty);
        for text in ["acme", "/newsletter", "acme/", "a/b/c", "/"] {
            assert_eq!(refused(text), IdError::Form, "{text}");
        }
        assert_eq!(refused("Acme/newsletter"), IdError::Character { found: 'A' });
        assert_eq!(refused("acme/news letter"), IdError::Character { found: ' ' });
        assert_eq!(refused("acmé/newsletter"), IdError::Character { found: 'é' });
    }

    #[test]
    fn the_longest_id_fits_a_workflow_id() {
        let longest = format!("a/{}", "b".repeat(ConnectionId::MAX_LENGTH - 2));
        let id = ConnectionId::new(&longest).unwrap();
        assert_eq!(format!("sync/{id}-2026-11-21T10:00:00.000Z").len(), 200);
        let longer = format!("{longest}b");
        assert_eq!(
            ConnectionId::new(&longer).unwrap_err(),
            IdError::TooLong { length: longer.len(), limit: ConnectionId::MAX_LENGTH }
        );
    }

    #[test]
    fn serde_checks_too() {
        assert_eq!(serde_json::to_string(&ConnectionId::new("a/b").unwrap()).unwrap(), r#""a/b""#);
        assert!(serde_json::from_str::<ConnectionId>(r#""a""#).is_err());
        assert!(serde_json::from_str::<RecordKey>(r#""""#).is_err());
        assert!(serde_json::from_str::<RecordId>(r#""""#).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_id_or_an_error(text in "\\PC{0,40}") {
            if let Ok(id) = ConnectionId::new(&text) {
                prop_assert_eq!(format!("{}/{}", id.account(), id.name()), text);
            }
        }
    }
}
