//! Counting what a comparison does.

use tidemark_model::{
    entry::SnapshotFiles,
    receipt::{PushCounts, RecordCounts, RowCounts},
};

use crate::snapshot::Standing;

/// What became of rows and records, and what is to be sent. Tallies of parts add up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    appeared: u64,
    vanished: u64,
    sent: i64,
    filtered: i64,
    invalid: i64,
    added: u64,
    removed: u64,
    kept: u64,
    pub(super) push: PushCounts,
    /// Rows of the next snapshot that differ from the base's in anything.
    pub(super) moved: u64,
}

impl Tally {
    /// A row stood as `old` and stands as `new`; `None` is no row.
    pub(super) fn row(&mut self, old: Option<Standing>, new: Option<Standing>) {
        self.moved += 1;
        self.appeared += u64::from(old.is_none() && new.is_some());
        self.vanished += u64::from(old.is_some() && new.is_none());
        for (standing, by) in [(old, -1), (new, 1)] {
            match standing {
                Some(Standing::Sent) => self.sent += by,
                Some(Standing::Filtered) => self.filtered += by,
                Some(Standing::Invalid | Standing::InvalidWithRecord) => self.invalid += by,
                Some(Standing::Gone) | None => {}
            }
        }
    }

    pub(super) fn record_added(&mut self) {
        self.added += 1;
    }

    pub(super) fn record_removed(&mut self) {
        self.removed += 1;
    }

    pub(super) fn record_kept(&mut self) {
        self.kept += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.appeared += other.appeared;
        self.vanished += other.vanished;
        self.sent += other.sent;
        self.filtered += other.filtered;
        self.invalid += other.invalid;
        self.added += other.added;
        self.removed += other.removed;
        self.kept += other.kept;
        self.moved += other.moved;
        self.push.added += other.push.added;
        self.push.changed += other.push.changed;
        self.push.removed += other.push.removed;
        self.push.repeated += other.push.repeated;
        self.push.repeated_removals += other.push.repeated_removals;
    }

    /// The counts of the next snapshot, and those of the receipt.
    pub(super) fn close(
        &self,
        base: Option<&SnapshotFiles>,
    ) -> (SnapshotFiles, RowCounts, RecordCounts) {
        let none = SnapshotFiles::default();
        let base = base.unwrap_or(&none);
        let moved = |count: u64, by: i64| count.saturating_add_signed(by);
        let next = SnapshotFiles {
            row_count: base.row_count + self.appeared - self.vanished,
            sent_count: moved(base.sent_count, self.sent),
            filtered_count: moved(base.filtered_count, self.filtered),
            invalid_count: moved(base.invalid_count, self.invalid),
            record_count: base.record_count + self.added - self.removed - self.kept,
            ..SnapshotFiles::default()
        };
        let rows = RowCounts {
            previous: base.row_count,
            appeared: self.appeared,
            vanished: self.vanished,
            next: next.row_count,
            source_total: 0,
            sent: next.sent_count,
            filtered: next.filtered_count,
            invalid: next.invalid_count,
        };
        let records = RecordCounts {
            previous: base.record_count,
            added: self.added,
            removed: self.removed,
            kept: self.kept,
            next: next.record_count,
        };
        (next, rows, records)
    }
}
