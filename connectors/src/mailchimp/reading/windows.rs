//! Windows of change time that are read side by side.
//!
//! A window has a begin only: it ends where the next one begins. So an idle slot can cut the window
//! with the most rows left wherever it likes, and what was read can be told from the staged pages
//! alone. Where to cut is a guess, since only counts are known; each page's own total mends it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::position::{Advance, Position};
use crate::mailchimp::listing::{BEGINNING, Span};

/// A window is cut if at least so many pages are left of it.
const WORTH_CUTTING: u64 = 3;

/// How far a window is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Where its next page begins.
    pub(super) next: Position,
    /// Everything up to this second was read.
    pub(super) through: i64,
    /// How many rows were left of it.
    pub(super) left: u64,
}

/// The windows of one walk, by the second after which they begin.
#[derive(Debug)]
pub(super) struct Windows {
    span: Span,
    /// Where the newest row is, for a walk without an upper bound.
    horizon: i64,
    page_size: u32,
    windows: BTreeMap<i64, Window>,
}

#[derive(Debug)]
struct Window {
    progress: Progress,
    next_number: u32,
    asked: bool,
}

impl Window {
    fn new(start: i64, left: u64) -> Self {
        let progress = Progress { next: Position::after(start), through: start, left };
        Self { progress, next_number: 0, asked: false }
    }
}

/// A page to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    /// The begin of its window.
    pub(super) window: i64,
    pub(super) number: u32,
    pub(super) from: Position,
    pub(super) until: i64,
}

impl Errand {
    /// How far the window is read with the page; `left` rows were left of it.
    pub(super) fn progress(&self, advance: Advance, left: u64) -> Progress {
        match advance {
            Advance::Done => {
                let through = self.until;
                Progress { next: Position::after(through), through, left: 0 }
            }
            Advance::On(next) | Advance::Back(next) => {
                let through = next.after;
                Progress { next, through, left }
            }
        }
    }
}

impl Windows {
    /// `read` names the windows that have durable pages: begin, number of the last page, progress.
    pub(super) fn new(
        span: Span,
        horizon: i64,
        page_size: u32,
        read: impl Iterator<Item = (i64, u32, Progress)>,
    ) -> Self {
        let mut windows: BTreeMap<i64, Window> = read
            .map(|(start, number, progress)| {
                (start, Window { progress, next_number: number + 1, asked: false })
            })
            .collect();
        windows.entry(span.after).or_insert_with(|| Window::new(span.after, 0));
        Self { span, horizon, page_size, windows }
    }

    /// The next page to ask for while `idle` slots have nothing to do; a window is cut for them if
    /// none is waiting. `None` if there is nothing to ask for now.
    pub(super) fn next(&mut self, idle: usize) -> Option<Errand> {
        if self.waiting().is_none() {
            self.cut(idle);
        }
        let start = self.waiting()?;
        let until = self.until(start);
        let window = self.windows.get_mut(&start)?;
        window.asked = true;
        let (number, from) = (window.next_number, window.progress.next.clone());
        Some(Errand { window: start, number, from, until })
    }

    /// Takes note of a durable page.
    pub(super) fn read(&mut self, errand: &Errand, mut progress: Progress) {
        let until = self.until(errand.window);
        if until < errand.until {
            // The window was cut while the page was on its way.
            progress.left = share(
                progress.left,
                (self.second(progress.through), self.second(until)),
                (self.second(progress.through), self.second(errand.until)),
            );
        }
        if let Some(window) = self.windows.get_mut(&errand.window) {
            *window = Window { progress, next_number: errand.number + 1, asked: false };
        }
    }

    /// A window that has rows left, whose next page was not asked for.
    fn waiting(&self) -> Option<i64> {
        let waits = |(start, window): &(&i64, &Window)| {
            !window.asked && window.progress.through < self.until(**start)
        };
        self.windows.iter().find(waits).map(|(start, _)| *start)
    }

    /// Where a window ends.
    fn until(&self, start: i64) -> i64 {
        let next = self.windows.range(start.saturating_add(1)..).next();
        next.map_or(self.span.until, |(start, _)| *start)
    }

    /// Cuts the window with the most rows left into a part for itself and one for each idle slot.
    fn cut(&mut self, idle: usize) {
        let page = u64::from(self.page_size);
        let widest = self
            .windows
            .iter()
            .filter(|(start, window)| {
                window.progress.left >= WORTH_CUTTING * page && self.width(**start, window) > 1
            })
            .max_by_key(|(_, window)| window.progress.left);
        let Some((&start, window)) = widest else { return };
        let (from, width) = (self.second(window.progress.next.after), self.width(start, window));
        let left = window.progress.left;
        let parts = (idle as u64 + 1).min(left / page).min(width).max(2);
        for part in 1..parts {
            let begin = from.saturating_add_unsigned(width * part / parts);
            self.windows.insert(begin, Window::new(begin, left / parts));
        }
        if let Some(window) = self.windows.get_mut(&start) {
            window.progress.left = left / parts;
        }
    }

