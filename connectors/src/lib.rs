//! The systems that Tidemark reads from and writes to.
//!
//! One folder for each, with the same file names; `http` is what they share. Each makes one attempt
//! of each request and says honestly what is known when it fails: whoever runs a step decides about
//! the next attempt. Every source and every destination passes the same suite in `conformance`.

#[cfg(feature = "conformance")]
pub mod conformance;

mod connect;
mod http;
mod mailchimp;
mod quoted;
mod record_api;

pub use connect::{HttpConnectors, ProcessSecrets, VisibleList};
pub use http::{Broken, BrokenKind, Received, Transport};
pub use mailchimp::MailchimpSource;
pub use record_api::RecordApiDestination;
