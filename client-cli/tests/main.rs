//! The command line as an operator meets it: whole calls of the program, without Temporal.

#![expect(clippy::unwrap_used, reason = "a test ends where its own preparations fail")]

mod call;
mod definitions;
mod exceptions;
mod explain;
mod fresh;
mod gateway;
mod help;
mod lag;
mod preview;
mod ran;
mod reach;
mod simulated;
mod stored;
mod streams;
mod usage;
mod verify;
