//! The order of a reading's questions, and when it is over.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tidemark_engine::port::Reading;
use tidemark_model::{
    defect::{self, Defect},
    entry::Coverage,
    failure::{Failure, FailureKind, Side},
    progress::{Progress, Stage},
    receipt::{Proof, ProofKind},
};

use super::{
    bisect::{Bisect, Searched},
    desk::{Desk, Draft, Staged, stands},
    journal::{Journal, Newest, Step, WalkName},
    look_up,
    walk::Walk,
};
use crate::mailchimp::listing::{BEGINNING, END, Listing, Span};

/// How far the first response reaches back behind the last watermark. Generous, since it costs
/// nothing.
const OVERLAP: SignedDuration = SignedDuration::from_secs(120);

/// The fewest rows that the first request asks for.
const FEWEST_ROWS: u32 = 100;

/// How many closing requests there are at most; before the last one the whole list is read.
const LAST_TURN: u32 = 4;

/// The longest wait inside a step; longer ones are due to whoever runs it.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_secs(5);

/// A row is older than an instant for certain if its second is this much older: the second lasts as
/// long as one, and so does the second that `Date` is cut to.
const CLEAR_OF_A_SECOND: SignedDuration = SignedDuration::from_secs(2);

/// More keys that must be seen than one in so many rows make a full read the cheaper way.
const ROWS_PER_LOOK_UP: u64 = 1_000;

pub(super) struct Turns<'a> {
    desk: Desk<'a>,
    journal: Journal,
    /// Whether the whole list is read: the mirror then shows what the pages showed, nothing else.
    full: bool,
}

impl<'a> Turns<'a> {
    pub(super) fn new(desk: Desk<'a>, journal: Journal) -> Self {
        let request = desk.request;
        let full = request.coverage == Coverage::Full || request.since.is_none() || journal.full;
        Self { desk, journal, full }
    }

    pub(super) async fn run(mut self) -> Result<Reading, Failure> {
        if self.full {
            self.desk.mirror.begin_full().await?;
        }
        let mut latest = match self.journal.latest() {
            Some(latest) => latest.clone(),
            None => self.newest(0).await?,
        };
        loop {
            if let Some(proof) = self.proof(&latest).await? {
                return self.reading(proof);
            }
            // What is found behind the last closing request proves nothing any more.
            if latest.turn < LAST_TURN && self.journal.caught_up != Some(latest.turn) {
                self.catch_up(&latest).await?;
            }
            // With members taken off that were archived long ago the first response may do.
            if latest.turn == 0
                && let Some(proof) = self.proof(&latest).await?
            {
                return self.reading(proof);
            }
            if defect::on(Defect::SkipClosing)
                || defect::on(Defect::BelieveUnproven) && latest.turn == LAST_TURN
            {
                let source_total = self.desk.mirror.row_count().await?;
                let kind = ProofKind::ClosingRequest;
                return self.reading(Proof { kind, source_total, turn_count: latest.turn });
            }
            latest = self.close(&latest).await?;
        }
    }

