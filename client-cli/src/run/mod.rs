//! Runs as Temporal and the log show them: what an open one does, how a closed one ended, and
//! those of the past.

mod ended;
mod ending;
mod follow;
mod named;
mod open;
mod outage;
mod past;
mod sentence;
mod steps;

pub(crate) use self::ended::ended;
pub(crate) use self::ending::Ending;
pub(crate) use self::follow::Followed;
pub(crate) use self::named::find;
pub(crate) use self::open::{open_sentence, progress_sentence};
pub(crate) use self::past::{Run, recent};
pub(crate) use self::sentence::{hold_details, receipt_details, receipt_sentence, who_must_act};
pub(crate) use self::steps::StepTaken;
