//! Rules that a simulation can switch off, one at a time, to prove that it would notice.
//!
//! Each is asked for at the place of its rule. Without the feature `defects` the answer is a
//! constant *no*, and the question is compiled away; the product is always built so.

/// A rule that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// What runs that died may have sent is not sent again.
    ForgetDirty,
    /// A sender does not look at the log.
    SkipFence,
    /// What a commit says about requests that may still be at work is left out.
    ForgetQuietTime,
    /// What a sender wrote down about having been late is not read.
    IgnoreLateMarks,
    /// A commit does not look for such marks once more.
    SkipLastLook,
    /// A batch is acknowledged before it is sent.
    AcknowledgeFirst,
    /// The snapshot leaves filtered rows out.
    ForgetFiltered,
    /// The snapshot leaves invalid rows out.
    ForgetInvalid,
    /// Refused records are no exceptions.
    ForgetRejected,
    /// Held removals are not written down.
    ForgetHeld,
    /// Removals are not held although rows came without their keys.
    ForgetLostKeys,
    /// Records that stay under `deletions = "keep"` are not written down.
    ForgetKept,
    /// A waiver lasts although the row changed.
    WaiveForEver,
    /// A page that the store lost counts as one without rows.
    MissingPageIsEmpty,
    /// The last page of a reading does not count.
    DropLastPage,
    /// An object that is to be created only if absent replaces one that is there.
    OverwriteEntries,
    /// A row of which only the change time moved stays in the snapshot as it was.
    IgnoreChangeTime,
    /// The watermark is the time of the last response.
    WatermarkTooLate,
    /// The next page begins so many rows after the first.
    PageByOffset,
    /// The total of one response is held against what another one left.
    CompareTwoInstants,
    /// What was found in several responses is believed without a closing one.
    SkipClosing,
    /// A list that gave no proof is believed all the same.
    BelieveUnproven,
    /// A closing request does not wait for what becomes visible late.
    SkipSettleWait,
    /// A response proves, however little of the past it shows.
    IgnoreReach,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::ForgetDirty,
        Self::SkipFence,
        Self::ForgetQuietTime,
        Self::IgnoreLateMarks,
        Self::SkipLastLook,
        Self::AcknowledgeFirst,
        Self::ForgetFiltered,
        Self::ForgetInvalid,
        Self::ForgetRejected,
        Self::ForgetHeld,
        Self::ForgetLostKeys,
        Self::ForgetKept,
        Self::WaiveForEver,
        Self::MissingPageIsEmpty,
        Self::DropLastPage,
        Self::OverwriteEntries,
        Self::IgnoreChangeTime,
        Self::WatermarkTooLate,
        Self::PageByOffset,
        Self::CompareTwoInstants,
        Self::SkipClosing,
        Self::BelieveUnproven,
        Self::SkipSettleWait,
        Self::IgnoreReach,
    ];
}

/// Whether a rule is switched off.
#[cfg(not(feature = "defects"))]
#[must_use]
pub const fn on(_defect: Defect) -> bool {
    false
}

#[cfg(feature = "defects")]
pub use switch::{on, set};

#[cfg(feature = "defects")]
mod switch {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static ACTIVE: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    /// Switches one rule off, for this thread; `None` switches all on again.
    pub fn set(defect: Option<Defect>) {
        ACTIVE.set(defect);
    }

    /// Whether a rule is switched off.
    #[must_use]
    pub fn on(defect: Defect) -> bool {
        ACTIVE.get() == Some(defect)
    }
}
