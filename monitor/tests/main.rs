//! The sinks as receivers meet them: real requests to real ports.

#![expect(clippy::unwrap_used, reason = "a test ends where its own preparations fail")]

mod accounts;
mod alertmanager;
mod errors;
mod log;
mod notices;
mod outbox;
mod receiver;
mod setup;
mod slack;
mod webhook;