    /// Asks for the newest rows and the total, and lays the rows over the mirror. An answer that is
    /// the proof and brings nothing is not staged.
    async fn newest(&mut self, turn: u32) -> Result<Newest, Failure> {
        let count = if turn == 0 && !self.full {
            self.first_count().await?
        } else {
            self.desk.limits.page_size
        };
        let reach = self.reach(turn)?;
        let shown = self.desk.ask(&Listing::newest(count)).await?;
        let page = shown.page;
        let held = self.desk.held(&page.rows).await?;
        let pairs = || page.rows.iter().zip(&held);
        let brings = pairs().any(|(row, held)| !stands(row, held.as_ref()));
        let stale =
            pairs().any(|(row, held)| held.is_some_and(|held| held.modified > row.modified));
        let shows_all = page.rows.len() as u64 >= page.total;
        let mut newest = Newest {
            turn,
            begun_at: shown.requested_at,
            sent_at: shown.answer.sent_at(),
            total: page.total,
            newest: page.rows.iter().map(|row| row.modified).max(),
            oldest: page.rows.iter().map(|row| row.modified).min().filter(|_| !shows_all),
            reach,
            stands: if turn == 0 { !stale } else { !brings },
            fresh: true,
        };
        if !brings && turn == 0 {
            // Perhaps not staged: the journal has to know it for as long as this attempt lasts.
            self.journal.first = Some(newest.clone());
            self.journal.seen.extend(self.desk.must_see_among(&page.rows));
        }
        if !brings && self.proof(&newest).await?.is_some() {
            self.journal.unstaged.add(shown.answer.cost());
            return Ok(newest);
        }
        let (window, number) = if turn == 0 { ("newest", 0) } else { ("closing", turn) };
        let brought = if turn > 0 && brings { page.rows.clone() } else { Vec::new() };
        let staged = self
            .desk
            .stage(Draft {
                window: window.to_owned(),
                number,
                step: Step::Newest(newest.clone()),
                answer: &shown.answer,
                requested_at: shown.requested_at,
                remarks: self.desk.remarks(&page).await?,
                rows: page.rows,
                gone: Vec::new(),
            })
            .await?;
        self.note(staged);
        if turn > 0 && brings {
            let held = self.desk.held(&brought).await?;
            newest.stands = brought.iter().zip(&held).all(|(row, held)| stands(row, held.as_ref()));
        }
        Ok(newest)
    }

    /// Twice the rows that changed during the last interval, and those that are shown again for the
    /// sake of the overlap.
    async fn first_count(&self) -> Result<u32, Failure> {
        let Desk { mirror, limits, host, request, .. } = &self.desk;
        let Some(since) = request.since else { return Ok(limits.page_size) };
        let interval = host.clock().now().duration_since(since).max(SignedDuration::ZERO);
        let recent = earlier(since, OVERLAP.saturating_add(interval));
        let rows = mirror.row_count().await?;
        let count = 2 * rows.saturating_sub(mirror.count_until(recent.as_second()).await?);
        let fewest = FEWEST_ROWS.min(limits.page_size);
        Ok(u32::try_from(count).unwrap_or(u32::MAX).clamp(fewest, limits.page_size))
    }

    /// The second that a request for the newest rows has to reach.
    fn reach(&self, turn: u32) -> Result<i64, Failure> {
        if turn == 0 {
            return Ok(match self.desk.request.since {
                Some(since) if !self.full => earlier(since, OVERLAP).as_second(),
                _ => BEGINNING,
            });
        }
        let before = self.journal.latest().ok_or_else(nothing_asked)?;
        Ok(earlier(before.begun_at, self.settle()).as_second())
    }

    /// The proof, if a response is it.
    async fn proof(&self, newest: &Newest) -> Result<Option<Proof>, Failure> {
        let may_be = match newest.turn {
            0 => {
                let before = earlier(newest.begun_at, self.settle()).as_second();
                let mut unseen = self.journal.unseen(&self.desk.request.must_see);
                self.journal.first_stands_alone(before) && (self.full || unseen.next().is_none())
            }
            _ => newest.fresh,
        };
        if !may_be || self.contradicted() || !newest.stands || !newest.reaches_back() {
            return Ok(None);
        }
        let total = match &self.journal.first {
            Some(first) if defect::on(Defect::CompareTwoInstants) => first.total,
            _ => newest.total,
        };
        if self.desk.mirror.row_count().await? != total {
            return Ok(None);
        }
        let kind =
            if newest.turn == 0 { ProofKind::FirstResponse } else { ProofKind::ClosingRequest };
        Ok(Some(Proof { kind, source_total: newest.total, turn_count: newest.turn }))
    }

    /// Does what a response that is no proof calls for.
    async fn catch_up(&mut self, latest: &Newest) -> Result<(), Failure> {
        if self.full {
            self.read_all().await?;
            // What was read since then is newer than its total.
            if latest.turn == 0 || self.journal.outdated {
                return Ok(());
            }
        } else if self.contradicted() {
            return self.go_full().await;
        }
        let mut comparable = latest.reaches_back();
        if !comparable {
            self.read_changes(latest).await?;
        }
        if latest.turn == 0 {
            if self.unseen_are_many().await? {
                return self.go_full().await;
            }
            comparable &= !look_up::unseen(&self.desk, &mut self.journal).await?;
        }
        if comparable && !self.contradicted() {
            self.find_difference(latest).await?;
        }
        if self.contradicted() { self.go_full().await } else { Ok(()) }
    }

