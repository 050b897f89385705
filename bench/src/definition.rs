//! The definitions of the connections that are measured.

use anyhow::{Context as _, anyhow};
use tidemark_model::definition::{Definition, SourceText, parse};

/// The key of the list API.
pub(crate) const SOURCE_KEY: &str = "bench-source-us1";
/// Where the worker finds it.
pub(crate) const SOURCE_VARIABLE: &str = "BENCH_SOURCE_KEY";
/// Records of a batch: the default of a record API, said here because the baseline needs it too.
pub(crate) const BATCH_RECORDS: usize = 1_000;

/// How records are removed at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delete {
    Tombstone,
    Method,
}

/// A space of records: keys in different variables, so that two connections do not share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    First,
    Second,
}

impl Space {
    pub(crate) const ALL: [Self; 2] = [Self::First, Self::Second];

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::First => "bench-records-1",
            Self::Second => "bench-records-2",
        }
    }

    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::First => "BENCH_RECORD_KEY_1",
            Self::Second => "BENCH_RECORD_KEY_2",
        }
    }
}

/// What a connection of a row is like. Everything else is as the defaults have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// The second half of its id.
    pub(crate) name: &'a str,
    pub(crate) list: &'a str,
    pub(crate) space: Space,
    pub(crate) delete: Delete,
}

impl Plan<'_> {
    /// As a definition, against the simulator at `url`. Its schedule has no tick while anything is
    /// measured.
    pub(crate) fn definition(&self, url: &str) -> anyhow::Result<Definition> {
        let Self { name, list, space, delete } = self;
        let delete = match delete {
            Delete::Tombstone => r#"{ tombstone = "deleted" }"#,
            Delete::Method => r#"{ method = "DELETE", path = "/record/{id}" }"#,
        };
        let text = format!(
            r#"
[[connection]]
id    = "bench/{name}"
every = "365d"

[connection.source]
kind     = "mailchimp"
api_key  = "env:{SOURCE_VARIABLE}"
list_id  = "{list}"
base_url = "{url}"
settle   = "0s"

[connection.destination]
kind          = "record-api"
url           = "{url}/record"
api_key       = "env:{}"
delete        = {delete}
batch_records = {BATCH_RECORDS}

[connection.record]
id        = "contact_id"
firstname = "merge_fields.FNAME"
lastname  = "merge_fields.LNAME"
email     = "email_address"

[connection.policy]
deletions = "propagate"
"#,
            space.variable()
        );
        let file = SourceText { name: "bench.toml".to_owned(), text };
        let definitions = parse(&[file], &[]).map_err(|problems| anyhow!("{problems}"))?;
        definitions.into_iter().next().context("one connection is defined")
    }
}
