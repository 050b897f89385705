//! What a connection does with deletions, bad rows and time.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::form::{self, Form};
use super::section::{Reported, Section};
use crate::schedule::Interval;
use crate::schedule::duration::serde_text;

const YEAR: Duration = Interval::MAX;

/// What happens to the record of a row that vanished from the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deletions {
    /// It is removed from the destination.
    Propagate,
    /// It stays there.
    Keep,
}

impl fmt::Display for Deletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Propagate => "propagate",
            Self::Keep => "keep",
        })
    }
}

/// What happens to a row that cannot become a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InvalidRecords {
    /// It is counted, named and left out.
    #[default]
    Quarantine,
    /// The run fails.
    Fail,
}

impl fmt::Display for InvalidRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Quarantine => "quarantine",
            Self::Fail => "fail",
        })
    }
}

/// From which number of removals on a run holds them until an operator approves: more than `over`
/// within 24 hours, and more than `and_over_fraction` of the records of 24 hours ago.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldDeletions {
    pub over: u32,
    /// 0 to 1.
    pub and_over_fraction: f64,
}

impl Default for HoldDeletions {
    fn default() -> Self {
        Self { over: 100, and_over_fraction: 0.1 }
    }
}

/// What a connection does with deletions, bad rows and time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub(super) deletions: Deletions,
    #[serde(default)]
    pub(super) hold_deletions: HoldDeletions,
    pub(super) invalid_records: InvalidRecords,
    pub(super) required: BTreeSet<String>,
    #[serde(with = "serde_text")]
    pub(super) full_read: Duration,
    #[serde(with = "serde_text")]
    pub(super) deadline: Duration,
    pub(super) retry_rejected: u32,
    pub(super) fail_rejected_over: f64,
    #[serde(with = "serde_text")]
    pub(super) keep_raw: Duration,
    pub(super) keep_commits: u32,
}

impl Policy {
    pub(super) const DEFAULT_FULL_READ: Duration = Duration::from_hours(7 * 24);
    pub(super) const DEFAULT_DEADLINE: Duration = Duration::from_hours(24);
    pub(super) const DEFAULT_RETRY_REJECTED: u32 = 24;
    pub(super) const DEFAULT_FAIL_REJECTED_OVER: f64 = 0.05;
    pub(super) const DEFAULT_KEEP_RAW: Duration = Duration::from_hours(7 * 24);
    pub(super) const DEFAULT_KEEP_COMMITS: u32 = 48;

    /// What happens to the record of a row that vanished.
    pub fn deletions(&self) -> Deletions {
        self.deletions
    }

    /// From which number of removals on a run holds them.
    pub fn hold_deletions(&self) -> HoldDeletions {
        self.hold_deletions
    }

    /// What happens to a row that cannot become a record.
    pub fn invalid_records(&self) -> InvalidRecords {
        self.invalid_records
    }

    /// Fields that must not be empty, beside `id`, which never may.
    pub fn required(&self) -> &BTreeSet<String> {
        &self.required
    }

    /// The most time between two readings of the whole list.
    pub fn full_read(&self) -> Duration {
        self.full_read
    }

    /// How long one run is retried before it is given up.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// A rejected record that has not changed is tried again in every run of this number.
    pub fn retry_rejected(&self) -> u32 {
        self.retry_rejected
    }

    /// A run fails if a greater share of what it sent is rejected, 0 to 1.
    pub fn fail_rejected_over(&self) -> f64 {
        self.fail_rejected_over
    }

    /// How long the source's raw pages are kept.
    pub fn keep_raw(&self) -> Duration {
        self.keep_raw
    }

    /// How many commits, with all that they reach, are kept.
    pub fn keep_commits(&self) -> u32 {
        self.keep_commits
    }
}

/// Reads `[connection.policy]`. Whether it fits to the rest is looked at by the draft.
pub(super) fn read(mut section: Section<'_>) -> Result<Policy, Reported> {
    let deletions = section.required(
        "deletions",
        "write deletions = \"propagate\" (a record goes when its row does) or \"keep\"",
        form::one_of(&[("propagate", Deletions::Propagate), ("keep", Deletions::Keep)]),
    );
    let hold_deletions = hold_deletions(&mut section);
    let invalid_records = section.or(
        "invalid_records",
        InvalidRecords::Quarantine,
        form::one_of(&[("quarantine", InvalidRecords::Quarantine), ("fail", InvalidRecords::Fail)]),
    );
    let required = section.or("required", BTreeSet::new(), required());
    let full_read = section.or(
        "full_read",
        Policy::DEFAULT_FULL_READ,
        form::duration(Duration::from_hours(1)..=YEAR),
    );
    let deadline = section.or(
        "deadline",
        Policy::DEFAULT_DEADLINE,
        form::duration(Duration::from_mins(1)..=YEAR),
    );
    let retry_rejected =
        section.or("retry_rejected", Policy::DEFAULT_RETRY_REJECTED, form::count(1..=100_000));
    let fail_rejected_over =
        section.or("fail_rejected_over", Policy::DEFAULT_FAIL_REJECTED_OVER, form::fraction());
    let keep_raw = section.or(
        "keep_raw",
        Policy::DEFAULT_KEEP_RAW,
        form::duration(Duration::ZERO..=YEAR * 10),
    );
    let keep_commits =
        section.or("keep_commits", Policy::DEFAULT_KEEP_COMMITS, form::count(1..=100_000));
    section.finish();
    Ok(Policy {
        deletions: deletions?,
        hold_deletions: hold_deletions?,
        invalid_records: invalid_records?,
        required: required?,
        full_read: full_read?,
        deadline: deadline?,
        retry_rejected: retry_rejected?,
        fail_rejected_over: fail_rejected_over?,
        keep_raw: keep_raw?,
        keep_commits: keep_commits?,
    })
}

/// A limit of which only one half is said keeps the other half's default.
fn hold_deletions(section: &mut Section<'_>) -> Result<HoldDeletions, Reported> {
    let default = HoldDeletions::default();
    let Some(mut section) = section.optional_section("hold_deletions")? else {
        return Ok(default);
    };
    let over = section.or("over", default.over, form::count(0..=1_000_000_000));
    let and_over_fraction =
        section.or("and_over_fraction", default.and_over_fraction, form::fraction());
    section.finish();
    Ok(HoldDeletions { over: over?, and_over_fraction: and_over_fraction? })
}

/// `id` is left out: it is required anyway.
fn required() -> Form<BTreeSet<String>> {
    form::set(form::name()).then(|mut fields: BTreeSet<String>| {
        fields.remove("id");
        Ok(fields)
    })
}