    /// Reads on behind a response that does not reach back.
    async fn read_changes(&mut self, latest: &Newest) -> Result<(), Failure> {
        let until = latest.oldest.unwrap_or(END);
        let span = Span { after: latest.reach.saturating_sub(1), until };
        self.walk(WalkName::Changes(latest.turn), span, latest).await
    }

    /// Looks for the rows that make the total and the mirror differ: archived ones first.
    async fn find_difference(&mut self, latest: &Newest) -> Result<(), Failure> {
        let mirror = self.desk.mirror;
        if mirror.row_count().await? > latest.total {
            let span = Span { after: self.archived_since(latest.turn), until: END };
            self.walk(WalkName::Archived(latest.turn), span, latest).await?;
        }
        let held = mirror.row_count().await?;
        let missing = held.abs_diff(latest.total);
        if missing == 0 {
            return Ok(());
        }
        // The list shows more than is known although nothing was taken away: rows that should have
        // been known, and a search would only find that out.
        if held < latest.total && self.journal.taken_at.is_none() && !self.full {
            return self.go_full().await;
        }
        let page_size = self.desk.limits.page_size;
        let full_cost = latest.total / u64::from(page_size);
        if !self.full && Bisect::estimate(missing, latest.total, page_size) > full_cost.max(1) {
            return self.go_full().await;
        }
        let request_limit = if self.full { u64::MAX } else { full_cost.max(1) };
        let bisect = Bisect { desk: &self.desk, newest: latest, request_limit };
        match Box::pin(bisect.search(held, &mut self.journal)).await? {
            Searched::Through => Ok(()),
            Searched::TooDear => self.go_full().await,
        }
    }

    /// From where archived members can matter: those of before were taken off already.
    fn archived_since(&self, turn: u32) -> i64 {
        let since = match (self.journal.archived_begun_before(turn), self.desk.request.since) {
            (Some(begun_at), _) => earlier(begun_at, self.settle()),
            (None, Some(since)) if !self.full => earlier(since, OVERLAP),
            _ => match &self.journal.first {
                Some(first) => earlier(first.begun_at, self.settle()),
                None => return BEGINNING,
            },
        };
        since.as_second().saturating_sub(1)
    }

    /// From here on the whole list is read.
    async fn go_full(&mut self) -> Result<(), Failure> {
        let staged = self.desk.stage_step("full", 0, Step::Full).await?;
        self.note(staged);
        self.full = true;
        self.desk.mirror.begin_full().await?;
        self.read_all().await
    }

    /// Reads everything that is older than what the first response showed; nothing is asked again
    /// that is durable.
    async fn read_all(&mut self) -> Result<(), Failure> {
        let Some(first) = self.journal.first.clone() else { return Err(nothing_asked()) };
        let Some(until) = first.oldest else { return Ok(()) };
        self.walk(WalkName::Full, Span { after: BEGINNING, until }, &first).await
    }

    async fn walk(&mut self, name: WalkName, span: Span, newest: &Newest) -> Result<(), Failure> {
        if span.is_empty() {
            return Ok(());
        }
        let horizon = newest.newest.unwrap_or(0);
        let walk = Walk { name, span, horizon };
        Box::pin(walk.take(&self.desk, &mut self.journal)).await
    }

    /// Whether a page showed a row that the last commit should have known.
    fn contradicted(&self) -> bool {
        self.journal.contradicted && !self.full
    }

    /// Whether so many keys must still be seen that a full read is cheaper than looking them up.
    async fn unseen_are_many(&self) -> Result<bool, Failure> {
        let count = self.journal.unseen(&self.desk.request.must_see).count() as u64;
        Ok(count > 1 && count > self.desk.mirror.row_count().await? / ROWS_PER_LOOK_UP)
    }

