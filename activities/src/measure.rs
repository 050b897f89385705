//! What the activities measure. Every metric of this crate has its name and labels here.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tidemark_model::receipt::Receipt;

const STEP_SECONDS: &str = "tidemark_step_seconds";
const STEPS_RUNNING: &str = "tidemark_steps_running";
const RUNS: &str = "tidemark_runs_total";
const RECORDS: &str = "tidemark_records_total";
const REQUESTS: &str = "tidemark_requests_total";
const BYTES: &str = "tidemark_bytes_total";

/// Describes all of them, once, when the recorder is installed.
pub fn describe() {
    describe_histogram!(
        STEP_SECONDS,
        Unit::Seconds,
        "how long attempts of steps took, by step and end (done, or the failure's kind)"
    );
    describe_gauge!(STEPS_RUNNING, "attempts of steps under way, by step");
    describe_counter!(RUNS, "runs that committed, by outcome");
    describe_counter!(RECORDS, "records of committed runs, by what became of them");
    describe_counter!(REQUESTS, "requests of committed runs, by side");
    describe_counter!(BYTES, Unit::Bytes, "bytes of committed runs, by side and direction");
}

/// An attempt under way; the gauge falls when it is dropped.
pub(crate) struct Running {
    step: String,
}

impl Running {
    pub(crate) fn begin(step: &str) -> Self {
        gauge!(STEPS_RUNNING, "step" => step.to_owned()).increment(1.0);
        Self { step: step.to_owned() }
    }

    /// How it ended.
    pub(crate) fn ended(&self, end: &'static str, after: Duration) {
        histogram!(STEP_SECONDS, "step" => self.step.clone(), "end" => end)
            .record(after.as_secs_f64());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!(STEPS_RUNNING, "step" => self.step.clone()).decrement(1.0);
    }
}

/// A run that committed.
pub(crate) fn committed(receipt: &Receipt) {
    counter!(RUNS, "outcome" => receipt.outcome.as_str()).increment(1);
    let push = &receipt.push;
    for (became, count) in [
        ("added", push.added),
        ("changed", push.changed),
        ("removed", push.removals()),
        ("repeated", push.rewrites()),
        ("rejected", push.rejected),
    ] {
        counter!(RECORDS, "became" => became).increment(count);
    }
    for (side, cost) in [("source", receipt.source_cost), ("destination", receipt.destination_cost)]
    {
        counter!(REQUESTS, "side" => side).increment(cost.request_count);
        counter!(BYTES, "side" => side, "direction" => "sent").increment(cost.bytes_sent);
        counter!(BYTES, "side" => side, "direction" => "received").increment(cost.bytes_received);
    }
}
