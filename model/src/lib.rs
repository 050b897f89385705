//! The words of Tidemark: ids, definitions, rows, receipts, log entries and failures.
//!
//! No I/O and no async here: every other crate may use this one, and this one uses none of them.

pub mod check;
pub mod defect;
pub mod definition;
pub mod entry;
pub mod exception;
pub mod failure;
pub mod ids;
pub mod progress;
pub mod receipt;
pub mod row;
pub mod schedule;
pub mod secret;
pub mod step;
