//! Finding what the count says is missing: the rows up to a change time are counted at Mailchimp and
//! in the mirror, and the half in which the counts differ is halved again, until it is small enough
//! to be compared row by row.
//!
//! Counts of different instants are compared here, so what is found is a guess; the closing request
//! decides whether it was right.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use tidemark_model::{failure::Failure, receipt::Cost};

use super::{
    desk::{Desk, Draft, Staged},
    journal::{Journal, Newest, Step},
    position::{Advance, Position},
};
use crate::mailchimp::listing::{BEGINNING, END, Listing, Scope, Span};

/// A span of so many pages is compared row by row: counting once more would cost as much.
const COMPARED_PAGES: u64 = 2;

/// How far from the middle a cut may be: one row of so many.
const CUT_TOLERANCE: u64 = 4_096;

/// A search for the rows in which the mirror and the list differ.
pub(super) struct Bisect<'a> {
    pub(super) desk: &'a Desk<'a>,
    /// The response whose total does not add up.
    pub(super) newest: &'a Newest,
    /// How many requests it may cost; a full read is cheaper than more.
    pub(super) request_limit: u64,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Searched {
    Through,
    /// A full read is cheaper.
    TooDear,
}

/// A span, and how many rows lie at or before its ends: at Mailchimp and in the mirror.
#[derive(Clone, Copy, Debug)]
struct Node {
    span: Span,
    listed: (u64, u64),
    held: (u64, u64),
}

impl Node {
    fn listed_count(&self) -> u64 {
        self.listed.1.saturating_sub(self.listed.0)
    }

    fn held_count(&self) -> u64 {
        self.held.1.saturating_sub(self.held.0)
    }

    fn differs(&self) -> bool {
        self.listed_count() != self.held_count()
    }
}

/// What looking at a node gave.
enum Looked {
    Halves([Node; 2], Cost),
    Compared(Vec<Staged>),
}

impl Bisect<'_> {
    /// How many requests the search takes at least, `missing` rows being looked for among `total`.
    pub(super) fn estimate(missing: u64, total: u64, page_size: u32) -> u64 {
        let windows = total / (u64::from(page_size) * COMPARED_PAGES);
        missing.saturating_mul(u64::from(windows.max(1).ilog2()) + COMPARED_PAGES)
    }

    pub(super) async fn search(
        &self,
        held: u64,
        journal: &mut Journal,
    ) -> Result<Searched, Failure> {
        let root = Node { span: Span::ALL, listed: (0, self.newest.total), held: (0, held) };
        let mut level = vec![root];
        let mut spent = 0;
        while !level.is_empty() {
            spent += level.len() as u64;
            if spent > self.request_limit {
                return Ok(Searched::TooDear);
            }
            let nodes = level.drain(..).map(|node| {
                let window = self.window(node.span);
                let number = journal.next_number(&window);
                self.look(node, window, number)
            });
            let nodes: Vec<_> = nodes.collect();
            let mut looks = stream::iter(nodes).buffered(self.desk.limits.simultaneous_requests);
            let mut next = Vec::new();
            while let Some(looked) = looks.next().await {
                match looked? {
                    Looked::Halves(halves, cost) => {
                        journal.unstaged.add(cost);
                        next.extend(halves.into_iter().filter(Node::differs));
                    }
                    Looked::Compared(staged) => {
                        spent += (staged.len() as u64).saturating_sub(1);
                        for Staged { head, resume } in staged {
                            journal.note(&head, resume);
                        }
                    }
                }
            }
            drop(looks);
            level = next;
        }
        Ok(Searched::Through)
    }

    /// The window of a span's pages.
    fn window(&self, span: Span) -> String {
        match span.after {
            BEGINNING => format!("compare/{}/-", self.newest.turn),
            after => format!("compare/{}/{after}", self.newest.turn),
        }
    }

    /// Halves a node, or compares it if it is small: its pages belong to `window`, from `number` on.
    async fn look(&self, node: Node, window: String, number: u32) -> Result<Looked, Failure> {
        let comparable = u64::from(self.desk.limits.page_size) * COMPARED_PAGES;
        if node.listed_count() > comparable
            && let Some((cut, held)) = self.middle(&node).await?
        {
            let shown = self.desk.ask(&Listing::count_until(cut)).await?;
            let listed = shown.page.total;
            let halves = [
                Node {
                    span: Span { until: cut, ..node.span },
                    listed: (node.listed.0, listed),
                    held: (node.held.0, held),
                },
                Node {
                    span: Span { after: cut, ..node.span },
                    listed: (listed, node.listed.1),
                    held: (held, node.held.1),
                },
            ];
            return Ok(Looked::Halves(halves, shown.answer.cost()));
        }
        self.compare(&node, window, number).await.map(Looked::Compared)
    }

    /// A second inside the span that has half of the mirror's rows on either side, or nearly, and
    /// the rows up to it. `None` if the span is a single second.
    async fn middle(&self, node: &Node) -> Result<Option<(i64, u64)>, Failure> {
        let Span { after, until } = node.span;
        // Members without a change time lie at second 0.
        let mut low = if after == BEGINNING { -1 } else { after };
        let mut high = if until == END { self.newest.newest.unwrap_or(0) } else { until };
        let target = node.held.0 + node.held_count() / 2;
        let mut best: Option<(i64, u64)> = None;
        while high.saturating_sub(low) > 1 {
            let cut = low + (high - low) / 2;
            let held = self.desk.mirror.count_until(cut).await?;
            if best.is_none_or(|(_, best)| held.abs_diff(target) < best.abs_diff(target)) {
                best = Some((cut, held));
            }
            if held.abs_diff(target) <= node.held_count() / CUT_TOLERANCE {
                break;
            }
            if held < target {
                low = cut;
            } else {
                high = cut;
            }
        }
        Ok(best)
    }

    /// Reads a span and takes off what it does not show, until as much is found as is missing.
    async fn compare(
        &self,
        node: &Node,
        window: String,
        number: u32,
    ) -> Result<Vec<Staged>, Failure> {
        let (desk, span) = (self.desk, node.span);
        let missing = node.held_count().checked_sub(node.listed_count());
        let mut seen = HashSet::new();
        let mut staged = Vec::new();
        let mut from = Position::after(span.after);
        loop {
            let shown = desk.ask(&desk.page_at(Scope::Visible, &from, span.until)).await?;
            let advance = desk.advance(&from, &shown)?;
            let page = shown.page;
            seen.extend(page.rows.iter().map(|row| row.key.clone()));
            let (mut next, through) = match advance {
                Advance::Done => (None, span.until),
                Advance::On(next) | Advance::Back(next) => {
                    let through = next.after;
                    (Some(next), through)
                }
            };
            let mut gone = desk.missing_in((span.after, through), &seen).await?;
            if missing == Some(gone.len() as u64) {
                next = None;
            }
            if next.is_some() {
                gone.clear();
            }
            let draft = Draft {
                window: window.clone(),
                number: number.saturating_add(u32::try_from(staged.len()).unwrap_or(u32::MAX)),
                step: Step::Compare,
                answer: &shown.answer,
                requested_at: shown.requested_at,
                remarks: desk.remarks(&page).await?,
                rows: page.rows,
                gone,
            };
            staged.push(desk.stage(draft).await?);
            match next {
                None => return Ok(staged),
                Some(next) => from = next,
            }
        }
    }
}
