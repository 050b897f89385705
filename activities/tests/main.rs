//! The Temporal side against a real server.

#![expect(clippy::unwrap_used, reason = "what a test prepares may panic like the test itself")]

mod schedule;
mod server;
mod setup;
mod sweep;
mod workflow;
