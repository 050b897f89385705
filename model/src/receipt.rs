//! The receipt of a run: what was read, compared and pushed, and whether it adds up.
//!
//! A run may end green only with a receipt that [balances](Receipt::check).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::RunNumber;

/// How a run that did not fail ended. The failed ones are named by their class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    InStep,
    /// In step, except for the records that the receipt counts as exceptions.
    InStepExcept,
    /// In step, except that removals wait for an operator (and perhaps other exceptions).
    Held,
    /// Another run of the connection was at work.
    Skipped,
    Cancelled,
    FailedUser,
    FailedSource,
    FailedDestination,
    FailedPlatform,
}

impl Outcome {
    /// The value of the search attribute `Outcome`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in_step",
            Self::InStepExcept => "in_step_except",
            Self::Held => "held",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::FailedUser => "failed_user",
            Self::FailedSource => "failed_source",
            Self::FailedDestination => "failed_destination",
            Self::FailedPlatform => "failed_platform",
        }
    }

    /// Whether the watermark moved.
    #[must_use]
    pub fn committed(self) -> bool {
        matches!(self, Self::InStep | Self::InStepExcept | Self::Held)
    }
}

/// Rows of the source's listing, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    pub previous: u64,
    pub appeared: u64,
    pub vanished: u64,
    pub next: u64,
    /// What the source said in the response that is the proof.
    pub source_total: u64,
    pub sent: u64,
    pub filtered: u64,
    pub invalid: u64,
}

/// Records that the destination holds on account of this connection, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCounts {
    pub previous: u64,
    pub added: u64,
    pub removed: u64,
    /// Vanished under `deletions = "keep"`.
    pub kept: u64,
    pub next: u64,
}

/// What was sent, by what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushCounts {
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
    /// Sent again though unchanged: dirty keys, retries, a new destination.
    pub repeated: u64,
    /// Those of them that remove: what was held before and is approved now, and what a run that
    /// died had sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated_removals: u64,
    pub acknowledged: u64,
    pub rejected: u64,
    /// Removals that were not sent: they wait for an operator.
    #[serde(default)]
    pub held: u64,
}

impl PushCounts {
    /// The records that go to the destination.
    #[must_use]
    pub fn sent(&self) -> u64 {
        (self.added + self.changed + self.removed + self.repeated).saturating_sub(self.held)
    }

    /// The records that are removed at the destination.
    #[must_use]
    pub fn removals(&self) -> u64 {
        self.removed.saturating_sub(self.held) + self.repeated_removals
    }

