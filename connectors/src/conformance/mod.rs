//! What every source and every destination has to keep to, as suites that each implementation runs
//! against a system that it can be told to change.
//!
//! [`MemoryReading`] stands in for the engine's side of a reading: the plainest thing that follows
//! the contract of [`Mirror`](tidemark_engine::port::Mirror) and
//! [`PageWriter`](tidemark_engine::port::PageWriter).

mod destination;
mod host;
mod memory;
mod source;

pub use destination::{DestinationSubject, destination};
pub use host::{Seconds, TestHost};
pub use memory::{MemoryReading, MemorySnapshot};
pub use source::{SourceSubject, read_through, source};
