//! The facts about both APIs, each as a test over real HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its bench fails")]

mod admin;
mod bench;
mod changes;
mod errors;
mod faults;
mod listing;
mod records;
