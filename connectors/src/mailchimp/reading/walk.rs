//! Walks through spans of change time, several windows side by side.

use futures::stream::{FuturesUnordered, StreamExt};
use tidemark_model::failure::Failure;

use super::{
    desk::{Desk, Draft, Staged},
    journal::{Journal, Remarks, Step, WalkName},
    windows::{Errand, Progress, Windows},
};
use crate::mailchimp::listing::{Scope, Span};

/// A walk: every row of a span is shown at least once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub(super) name: WalkName,
    pub(super) span: Span,
    /// The change time of the newest row of the list.
    pub(super) horizon: i64,
}

impl Walk {
    fn scope(&self) -> Scope {
        match self.name {
            WalkName::Full | WalkName::Changes(_) => Scope::Visible,
            WalkName::Archived(_) => Scope::Archived,
        }
    }

    /// Takes the walk, or goes on where an earlier attempt was. After a failure the pages that are
    /// on their way are still made durable.
    pub(super) async fn take(&self, desk: &Desk<'_>, journal: &mut Journal) -> Result<(), Failure> {
        let page_size = desk.limits.page_size;
        let mut windows =
            Windows::new(self.span, self.horizon, page_size, journal.windows(self.name));
        // More windows than requests at once, so that none of those waits while a page is staged.
        let lanes = desk.limits.simultaneous_requests * 3 / 2;
        let mut pages = FuturesUnordered::new();
        let mut failed: Option<Failure> = None;
        loop {
            while failed.is_none()
                && pages.len() < lanes
                && let Some(errand) = windows.next(lanes - pages.len())
            {
                pages.push(self.page(desk, errand));
            }
            match pages.next().await {
                None => break,
                Some(Err(failure)) => failed = failed.or(Some(failure)),
                Some(Ok((errand, progress, staged))) => {
                    windows.read(&errand, progress);
                    journal.note(&staged.head, staged.resume);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Asks for a page and makes it durable.
    async fn page(
        &self,
        desk: &Desk<'_>,
        errand: Errand,
    ) -> Result<(Errand, Progress, Staged), Failure> {
        let scope = self.scope();
        let shown = desk.ask(&desk.page_at(scope, &errand.from, errand.until)).await?;
        let advance = desk.advance(&errand.from, &shown)?;
        let page = shown.page;
        let read = errand.from.skip + page.rows.len() as u64;
        let progress = errand.progress(advance, page.total.saturating_sub(read));
        let remarks = match self.name {
            WalkName::Full => desk.remarks_in_full(&page).await?,
            WalkName::Changes(_) => desk.remarks(&page).await?,
            WalkName::Archived(_) => Remarks::default(),
        };
        let (rows, gone) = match scope {
            Scope::Visible => (page.rows, Vec::new()),
            Scope::Archived => (Vec::new(), desk.taken_off(&page.rows).await?),
        };
        let step =
            Step::Window { walk: self.name, start: errand.window, progress: progress.clone() };
        let staged = desk
            .stage(Draft {
                window: self.name.window(errand.window),
                number: errand.number,
                step,
                answer: &shown.answer,
                requested_at: shown.requested_at,
                rows,
                gone,
                remarks,
            })
            .await?;
        Ok((errand, progress, staged))
    }
}