    /// Makes the next closing request, when it is due.
    async fn close(&mut self, latest: &Newest) -> Result<Newest, Failure> {
        let turn = latest.turn + 1;
        if turn > LAST_TURN {
            return Err(self.unproven(latest).await?);
        }
        if turn == LAST_TURN && !self.full {
            self.go_full().await?;
        }
        if let Some(taken_at) = self.journal.taken_at {
            self.wait_until(later(taken_at, self.settle()), latest.turn).await?;
        }
        if let Some(oldest) = latest.oldest
            && !latest.reaches_back()
            && self.reaches_too_far(turn).await?
        {
            // It will not reach back; the one after it can, if those rows are older by then than
            // this one less `settle`.
            let second = Timestamp::from_second(oldest).unwrap_or(latest.begun_at);
            let age = self.settle().saturating_add(CLEAR_OF_A_SECOND);
            let pause = later(second, age).duration_since(latest.begun_at);
            self.wait_until(later(latest.sent_at, pause), latest.turn).await?;
        }
        self.newest(turn).await
    }

    /// Whether more rows than a page shows are younger than what a closing request has to reach.
    async fn reaches_too_far(&self, turn: u32) -> Result<bool, Failure> {
        let mirror = self.desk.mirror;
        let older = mirror.count_until(self.reach(turn)?.saturating_sub(1)).await?;
        let younger = mirror.row_count().await?.saturating_sub(older);
        Ok(younger >= u64::from(self.desk.limits.page_size))
    }

    /// Waits until rows that were hidden when others were taken away have become visible; all that
    /// the request of number `caught_up` calls for was asked.
    async fn wait_until(&mut self, due_at: Timestamp, caught_up: u32) -> Result<(), Failure> {
        let host = self.desk.host;
        let now = host.clock().now();
        let wait = due_at.duration_since(now);
        if wait <= SignedDuration::ZERO || defect::on(Defect::SkipSettleWait) {
            return Ok(());
        }
        let what = "late rows to become visible before the reading is closed";
        let mut progress = Progress::new(Stage::Read, self.journal.shown, None);
        progress.waiting_for = Some(what.to_owned());
        progress.waiting_until = Some(due_at);
        host.report(progress);
        if wait > LONGEST_SLEEP {
            // Whoever goes on does not look again for what makes the counts differ: in a list that
            // loses rows all the time there is always some, and each would begin the wait anew.
            if self.journal.caught_up != Some(caught_up) {
                let step = Step::CaughtUp(caught_up);
                let staged = self.desk.stage_step("caught-up", caught_up, step).await?;
                self.note(staged);
            }
            return Err(Failure::waiting(Side::Source, format!("waits for {what}"), now, due_at));
        }
        host.clock().sleep(wait.unsigned_abs()).await;
        Ok(())
    }

    fn reading(self, proof: Proof) -> Result<Reading, Failure> {
        let first = self.journal.first.as_ref().ok_or_else(nothing_asked)?;
        Ok(Reading {
            coverage: if self.full { Coverage::Full } else { Coverage::Changes },
            complete_as_of: if defect::on(Defect::WatermarkTooLate) {
                self.journal.latest().unwrap_or(first).sent_at
            } else {
                earlier(first.begun_at, self.settle())
            },
            proof,
            cost: self.journal.unstaged,
            stand_in_count: self.journal.stand_ins.len() as u64,
            unmatched_paths: if self.full { self.journal.unmatched() } else { Vec::new() },
        })
    }

    async fn unproven(&self, latest: &Newest) -> Result<Failure, Failure> {
        let held = self.desk.mirror.row_count().await?;
        let message = format!(
            "Mailchimp's list gave no proof that it was read completely: after {LAST_TURN} closing \
             requests and a full read it counts {} members, and {held} are known",
            latest.total
        );
        let hint = "nothing was sent, the next run tries again; if it stays so while the list is \
                    quiet, raise `settle` in the definition, then: tidemark apply FILE";
        Ok(Failure::new(FailureKind::Unproven, Side::Source, message).hint(hint))
    }

    fn note(&mut self, staged: Staged) {
        self.journal.note(&staged.head, staged.resume);
    }

    fn settle(&self) -> SignedDuration {
        signed(self.desk.limits.settle)
    }
}

/// Every question but the first comes after the first.
fn nothing_asked() -> Failure {
    let message = "a reading went on without its first response";
    Failure::new(FailureKind::Bug, Side::Platform, message)
}

fn earlier(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
