//! Where the next page of a walk through the listing begins.
//!
//! Pages are anchored by change time, not by offset: whatever moves in the list moves towards its
//! end, so nothing behind the anchor is skipped. Only where one second holds so many rows that
//! reading it again with each page would not pay, the walk goes on inside it by offset, and one of
//! the rows read last must show again: if none does, rows in front of it have left, and the walk
//! goes back.

use serde::{Deserialize, Serialize};
use tidemark_engine::port::KeyTime;
use tidemark_model::{
    defect::{self, Defect},
    row::Row,
};

use crate::mailchimp::listing::BEGINNING;

/// Rows by which a page and the one before it are known to follow one another.
const ANCHORS: usize = 3;

/// The part of a page that may be read again for the sake of its last second: one in this many.
const REPEATED_PART: u64 = 8;

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Everything up to this second was read.
    pub(super) after: i64,
    /// How many rows of the second that follows were read and are left out.
    pub(super) skip: u64,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) anchors: Vec<KeyTime>,
}

/// What a page means for the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// The page shows all that was left of its window, by its own total.
    Done,
    /// The next page begins here.
    On(Position),
    /// Rows moved away in front of the page: it does not follow the one before it.
    Back(Position),
}

/// A page that a walk cannot go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stuck {
    #[error("it shows fewer rows than its own total leaves, and none to go on from")]
    Short,
    #[error("its rows are not in the order that was asked for")]
    OutOfOrder,
}

impl Position {
    /// The first row after a second.
    pub(super) fn after(second: i64) -> Self {
        Self { after: second, skip: 0, anchors: Vec::new() }
    }

    /// Goes on behind `rows`, the page that was asked for at this position, oldest row first.
    /// `total` counts the rows after `self.after`, those that were skipped included.
    pub(super) fn advance(
        &self,
        rows: &[Row],
        total: u64,
        page_size: u32,
    ) -> Result<Advance, Stuck> {
        if !rows.is_sorted_by_key(|row| row.modified) {
            return Err(Stuck::OutOfOrder);
        }
        if self.skip > 0
            && !defect::on(Defect::PageByOffset)
            && !rows.iter().any(|row| self.is_anchor(row))
        {
            return Ok(Advance::Back(self.back(page_size)));
        }
        let read = self.skip + rows.len() as u64;
        if defect::on(Defect::PageByOffset) && !rows.is_empty() && read < total {
            return Ok(Advance::On(Self { after: self.after, skip: read, anchors: Vec::new() }));
        }
        if read >= total {
            return Ok(Advance::Done);
        }
        let second = rows.last().ok_or(Stuck::Short)?.modified;
        // Members without a change time count as older than any: no bound leaves those out.
        let after = if second > 0 { second - 1 } else { BEGINNING };
        let of_second = rows.iter().rev().take_while(|row| row.modified == second).count();
        let known =
            if of_second == rows.len() && after == self.after { read } else { of_second as u64 };
        let repeats_much = known > u64::from(page_size) / REPEATED_PART;
        let next = if repeats_much && known > 1 {
            let last = rows.iter().rev().take(of_second.min(ANCHORS));
            let anchors =
                last.map(|row| KeyTime { key: row.key.clone(), modified: row.modified }).collect();
            Self { after, skip: known - 1, anchors }
        } else {
            Self::after(after)
        };
        if next == *self { Err(Stuck::Short) } else { Ok(Advance::On(next)) }
    }

    fn is_anchor(&self, row: &Row) -> bool {
        self.anchors.iter().any(|anchor| anchor.key == row.key && anchor.modified == row.modified)
    }

    /// A page earlier in the same second; at its begin nothing has to show again.
    fn back(&self, page_size: u32) -> Self {
        let skip = self.skip.saturating_sub(u64::from(page_size) - 1);
        if skip == 0 { Self::after(self.after) } else { Self { skip, ..self.clone() } }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidemark_model::row::RowState;

    use super::*;

    /// The listing after a second, in its order, from an offset on.
    fn page(list: &[(i64, u32)], at: &Position, size: usize) -> (Vec<Row>, u64) {
        let behind: Vec<_> = list.iter().filter(|(second, _)| *second > at.after).collect();
        let skip = usize::try_from(at.skip).unwrap();
        let rows =
            behind.iter().skip(skip).take(size).map(|(second, id)| {
                Row::without_record(format!("c{id}"), *second, RowState::Filtered)
            });
        (rows.collect(), behind.len() as u64)
    }

    /// Walks the list; `disturb` may change it before each page.
    fn walk(
        mut list: Vec<(i64, u32)>,
        size: u32,
        mut disturb: impl FnMut(u32, &mut Vec<(i64, u32)>),
    ) -> (BTreeSet<String>, u32) {
        let (mut seen, mut at, mut pages) = (BTreeSet::new(), Position::after(BEGINNING), 0);
        loop {
            disturb(pages, &mut list);
            pages += 1;
            assert!(pages < 10_000, "the walk does not end");
            let (rows, total) = page(&list, &at, size as usize);
            seen.extend(rows.iter().map(|row| row.key.clone()));
            match at.advance(&rows, total, size).unwrap() {
                Advance::Done => return (seen, pages),
                Advance::On(next) | Advance::Back(next) => at = next,
            }
        }
    }

    #[test]
    fn every_row_is_read_once_or_nearly() {
        // Seconds with one row, with half a page, with more than a page, and with none.
        for per_second in [1, 7, 51, 60, 99, 100, 101, 350, 1_000] {
            let list: Vec<(i64, u32)> =
                (0..1_000).map(|id| (1_000 + 3 * i64::from(id / per_second), id)).collect();
            let (seen, pages) = walk(list, 100, |_, _| {});
            assert_eq!(seen.len(), 1_000, "{per_second} rows a second");
            assert!(pages <= 12, "{pages} pages at {per_second} rows a second");
        }
    }

    #[test]
    fn rows_without_a_change_time_are_walked_by_offset() {
        let list: Vec<(i64, u32)> = (0..250).map(|id| (0, id)).chain([(5, 250)]).collect();
        assert_eq!(walk(list, 100, |_, _| {}).0.len(), 251);
    }

    #[test]
    fn rows_that_leave_in_front_of_the_walk_hide_none_behind_it() {
        let list: Vec<(i64, u32)> = (0..1_000).map(|id| (1_000, id)).collect();
        // Before the fourth page, 120 of the rows that were read leave: more than a page.
        let (seen, _) = walk(list, 100, |pages, list| {
            if pages == 3 {
                list.drain(100..220);
            }
        });
        assert_eq!(seen.len(), 1_000);
    }

    #[test]
    fn a_page_that_claims_more_than_it_shows_is_refused() {
        let at = Position::after(BEGINNING);
        assert_eq!(at.advance(&[], 3, 100), Err(Stuck::Short));
        let rows = [2, 1]
            .map(|second| Row::without_record(format!("c{second}"), second, RowState::Filtered));
        assert_eq!(at.advance(&rows, 9, 100), Err(Stuck::OutOfOrder));
    }
}
