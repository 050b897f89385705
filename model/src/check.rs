//! What both ends of a connection say before anything runs: the credential, the list, the mapping.
//!
//! A report may cross Temporal, so the samples in it are [masked](SampleRecord::masked) first and
//! the rest is counts and names.

use serde::{Deserialize, Serialize};

use crate::{definition::Definition, failure::Failure, receipt::Cost};

/// The most characters of a masked value.
const MASK_LIMIT: usize = 40;

/// The input of a check on a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckRequest {
    /// Need not be stored anywhere. Its secrets are references, which the worker resolves.
    pub definition: Definition,
}

/// What both ends said. That one of them would not work is an answer, no failure of the check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckReport {
    pub source: Result<SourceCheck, Failure>,
    pub destination: Result<DestinationCheck, Failure>,
}

/// What a source said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCheck {
    /// The name under which people know what is read ("Newsletter").
    pub name: String,
    pub row_total: u64,
    /// Three mapped records at most.
    pub samples: Vec<SampleRecord>,
    /// Mapped paths that no row of the first page has, each with the nearest path that exists.
    pub unmatched_paths: Vec<(String, Option<String>)>,
    /// Rows of the first page that cannot be mapped.
    pub invalid_count: u64,
    /// Why, with the number of rows that each reason holds for, the most frequent first; the
    /// first ones only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_reasons: Vec<(String, u64)>,
    pub cost: Cost,
}

/// What a destination said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationCheck {
    /// One line for people: what answered and how.
    pub answer: String,
    pub cost: Cost,
}

/// A record as it would be sent: field names and values in the mapping's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRecord {
    pub fields: Vec<(String, String)>,
}

impl SampleRecord {
    /// The shapes of its values without their contents.
    #[must_use]
    pub fn masked(self) -> Self {
        let mask = |(name, value): (String, String)| (name, masked(&value));
        Self { fields: self.fields.into_iter().map(mask).collect() }
    }
}

/// The shape of a text without its content: digits are 9, spaces, `…` and ASCII punctuation stay,
/// everything else is x.
#[must_use]
pub fn masked(text: &str) -> String {
    let shape = text.chars().map(|c| match c {
        '0'..='9' => '9',
        ' ' | '…' => c,
        c if c.is_ascii_punctuation() => c,
        _ => 'x',
    });
    let mut shown: String = shape.take(MASK_LIMIT + 1).collect();
    if shown.chars().count() > MASK_LIMIT {
        shown = shown.chars().take(MASK_LIMIT - 1).collect();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_keeps_the_shape_and_nothing_else() {
        assert_eq!(masked("Ada.Lovelace+1815@example.com"), "xxx.xxxxxxxx+9999@xxxxxxx.xxx");
        assert_eq!(masked("Żółć 12\n٣😀"), "xxxx 99xxx");
        assert_eq!(masked(&"a".repeat(40)), "x".repeat(40));
        let long = masked(&"a".repeat(1_000));
        assert_eq!(long.chars().count(), 40);
        assert_eq!(masked(&long), long, "a mask of a mask is the same");
    }
}
