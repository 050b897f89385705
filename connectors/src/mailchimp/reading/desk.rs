//! What a reading works with: it asks, compares with the mirror, and stages.

use std::collections::HashSet;

use bytes::Bytes;
use jiff::Timestamp;
use tidemark_engine::port::{
    Host, KeyTime, Mirror, MirrorRow, Page, PageHead, PageWriter, ReadRequest, Slot, unless_stopped,
};
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    row::Row,
};

use super::{
    journal::{Remarks, Resume, Step},
    position::{Advance, Position, Stuck},
};
use crate::{
    http::Answer,
    mailchimp::{
        Client, Mapping,
        client::Shown,
        listing::{Listing, Scope},
        rows::MappedPage,
        source::Limits,
    },
};

/// How many keys the mirror is asked for at once.
const KEYS_AT_ONCE: usize = 1_000;

/// The parts of a reading that all its requests share.
pub(in crate::mailchimp) struct Desk<'a> {
    pub(in crate::mailchimp) client: &'a Client,
    pub(in crate::mailchimp) mapping: &'a Mapping,
    pub(in crate::mailchimp) limits: Limits,
    pub(in crate::mailchimp) request: &'a ReadRequest,
    pub(in crate::mailchimp) mirror: &'a dyn Mirror,
    pub(in crate::mailchimp) pages: &'a dyn PageWriter,
    pub(in crate::mailchimp) host: &'a dyn Host,
}

/// A page that is durable.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) head: PageHead,
    pub(super) resume: Resume,
}

/// A page to be staged.
pub(super) struct Draft<'s> {
    pub(super) window: String,
    pub(super) number: u32,
    pub(super) step: Step,
    pub(super) answer: &'s Answer,
    pub(super) requested_at: Timestamp,
    pub(super) rows: Vec<Row>,
    pub(super) gone: Vec<KeyTime>,
    pub(super) remarks: Remarks,
}

