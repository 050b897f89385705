//! An HTTP API that takes JSON arrays of records.

mod client;
mod destination;
mod refusal;
mod wire;
mod words;

pub(crate) use client::Client;
pub use destination::RecordApiDestination;
