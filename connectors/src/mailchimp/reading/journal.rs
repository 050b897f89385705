//! What the staged pages of a reading say about how far it is: the only memory between attempts.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidemark_engine::port::PageHead;
use tidemark_model::{
    defect::{self, Defect},
    failure::{Failure, FailureKind, Side},
    receipt::Cost,
};

use super::windows::Progress;
use crate::mailchimp::listing::BEGINNING;

/// What a page says to the next attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Resume {
    pub(super) step: Step,
    /// How many rows it showed.
    pub(super) shown: u64,
    /// When the answer was there, by our clock.
    pub(super) answered_at: Timestamp,
    /// The change time of the youngest row that it took away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) took_away: Option<i64>,
    #[serde(flatten)]
    pub(super) remarks: Remarks,
}

/// What strikes about the rows of a page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Remarks {
    /// Whether it showed a row that should have been known: one that is new or different, with a
    /// change time before the last watermark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) contradicts: bool,
    /// The keys that must be seen and are among its rows or those that it took away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<String>,
    /// The mapped paths that no row of it had; `None` if no row was mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unmatched: Option<Vec<String>>,
    /// The names that stand in for the keys of rows that came without their own, and under which
    /// the last commit does not know them as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) stand_ins: Vec<String>,
}

/// The question that a page answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// The newest rows and the total: the first request or a closing one.
    Newest(Newest),
    /// A part of a walk through a span of change time.
    Window { walk: WalkName, start: i64, progress: Progress },
    /// A part of a small span whose rows are compared with the mirror's.
    Compare,
    /// One member.
    LookUp,
    /// No answer: from here on the whole list is read.
    Full,
    /// No answer: all that the request of that number calls for was asked.
    CaughtUp(u32),
}

/// The newest rows and the total, from one response.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Newest {
    /// 0 for the first request, then the closing requests.
    pub(super) turn: u32,
    /// When the request began, by Mailchimp's clock.
    pub(super) begun_at: Timestamp,
    /// The same, by our clock.
    pub(super) sent_at: Timestamp,
    pub(super) total: u64,
    /// The change time of the newest row; `None` if the list has none.
    pub(super) newest: Option<i64>,
    /// The change time of the oldest row that it shows; `None` if it shows every row of the list.
    pub(super) oldest: Option<i64>,
    /// The second up to which it has to reach back.
    pub(super) reach: i64,
    /// Whether each of its rows stands in the mirror once they are laid over it. Of a closing one that
    /// brings something that is known after it was staged, and so by the attempt that asked.
    pub(super) stands: bool,
    /// Whether this attempt asked it: an answer of an earlier one proves nothing any more, since
    /// pages were laid over the mirror after it.
    #[serde(skip)]
    pub(super) fresh: bool,
}

impl Newest {
    /// Whether everything that may have changed since the second that it has to reach is shown.
    pub(super) fn reaches_back(&self) -> bool {
        self.oldest.is_none_or(|oldest| oldest < self.reach || defect::on(Defect::IgnoreReach))
    }
}

/// What a walk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WalkName {
    /// The whole list.
    Full,
    /// What lies between a request for the newest rows and the second that it has to reach.
    Changes(u32),
    /// Archived members, asked for after the request of that number.
    Archived(u32),
}

impl WalkName {
    /// The name of one of its windows.
    pub(super) fn window(self, start: i64) -> String {
        let start = if start == BEGINNING { "-".to_owned() } else { start.to_string() };
        match self {
            Self::Full => format!("full/{start}"),
            Self::Changes(turn) => format!("changes/{turn}/{start}"),
            Self::Archived(turn) => format!("archived/{turn}/{start}"),
        }
    }
}

/// How far the reading is.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) first: Option<Newest>,
    /// The last closing request.
    pub(super) closing: Option<Newest>,
    /// Whether the whole list is being read.
    pub(super) full: bool,
    /// Whether that began after the last request for the newest rows.
    pub(super) outdated: bool,
    /// The last request for the newest rows for which all was asked that it calls for.
    pub(super) caught_up: Option<u32>,
    /// Whether a page showed a row that should have been known.
    pub(super) contradicted: bool,
    /// When the last answer was there that took a row away, by our clock.
    pub(super) taken_at: Option<Timestamp>,
    /// Keys that must be seen and were.
    pub(super) seen: HashSet<String>,
    /// See [`Remarks::stand_ins`].
    pub(super) stand_ins: HashSet<String>,
    /// Rows that all pages showed.
    pub(super) shown: u64,
    /// What was asked without staging a page.
    pub(super) unstaged: Cost,
    /// The mapped paths that no row had so far.
    unmatched: Option<Vec<String>>,
    /// The number of the next page of each window, by the window's name.
    next_numbers: HashMap<String, u32>,
    /// The last page of each window of a walk.
    windows: BTreeMap<(WalkName, i64), (u32, Progress)>,
    /// When the walks through the archived members began, by Mailchimp's clock.
    archived_begun: BTreeMap<u32, Timestamp>,
    /// The youngest archived member that was taken off.
    youngest_archived: Option<i64>,
    /// Whether anything was asked besides the first request and archived members.
    asked_else: bool,
}

