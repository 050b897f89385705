//! A seeded simulation of the whole engine, in memory and on a simulated clock.
//!
//! The real connectors read the simulated Mailchimp and write to the simulated record API; the real
//! engine runs over a store in memory; and everything between them goes wrong as a seed wants it:
//! workers die, freeze and wake, requests are lost or take effect late, the list changes between
//! any two requests. At the instant of each commit a checker that shares no code with the engine
//! holds the destination against what the list was. docs/soak.md says how to read a failing seed.

mod attempt;
mod books;
mod chance;
mod checker;
mod excuses;
mod journal;
mod network;
mod operator;
mod play;
mod run;
mod scene;
mod shape;
mod source;
mod store;
mod sweeper;
mod tally;
mod terms;
mod truth;

pub mod hunt;

pub use play::{Played, play, tell_panics_with_their_seeds};
pub use tally::Tally;
