//! How large the parts of a snapshot are.

/// Sizes of a snapshot's files. The defaults are measured; tests make them small, so that few
/// rows meet every border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The most rows of a range file, which is one row group.
    pub range_rows: u64,
    /// About the most bytes of a range file: what its writer holds in memory.
    pub range_bytes: usize,
    /// Rows of a page of the columns that are looked into: what a look-up reads per key.
    pub page_rows: usize,
    /// Deltas of one tier that make one of the next.
    pub tier_fan: usize,
    /// The last tier: its deltas are merged as soon as there are two.
    pub last_tier: u32,
    /// Deltas are folded into the ranges when they hold more than one row in this many.
    pub fold_at: u64,
    /// The most rows of a reading that are looked up one by one.
    pub direct_rows: usize,
}

impl Default for Layout {
    /// Three deltas in each of the tiers 0 to 4 and one in tier 5: at most 16 files are read
    /// beside the ranges.
    fn default() -> Self {
        Self {
            range_rows: 250_000,
            range_bytes: 24 * 1024 * 1024,
            page_rows: 1_024,
            tier_fan: 4,
            last_tier: 5,
            fold_at: 10,
            direct_rows: 50_000,
        }
    }
}