    /// The seconds that are left of a window.
    fn width(&self, start: i64, window: &Window) -> u64 {
        let from = self.second(window.progress.next.after);
        u64::try_from(self.second(self.until(start)).saturating_sub(from)).unwrap_or(0)
    }

    /// A bound as a second that can be reckoned with.
    fn second(&self, bound: i64) -> i64 {
        if bound == BEGINNING { -1 } else { bound.min(self.horizon) }
    }
}

/// The share of `rows` that lies in `part` if they are spread evenly over `whole`.
fn share(rows: u64, part: (i64, i64), whole: (i64, i64)) -> u64 {
    let width = |(from, to): (i64, i64)| u128::from(to.saturating_sub(from).max(0).unsigned_abs());
    let rows = u128::from(rows) * width(part) / width(whole).max(1);
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailchimp::listing::END;

    /// Reads `list` (seconds of rows) with `slots` pages at once, each round one page for each;
    /// returns the rounds that took.
    fn rounds(list: &[i64], slots: usize) -> (usize, usize) {
        let page_size = 100;
        let horizon = *list.last().unwrap();
        let span = Span { after: BEGINNING, until: END };
        let mut windows = Windows::new(span, horizon, page_size, std::iter::empty());
        let mut shown = vec![false; list.len()];
        let (mut rounds, mut requests) = (0, 0);
        loop {
            let mut errands = Vec::new();
            while errands.len() < slots
                && let Some(errand) = windows.next(slots - errands.len())
            {
                errands.push(errand);
            }
            if errands.is_empty() {
                break;
            }
            rounds += 1;
            requests += errands.len();
            assert!(rounds < 10_000, "the walk does not end");
            for errand in errands {
                let lower = list.partition_point(|second| *second <= errand.from.after);
                let upper = list.partition_point(|second| *second <= errand.until).max(lower);
                let from = lower + usize::try_from(errand.from.skip).unwrap();
                let to = (from + page_size as usize).min(upper);
                shown[from.min(to)..to].fill(true);
                let rows: Vec<_> = (from..to)
                    .map(|n| {
                        let state = tidemark_model::row::RowState::Filtered;
                        tidemark_model::row::Row::without_record(n.to_string(), list[n], state)
                    })
                    .collect();
                let total = (upper - lower) as u64;
                let left = total.saturating_sub(errand.from.skip + rows.len() as u64);
                let advance = errand.from.advance(&rows, total, page_size).unwrap();
                let progress = errand.progress(advance, left);
                windows.read(&errand, progress);
            }
        }
        assert!(shown.iter().all(|shown| *shown), "a row was never shown");
        (rounds, requests)
    }

    #[test]
    fn eight_slots_read_nearly_eight_times_as_fast_however_the_rows_lie_in_time() {
        let year = 365 * 86_400;
        let even: Vec<i64> = (0..80_000).map(|n| 1_600_000_000 + n * year / 80_000).collect();
        // Nine of ten rows in one day of the year.
        let skewed: Vec<i64> = (0..8_000)
            .map(|n| 1_600_000_000 + n * year / 8_000)
            .chain((0..72_000).map(|n| 1_620_000_000 + n * 86_400 / 72_000))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        // Imports: ten pages of rows in one second, again and again.
        let tied: Vec<i64> = (0..80_000).map(|n| 1_600_000_000 + n / 1_000 * 3_600).collect();
        for (name, list) in [("even", even), ("skewed", skewed), ("tied", tied)] {
            let (rounds, requests) = rounds(&list, 8);
            let ideal = list.len().div_ceil(100).div_ceil(8);
            assert!(rounds <= ideal * 13 / 10, "{name}: {rounds} rounds, {ideal} are ideal");
            assert!(requests <= list.len() / 100 * 5 / 4, "{name}: {requests} requests");
        }
    }

    #[test]
    fn a_short_walk_is_not_cut() {
        let list: Vec<i64> = (0..250).collect();
        assert_eq!(rounds(&list, 8), (3, 3));
    }

    #[test]
    fn windows_go_on_behind_their_durable_pages() {
        let span = Span { after: 0, until: 1_000 };
        let done = Progress { next: Position::after(500), through: 1_000, left: 0 };
        let half = Progress { next: Position::after(200), through: 200, left: 50 };
        let read = [(500, 3, done), (100, 0, half)];
        let mut windows = Windows::new(span, 1_000, 100, read.into_iter());
        let errands: Vec<Errand> = std::iter::from_fn(|| windows.next(8)).collect();
        let named: Vec<_> = errands.iter().map(|e| (e.window, e.number, e.until)).collect();
        assert_eq!(named, [(0, 0, 100), (100, 1, 500)]);
    }
}
