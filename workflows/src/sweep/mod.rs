//! The daily sweep of the store: what no connection needs any more goes.

mod step;
mod workflow;

pub use step::{
    Refused, SweepActivities, SweepProgress, SweepRequest, SweepStep, SweepSummary, contract,
};
pub use workflow::SweepStore;
