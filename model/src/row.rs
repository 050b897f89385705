//! A row of a source's listing, as it is staged, compared and kept in a snapshot.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What became of a visible row of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum RowState {
    /// Mapped to a record that belongs at the destination.
    Sent = 0,
    /// Visible at the source, left out by the definition's filter.
    Filtered = 1,
    /// Visible at the source, cannot be mapped to a record (see [`InvalidReason`]).
    Invalid = 2,
}

impl RowState {
    /// The stored form, see [`RowState::from_code`].
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Sent => 0,
            Self::Filtered => 1,
            Self::Invalid => 2,
        }
    }

    /// The state of a stored code, `None` for a code that this version does not know.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Sent),
            1 => Some(Self::Filtered),
            2 => Some(Self::Invalid),
            _ => None,
        }
    }
}

/// Why a row cannot become a record. Carries the names of fields and paths, never a value.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum InvalidReason {
    /// A field that `policy.required` names (or the id) is missing, null or empty.
    #[error("nothing at {path}, and the field {field} is required")]
    Empty { field: String, path: String },
    /// Something else stands where text is expected.
    #[error("{found} where text is expected at {path}")]
    NotText { path: String, found: NotText },
    /// A value is longer than a record may carry.
    #[error("more than {limit} bytes at {path}")]
    TooLong { path: String, limit: u64 },
    /// The row's bytes are not UTF-8.
    #[error("the row is not valid UTF-8")]
    NotUtf8,
    /// The row is no JSON object.
    #[error("the row is not a JSON object")]
    NotJson,
}

/// What is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotText {
    Object,
    Array,
}

impl fmt::Display for NotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Object => "object",
            Self::Array => "array",
        })
    }
}

/// BLAKE3, cut to 128 bits, over a row's key, state and canonical mapped record.
///
/// Filtered and invalid rows have no record; theirs covers key and state alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of a row. Each part is preceded by its length, so no two rows share an input.
    #[must_use]
    pub fn of(key: &str, state: RowState, record: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_le_bytes());
        hasher.update(key.as_bytes());
        hasher.update(&[state.code()]);
        hasher.update(record.as_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// From its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text is not the 32 hexadecimal digits of a [`Digest`].
#[derive(Debug, thiserror::Error)]
#[error("a digest is 32 hexadecimal digits")]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidDigest);
        }
        let value = u128::from_str_radix(text, 16).map_err(|_| InvalidDigest)?;
        Ok(Self(value.to_be_bytes()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A row as a source's page shows it, already mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The source's stable key, never empty.
    pub key: String,
    /// What became of it.
    pub state: RowState,
    /// Over `key`, `state` and `record`.
    pub digest: Digest,
    /// The source's change time, seconds since 1970-01-01 UTC.
    pub modified: i64,
    /// The record's id at the destination; empty unless `state` is [`RowState::Sent`].
    pub id: String,
    /// The mapped record as canonical JSON (fields in the mapping's order, the id among them);
    /// empty unless `state` is [`RowState::Sent`].
    pub record: String,
    /// Why it has no record, if it is an invalid one. Not in its digest: what is wrong with a row
    /// may change without the row becoming another one.
    pub invalid: Option<Box<InvalidReason>>,
}

impl Row {
    /// A row that carries a record.
    #[must_use]
    pub fn sent(key: String, modified: i64, id: String, record: String) -> Self {
        let digest = Digest::of(&key, RowState::Sent, &record);
        Self { key, state: RowState::Sent, digest, modified, id, record, invalid: None }
    }

    /// A row that cannot become a record.
    #[must_use]
    pub fn invalid(key: String, modified: i64, reason: InvalidReason) -> Self {
        let row = Self::without_record(key, modified, RowState::Invalid);
        Self { invalid: Some(Box::new(reason)), ..row }
    }

    /// A row without a record: filtered, or invalid for a reason that is not known.
    #[must_use]
    pub fn without_record(key: String, modified: i64, state: RowState) -> Self {
        let digest = Digest::of(&key, state, "");
        let (id, record) = (String::new(), String::new());
        Self { key, state, digest, modified, id, record, invalid: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_stable_over_versions() {
        // A snapshot written by an older version must compare equal: this value never changes.
        let digest = Digest::of("key", RowState::Sent, r#"{"id":"a:key"}"#);
        assert_eq!(digest.to_string(), "76eea121e182df5642425b2304c1a1ab");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }

    #[test]
    fn digest_separates_key_state_and_record() {
        let one = Digest::of("ab", RowState::Sent, "c");
        assert_ne!(one, Digest::of("a", RowState::Sent, "bc"));
        assert_ne!(one, Digest::of("ab", RowState::Filtered, "c"));
    }
}
