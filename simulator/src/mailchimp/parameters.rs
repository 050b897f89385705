//! The query of a request, read as the list API reads it.

use axum::http::Uri;

use super::problem::Problem;
use crate::{clock, listing::Window, selection::Selection};

/// The most rows of one page. More are not an error; they are just not given.
const MAX_COUNT: usize = 1000;
const DEFAULT_COUNT: usize = 10;

pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The last value of a name; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().rev().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// `true` and `1` in any case; anything else is false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    pub(crate) fn count(&self) -> Result<usize, Problem> {
        Ok(self.number("count")?.map_or(DEFAULT_COUNT, |count| count.min(MAX_COUNT)))
    }

    pub(crate) fn offset(&self) -> Result<usize, Problem> {
        Ok(self.number("offset")?.unwrap_or(0))
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let Some(at) = clock::parse(text) else {
            return Err(Problem::bad_request(&format!("{name} is not a date in ISO 8601 format.")));
        };
        Ok(Some(at))
    }

    /// `since_…` is exclusive, `before_…` inclusive.
    pub(crate) fn window(&self, name: &str) -> Result<Window, Problem> {
        Ok(Window {
            after: self.time(&format!("since_{name}"))?,
            until: self.time(&format!("before_{name}"))?,
        })
    }

    pub(crate) fn descending(&self) -> Result<bool, Problem> {
        match self.text("sort_dir") {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("ASC") => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("DESC") => Ok(true),
            Some(_) => Err(Problem::bad_request("sort_dir must be ASC or DESC.")),
        }
    }

    pub(crate) fn selection(&self) -> Result<Selection, Problem> {
        Selection::parse(self.text("fields"), self.text("exclude_fields")).map_err(|_| {
            Problem::bad_request("fields and exclude_fields cannot be used in the same request.")
        })
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            let error =
                (name.to_owned(), "Schema describes integer, string found instead".to_owned());
            Problem::invalid("The resource submitted could not be validated.", vec![error])
        })?;
        Ok(Some(number))
    }
}
