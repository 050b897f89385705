//! The lag watch: who is behind or held, why, and who has been told.
//!
//! [`rules`] decides and does no I/O, so that years of it can be simulated: the example `year` does.

pub mod rules;