    /// The records that are written again.
    #[must_use]
    pub fn rewrites(&self) -> u64 {
        self.repeated.saturating_sub(self.repeated_removals)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a run cost on one side: its requests that were answered. One whose failure ended an attempt
/// of a step is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub request_count: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

impl Cost {
    /// Adds another cost to this one.
    pub fn add(&mut self, other: Cost) {
        self.request_count += other.request_count;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

/// How the reading was proven complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofKind {
    /// The first response showed everything.
    FirstResponse,
    /// A closing request after the last change did.
    ClosingRequest,
    /// Nothing was read: an operator decided that no record is wanted any more.
    Decision,
}

/// The proof that a reading was complete: one response whose total equals the mirror's rows, whose
/// rows stand in the mirror as they are, and which reaches back far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub kind: ProofKind,
    /// The total that the proving response gave.
    pub source_total: u64,
    /// Closing requests that were made, the proving one included; 0 for a first response.
    pub turn_count: u32,
}

/// The receipt of a run that committed. Under 2 KB as JSON: it is the workflow's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub number: RunNumber,
    pub outcome: Outcome,
    pub definition_version: u32,
    /// Whether the whole listing was read.
    pub full_read: bool,
    /// The watermark: a record unchanged since then is at the destination as mapped.
    pub complete_as_of: Timestamp,
    pub rows: RowCounts,
    pub records: RecordCounts,
    pub push: PushCounts,
    /// Keys whose state at the destination is not what the snapshot says, without the waived ones.
    pub exception_count: u64,
    /// How many of them are records that the destination refused.
    #[serde(default)]
    pub rejected_count: u64,
    /// How many of them are removals that wait for an operator.
    #[serde(default)]
    pub held_count: u64,
    /// Why they do, in words: the rule that fired last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_rule: Option<String>,
    /// Exceptions that an operator accepted; they do not count above.
    #[serde(default)]
    pub waived_count: u64,
    pub proof: Proof,
    pub source_cost: Cost,
    pub destination_cost: Cost,
    /// Mapped paths that no row had, in a full read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched_paths: Vec<String>,
}

/// A sum of the receipt that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt does not balance: {sum}: {left} is not {right}")]
pub struct Unbalanced {
    pub sum: &'static str,
    pub left: i128,
    pub right: i128,
}

impl Receipt {
    /// Checks every sum of the receipt.
    ///
    /// # Errors
    /// The first sum that does not hold.
    pub fn check(&self) -> Result<(), Unbalanced> {
        let Self { rows, records, push, .. } = self;
        let sums: [(&'static str, [u64; 3], [u64; 4]); 2] = [
            (
                "rows shown = sent + filtered + invalid",
                [rows.next, 0, 0],
                [rows.sent, rows.filtered, rows.invalid, 0],
            ),
            (
                "added + changed + removed + repeated = acknowledged + rejected + held",
                [push.acknowledged, push.rejected, push.held],
                [push.added, push.changed, push.removed, push.repeated],
            ),
        ];
        for (sum, left, right) in sums {
            let left: i128 = left.iter().copied().map(i128::from).sum();
            let right: i128 = right.iter().copied().map(i128::from).sum();
            equal(sum, left, right)?;
        }
        equal(
            "previous rows + appeared - vanished = next rows",
            i128::from(rows.previous) + i128::from(rows.appeared) - i128::from(rows.vanished),
            i128::from(rows.next),
        )?;
        equal(
            "next rows = the source's total",
            i128::from(rows.next),
            i128::from(rows.source_total),
        )?;
        equal(
            "the source's total = the proof's total",
            i128::from(rows.source_total),
            i128::from(self.proof.source_total),
        )?;
        equal(
            "previous records + added - removed - kept = next records",
            i128::from(records.previous) + i128::from(records.added)
                - i128::from(records.removed)
                - i128::from(records.kept),
            i128::from(records.next),
        )
    }
}

fn equal(sum: &'static str, left: i128, right: i128) -> Result<(), Unbalanced> {
    if left == right { Ok(()) } else { Err(Unbalanced { sum, left, right }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_of_an_earlier_version_is_readable() {
        let written = r#"{
            "number": 7, "outcome": "held", "definition_version": 1, "full_read": false,
            "complete_as_of": "2026-11-21T10:00:00Z",
            "rows": {
                "previous": 0, "appeared": 0, "vanished": 0, "next": 0, "source_total": 0,
                "sent": 0, "filtered": 0, "invalid": 0
            },
            "records": { "previous": 0, "added": 0, "removed": 0, "kept": 0, "next": 0 },
            "push": {
                "added": 0, "changed": 0, "removed": 0, "repeated": 0,
                "acknowledged": 0, "rejected": 0
            },
            "exception_count": 0,
            "proof": { "kind": "first-response", "source_total": 0, "turn_count": 0 },
            "source_cost": {
                "request_count": 3, "bytes_sent": 0, "bytes_received": 20, "waited_ms": 0
            },
            "destination_cost": {
                "request_count": 0, "bytes_sent": 0, "bytes_received": 0, "waited_ms": 0
            }
        }"#;
        let receipt: Receipt = serde_json::from_str(written).unwrap();
        let cost = Cost { request_count: 3, bytes_sent: 0, bytes_received: 20 };
        assert_eq!((receipt.number, receipt.source_cost), (RunNumber::new(7), cost));
        assert_eq!((receipt.held_count, receipt.hold_rule), (0, None));
    }
}
