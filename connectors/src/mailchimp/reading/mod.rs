//! One reading of a list: the newest rows first, then whatever the count says is missing, until one
//! response proves that the mirror stands as the list does.
//!
//! A response is the proof if, with its rows laid over the mirror, its total equals the mirror's
//! rows, each of them stands there as it is, and it reaches back: it shows every row, or its oldest
//! row is older than
//! - for the first response: the last watermark less an overlap;
//! - for a closing request: the begin of the first request less `settle`;
//! - for a repeated one: the begin of the closing request before it less `settle`.
//!
//! A row that is not among its rows has not changed since the request before it began, less
//! `settle`, so what was read of it then still holds: every row of the list is in the mirror, and
//! equal counts say that nothing else is. That the response brings changes does not matter, so a
//! list is proven while its rows change, if none goes between the last look for such rows and the
//! closing request.
//!
//! Begins are Mailchimp's `Date`, never our clock. The first response is the proof only if nothing
//! else was asked, rows aside that were archived longer than `settle` before it. A count is only
//! ever compared within one instant to decide where to look next: no key is gone before the proof.
//!
//! Every page is durable before the next one is asked for, and says to the next attempt where to
//! go on ([`journal`]).

mod bisect;
mod desk;
mod journal;
mod look_up;
mod position;
mod turns;
mod walk;
mod windows;

use tidemark_engine::port::Reading;
use tidemark_model::failure::Failure;

pub(super) use desk::Desk;

/// Reads, or goes on with a reading that an earlier attempt began.
pub(super) async fn read(desk: Desk<'_>) -> Result<Reading, Failure> {
    let staged = desk.pages.staged().await?;
    let journal = journal::Journal::restore(&staged)?;
    turns::Turns::new(desk, journal).run().await
}
