//! Questions to the listing of members.

use std::fmt::Write;

use jiff::Timestamp;

/// No lower bound of change times.
pub(super) const BEGINNING: i64 = i64::MIN;

/// No upper bound of change times.
pub(super) const END: i64 = i64::MAX;

/// Change times after `after` (exclusive) up to `until` (inclusive), in seconds: what
/// `since_last_changed` and `before_last_changed` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) after: i64,
    pub(super) until: i64,
}

impl Span {
    pub(super) const ALL: Self = Self { after: BEGINNING, until: END };

    /// Whether no second lies in it.
    pub(super) fn is_empty(self) -> bool {
        self.after >= self.until
    }
}

/// Which members a listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All but the archived.
    Visible,
    Archived,
}

/// A question to the listing of members, ordered by change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) scope: Scope,
    pub(super) span: Span,
    pub(super) newest_first: bool,
    pub(super) offset: u64,
    pub(super) count: u32,
}

impl Listing {
    /// The newest rows of the list.
    pub(super) fn newest(count: u32) -> Self {
        Self { scope: Scope::Visible, span: Span::ALL, newest_first: true, offset: 0, count }
    }

    /// How many rows have a change time of at most `until`. One row comes along: what a count of
    /// zero rows gives is not the same everywhere.
    pub(super) fn count_until(until: i64) -> Self {
        let span = Span { after: BEGINNING, until };
        Self { scope: Scope::Visible, span, newest_first: false, offset: 0, count: 1 }
    }

    /// As parameters of the request, `fields` aside.
    pub(super) fn parameters(&self) -> Vec<(&'static str, String)> {
        let direction = if self.newest_first { "DESC" } else { "ASC" };
        let mut parameters = vec![
            ("sort_field", "last_changed".to_owned()),
            ("sort_dir", direction.to_owned()),
            ("count", self.count.to_string()),
        ];
        if self.offset > 0 {
            parameters.push(("offset", self.offset.to_string()));
        }
        if self.scope == Scope::Archived {
            parameters.push(("status", "archived".to_owned()));
        }
        if let Some(after) = moment(self.span.after) {
            parameters.push(("since_last_changed", after));
        }
        if let Some(until) = moment(self.span.until) {
            parameters.push(("before_last_changed", until));
        }
        parameters
    }
}

/// A second as the API reads it; `None` where there is no bound.
fn moment(second: i64) -> Option<String> {
    let moment = Timestamp::from_second(second).ok()?;
    let mut text = String::new();
    write!(text, "{moment:.0}").expect("writing to a text does not fail");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_whole_seconds_in_utc() {
        let listing = Listing {
            scope: Scope::Archived,
            span: Span { after: 1_637_500_000, until: END },
            newest_first: false,
            offset: 7,
            count: 1_000,
        };
        let text: Vec<String> =
            listing.parameters().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text.join("&"),
            "sort_field=last_changed&sort_dir=ASC&count=1000&offset=7&status=archived\
             &since_last_changed=2021-11-21T13:06:40Z"
        );
    }
}
