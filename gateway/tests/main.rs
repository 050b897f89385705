//! The gateway as other systems meet it: real requests to a real port, over a store on the disk
//! that the engine wrote.

#![expect(clippy::unwrap_used, reason = "a test ends where its own preparations fail")]

mod answers;
mod document;
mod refusals;
mod world;
