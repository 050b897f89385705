//! HTTP as both sides use it: one attempt of each request, a limit on requests at once, and
//! failures that say what is known about the request.
//!
//! Nothing here retries: whoever runs a step decides about its next attempt.

mod answer;
mod caller;
mod date;
#[cfg(test)]
pub(crate) mod told;
mod transport;

pub(crate) use answer::Answer;
pub(crate) use caller::{Caller, SlotRule};
pub(crate) use transport::Network;
pub use transport::{Broken, BrokenKind, Received, Transport};
