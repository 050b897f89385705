//! What values look like: said once, for the schema and for the reference page.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::section::list;
use super::text;
use crate::schedule::duration;

/// What the values of a form look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text of at most 200 bytes that `pattern` matches.
    Text {
        called: &'static str,
        pattern: Option<&'static str>,
    },
    /// A reference to a secret.
    Secret,
    Duration(RangeInclusive<Duration>),
    Count(RangeInclusive<u32>),
    /// A number from 0 to 1.
    Fraction,
    Size(RangeInclusive<ByteSize>),
    Address,
    OneOf(Vec<&'static str>),
    /// An array, none of its items twice.
    Set(Box<Shape>),
}

impl Shape {
    pub(super) fn text() -> Self {
        Self::Text { called: "text", pattern: None }
    }

    /// Text that a regular expression of ECMA 262 matches.
    pub(super) fn pattern(called: &'static str, pattern: &'static str) -> Self {
        Self::Text { called, pattern: Some(pattern) }
    }

    /// In a few words, Markdown.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Text { called, .. } => (*called).to_owned(),
            Self::Secret => "`env:NAME` or `file:/path`".to_owned(),
            Self::Duration(bounds) => format!(
                "duration, {} to {}",
                duration::text(*bounds.start()),
                duration::text(*bounds.end())
            ),
            Self::Count(bounds) => format!("number, {} to {}", bounds.start(), bounds.end()),
            Self::Fraction => "number, 0 to 1".to_owned(),
            Self::Size(bounds) => format!(
                "size, {} to {}",
                text::size(bounds.start().as_u64()),
                text::size(bounds.end().as_u64())
            ),
            Self::Address => "`http://` or `https://` address".to_owned(),
            Self::OneOf(words) => list(words, "or"),
            Self::Set(item) => format!("list of: {}", item.words()),
        }
    }

    /// As a JSON schema.
    pub(super) fn schema(&self) -> Value {
        match self {
            Self::Text { pattern: None, .. } => json!({ "type": "string", "maxLength": 200 }),
            Self::Text { pattern: Some(pattern), .. } => {
                json!({ "type": "string", "maxLength": 200, "pattern": pattern })
            }
            Self::Secret => json!({
                "type": "string",
                "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$",
            }),
            Self::Duration(_) | Self::Size(_) => {
                json!({ "type": "string", "description": self.words() })
            }
            Self::Count(bounds) => {
                json!({ "type": "integer", "minimum": bounds.start(), "maximum": bounds.end() })
            }
            Self::Fraction => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
            Self::Address => {
                json!({ "type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^?#]+$" })
            }
            Self::OneOf(words) => json!({ "enum": words }),
            Self::Set(item) => {
                json!({ "type": "array", "uniqueItems": true, "items": item.schema() })
            }
        }
    }
}