impl Journal {
    /// From the heads of the staged pages, in the order of their requests.
    pub(super) fn restore(staged: &[PageHead]) -> Result<Self, Failure> {
        let mut journal = Self::default();
        for head in staged {
            let resume = Resume::deserialize(&head.resume).map_err(|error| {
                let message = format!("the staged page `{}` cannot be read", head.window);
                Failure::new(FailureKind::Corrupt, Side::Platform, message).caused_by(&error)
            })?;
            journal.note(head, resume);
        }
        Ok(journal)
    }

    /// Takes note of a durable page.
    pub(super) fn note(&mut self, head: &PageHead, resume: Resume) {
        let Resume { step, shown, answered_at, took_away, remarks } = resume;
        let Remarks { contradicts, seen, unmatched, stand_ins } = remarks;
        let next_number = self.next_numbers.entry(head.window.clone()).or_default();
        *next_number = (*next_number).max(head.number.saturating_add(1));
        self.shown += shown;
        self.seen.extend(seen);
        self.stand_ins.extend(stand_ins);
        self.contradicted |= contradicts;
        if took_away.is_some() {
            self.taken_at = self.taken_at.max(Some(answered_at));
        }
        if let Some(unmatched) = unmatched {
            match &mut self.unmatched {
                Some(so_far) => so_far.retain(|path| unmatched.contains(path)),
                None => self.unmatched = Some(unmatched),
            }
        }
        let alone = match step {
            Step::Newest(newest) if newest.turn == 0 => {
                self.first = Some(newest);
                true
            }
            Step::Newest(newest) => {
                self.closing = Some(newest);
                self.outdated = false;
                false
            }
            Step::Window { walk, start, progress } => {
                if let WalkName::Archived(turn) = walk {
                    self.archived_begun.entry(turn).or_insert(head.requested_at);
                    self.youngest_archived = self.youngest_archived.max(took_away);
                }
                let last = self.windows.entry((walk, start)).or_insert((0, progress.clone()));
                if last.0 <= head.number {
                    *last = (head.number, progress);
                }
                matches!(walk, WalkName::Archived(_))
            }
            Step::Full => {
                self.full = true;
                self.outdated = true;
                false
            }
            Step::CaughtUp(turn) => {
                self.caught_up = self.caught_up.max(Some(turn));
                true
            }
            Step::Compare | Step::LookUp => false,
        };
        self.asked_else |= !alone;
    }

    /// The last request for the newest rows.
    pub(super) fn latest(&self) -> Option<&Newest> {
        self.closing.as_ref().or(self.first.as_ref())
    }

    /// Whether the first response may be the proof: nothing else was asked, but for members that
    /// were archived before `second`.
    pub(super) fn first_stands_alone(&self, second: i64) -> bool {
        !self.asked_else && self.youngest_archived.is_none_or(|archived| archived < second)
    }

    /// The keys that must be seen and were not.
    pub(super) fn unseen<'k>(&self, must_see: &'k [String]) -> impl Iterator<Item = &'k String> {
        must_see.iter().filter(|key| !self.seen.contains(*key))
    }

    /// The number of the next page of a window: pages that are durable keep theirs.
    pub(super) fn next_number(&self, window: &str) -> u32 {
        self.next_numbers.get(window).copied().unwrap_or(0)
    }

    /// The windows of a walk that have durable pages: begin, number of the last page, progress.
    pub(super) fn windows(&self, walk: WalkName) -> impl Iterator<Item = (i64, u32, Progress)> {
        self.windows
            .range((walk, i64::MIN)..=(walk, i64::MAX))
            .map(|((_, start), (number, progress))| (*start, *number, progress.clone()))
    }

    /// When the walk through the archived members before that of `turn` began.
    pub(super) fn archived_begun_before(&self, turn: u32) -> Option<Timestamp> {
        self.archived_begun.range(..turn).next_back().map(|(_, begun)| *begun)
    }

    /// The mapped paths that no row had.
    pub(super) fn unmatched(&self) -> Vec<String> {
        self.unmatched.clone().unwrap_or_default()
    }
}
