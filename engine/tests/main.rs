//! The whole protocol over ports that a test scripts: source, destination, host, clock and store.

#![expect(clippy::unwrap_used, reason = "a test fails where its world is not as arranged")]

mod crashes;
mod damage;
mod decisions;
mod edits;
mod everyday;
mod fences;
mod freshness;
mod histories;
mod holds;
mod kept;
mod refusals;
mod slots;
mod store_faults;
mod support;
mod sweep_histories;
mod sweeping;
mod verify;
