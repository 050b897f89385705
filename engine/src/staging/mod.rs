//! What a reading brings in: pages made durable, and the listing as they show it.
//!
//! Pages are never rewritten and never trusted blindly: each carries a checksum of what the
//! comparison needs of it, and the reading lists those that count.

mod overlay;
mod page;
mod pages;
mod session;
mod spill;
mod standing;

pub use page::PageRef;
pub use pages::{InvalidRows, StagedReading};
pub use session::{ReadingSession, SessionSettings};

/// The folder of the pages that a workflow run staged.
pub(crate) const PAGES: &str = "pages";

#[cfg(test)]
mod tests;
