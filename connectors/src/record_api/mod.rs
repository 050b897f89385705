//! An HTTP API that takes JSON arrays of records.

mod client;
mod destination;
mod refusal;
mod wire;

pub(crate) use client::Client;
pub use destination::RecordApiDestination;
