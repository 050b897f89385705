//! Why rows are invalid, counted: what an operator reads who has to mend them.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use tidemark_model::row::InvalidReason;

/// The most reasons that are named; further ones are a number.
const NAMED: usize = 10;

/// Reasons with the number of rows that each holds for. Paths and fields, never a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidReasons(BTreeMap<String, u64>);

impl InvalidReasons {
    /// The most frequent reasons with their counts, ten at most.
    #[must_use]
    pub fn most_frequent(&self) -> Vec<(String, u64)> {
        let mut counted: Vec<(String, u64)> =
            self.0.iter().map(|(reason, count)| (reason.clone(), *count)).collect();
        counted.sort_by_key(|(_, count)| Reverse(*count));
        counted.truncate(NAMED);
        counted
    }
}

impl<'r> FromIterator<&'r InvalidReason> for InvalidReasons {
    fn from_iter<I: IntoIterator<Item = &'r InvalidReason>>(reasons: I) -> Self {
        let mut counts = BTreeMap::new();
        for reason in reasons {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        Self(counts)
    }
}

/// `2 × object where text is expected at merge_fields.ADDRESS; 1 × more than …`; empty if there
/// are none.
impl fmt::Display for InvalidReasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (reason, count)) in self.most_frequent().iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{count} × {reason}")?;
        }
        match self.0.len().saturating_sub(NAMED) {
            0 => Ok(()),
            further => write!(f, "; and {further} other reasons"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidemark_model::row::NotText;

    use super::*;

    fn object(path: &str) -> InvalidReason {
        InvalidReason::NotText { path: path.to_owned(), found: NotText::Object }
    }

    #[test]
    fn the_most_frequent_comes_first() {
        let reasons =
            [InvalidReason::NotJson, object("a.B"), InvalidReason::NotUtf8, object("a.B")];
        let reasons: InvalidReasons = reasons.iter().collect();
        assert_eq!(
            reasons.to_string(),
            "2 × object where text is expected at a.B; 1 × the row is not a JSON object; \
             1 × the row is not valid UTF-8"
        );
    }

    #[test]
    fn further_reasons_are_a_number() {
        let many: Vec<InvalidReason> = (0..12).map(|n| object(&format!("f{n:02}"))).collect();
        let text = many.iter().collect::<InvalidReasons>().to_string();
        assert!(text.ends_with("at f09; and 2 other reasons"), "{text}");
    }
}
