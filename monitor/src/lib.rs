//! The lag watch: who is behind or held, why, and who has been told.
//!
//! [`rules`] decides and does no I/O, so that years of it can be simulated: the example `year` does.
//! [`look`] finds out how a connection is, [`sinks`] tell, and the monitor itself brings them
//! together, pass after pass.

mod absence;
pub mod config;
mod dead_man;
mod health;
mod identity;
mod keep;
mod listen;
pub mod look;
mod measure;
pub mod mutes;
mod pass;
pub mod pauses;
#[cfg(test)]
mod refusing;
mod round;
pub mod rules;
mod see;
mod serve;
mod setting;
pub mod sinks;
mod temporal;
mod turn;
mod witness;

pub use serve::{Temporal, run, sinks as connect_sinks};
pub use setting::SETTINGS;
