//! A world of one connection: what a test arranges, and what it looks at afterwards.

mod clock;
mod destination;
mod host;
mod source;
mod store;
mod world;

pub(crate) use destination::Fault;
pub(crate) use host::TestHost;
pub(crate) use source::{Shown, record_of as record};
pub(crate) use store::FaultAt;
pub(crate) use world::{RunEnd, World, definition_toml};
