//! The members of a Mailchimp list (Marketing API 3.0).
//!
//! A reading asks one question whenever it can: the newest rows and the exact total come in one
//! response, and when the total equals the rows of the mirror, that response proves that nothing
//! else changed. What is beyond one response is in [`reading`].

mod account;
mod check;
mod client;
mod find;
mod listing;
mod members;
mod reading;
mod refusal;
mod rows;
mod source;
mod wire;

pub(crate) use account::{Account, SERVER_GIVES_UP_AFTER};
pub(crate) use client::Client;
pub(crate) use refusal::Subject;
pub(crate) use rows::Mapping;
pub use source::MailchimpSource;