impl Desk<'_> {
    /// Asks the listing, unless the step has to end.
    pub(super) async fn ask(&self, listing: &Listing) -> Result<Shown, Failure> {
        let slot = self.slot().await?;
        self.client.listing(slot, listing, self.mapping, self.host.clock()).await
    }

    /// The place of a request, unless the step has to end.
    pub(super) async fn slot(&self) -> Result<Slot, Failure> {
        unless_stopped(self.host, self.client.slot()).await
    }

    /// Makes a page durable.
    pub(super) async fn stage(&self, draft: Draft<'_>) -> Result<Staged, Failure> {
        let Draft { window, number, step, answer, requested_at, rows, gone, remarks } = draft;
        let resume = Resume {
            step,
            shown: rows.len() as u64,
            answered_at: answer.answered_at(),
            took_away: gone.iter().map(|gone| gone.modified).max(),
            remarks,
        };
        let head = PageHead {
            window,
            number,
            requested_at,
            sent_at: answer.sent_at(),
            resume: serde_json::to_value(&resume).expect("a resume token is always JSON"),
            cost: answer.cost(),
        };
        let page = Page { head: head.clone(), rows, gone, body: answer.body().clone() };
        self.pages.stage(page).await?;
        Ok(Staged { head, resume })
    }

    /// What strikes about a page that is read as a part of the changes since the last commit.
    pub(super) async fn remarks(&self, page: &MappedPage) -> Result<Remarks, Failure> {
        let contradicts = self.contradicted_by(&page.rows).await?;
        Ok(Remarks { contradicts, ..self.remarks_in_full(page).await? })
    }

    /// What strikes about a page of the whole list: there, nothing is held against what was known.
    pub(super) async fn remarks_in_full(&self, page: &MappedPage) -> Result<Remarks, Failure> {
        let stand_ins = page.stand_ins.iter().filter_map(|&index| page.rows.get(index));
        Ok(Remarks {
            contradicts: false,
            seen: self.must_see_among(&page.rows),
            unmatched: (!page.rows.is_empty()).then(|| page.seen.unmatched()),
            stand_ins: self.unknown(stand_ins.collect()).await?,
        })
    }

    /// The names of rows that the last commit does not know as they are, if there is one.
    pub(super) async fn unknown(&self, rows: Vec<&Row>) -> Result<Vec<String>, Failure> {
        let mut unknown = Vec::new();
        if self.request.since.is_none() {
            return Ok(unknown);
        }
        for rows in rows.chunks(KEYS_AT_ONCE) {
            let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
            let known = self.mirror.look_up_committed(&keys).await?;
            let pairs = rows.iter().zip(&known);
            let pairs = pairs.filter(|(row, known)| !stands(row, known.as_ref()));
            unknown.extend(pairs.map(|(row, _)| row.key.clone()));
        }
        Ok(unknown)
    }

    /// Which of the keys that must be seen are among rows.
    pub(super) fn must_see_among(&self, rows: &[Row]) -> Vec<String> {
        let must_see = &self.request.must_see;
        if must_see.is_empty() {
            return Vec::new();
        }
        let shown: HashSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        must_see.iter().filter(|key| shown.contains(key.as_str())).cloned().collect()
    }

    /// Makes a step durable that is no answer.
    pub(super) async fn stage_step(
        &self,
        window: &str,
        number: u32,
        step: Step,
    ) -> Result<Staged, Failure> {
        let now = self.host.clock().now();
        let resume = Resume {
            step,
            shown: 0,
            answered_at: now,
            took_away: None,
            remarks: Remarks::default(),
        };
        let head = PageHead {
            window: window.to_owned(),
            number,
            requested_at: now,
            sent_at: now,
            resume: serde_json::to_value(&resume).expect("a resume token is always JSON"),
            cost: tidemark_model::receipt::Cost::default(),
        };
        let page =
            Page { head: head.clone(), rows: Vec::new(), gone: Vec::new(), body: Bytes::new() };
        self.pages.stage(page).await?;
        Ok(Staged { head, resume })
    }

    /// What the mirror holds of rows, in their order.
    pub(super) async fn held(&self, rows: &[Row]) -> Result<Vec<Option<MirrorRow>>, Failure> {
        let mut held = Vec::with_capacity(rows.len());
        for rows in rows.chunks(KEYS_AT_ONCE) {
            let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
            held.extend(self.mirror.look_up(&keys).await?);
        }
        Ok(held)
    }

    /// Whether one of the rows should have been known: it is new or different, and its change time
    /// lies before the last watermark.
    pub(super) async fn contradicted_by(&self, rows: &[Row]) -> Result<bool, Failure> {
        let Some(since) = self.request.since else { return Ok(false) };
        let older = rows.iter().filter(|row| lies_before(row.modified, since));
        Ok(!self.unknown(older.collect()).await?.is_empty())
    }

    /// Which archived members take a row of the mirror away: those whose stamp is not older than
    /// the row in hand.
    pub(super) async fn taken_off(&self, archived: &[Row]) -> Result<Vec<KeyTime>, Failure> {
        let held = self.held(archived).await?;
        let gone = archived
            .iter()
            .zip(held)
            .filter(|(archived, held)| held.is_some_and(|held| held.modified <= archived.modified));
        Ok(gone.map(|(row, _)| KeyTime { key: row.key.clone(), modified: row.modified }).collect())
    }

    /// Which rows of the mirror a whole span lacks, `shown` being the keys that it has.
    pub(super) async fn missing_in(
        &self,
        (after, until): (i64, i64),
        shown: &HashSet<String>,
    ) -> Result<Vec<KeyTime>, Failure> {
        let held = self.mirror.keys_between(after, until).await?;
        Ok(held.into_iter().filter(|held| !shown.contains(&held.key)).collect())
    }

    /// Goes on behind a page of a walk.
    pub(super) fn advance(&self, from: &Position, shown: &Shown) -> Result<Advance, Failure> {
        let page = &shown.page;
        from.advance(&page.rows, page.total, self.limits.page_size).map_err(|stuck: Stuck| {
            let message = "a page of Mailchimp's listing does not add up";
            Failure::new(FailureKind::Transient, Side::Source, message).caused_by(&stuck)
        })
    }

    /// The question for the page of a walk at a position.
    pub(super) fn page_at(&self, scope: Scope, from: &Position, until: i64) -> Listing {
        Listing {
            scope,
            span: crate::mailchimp::listing::Span { after: from.after, until },
            newest_first: false,
            offset: from.skip,
            count: self.limits.page_size,
        }
    }
}

/// Whether the mirror holds a row as it is.
pub(super) fn stands(row: &Row, held: Option<&MirrorRow>) -> bool {
    held.is_some_and(|held| {
        (held.state, held.digest, held.modified) == (row.state, row.digest, row.modified)
    })
}

/// Whether a change time lies before an instant.
fn lies_before(modified: i64, instant: Timestamp) -> bool {
    Timestamp::from_second(modified).is_ok_and(|modified| modified < instant)
}
