//! What the monitor measures. Every metric of this crate has its name and labels here.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const PASSES: &str = "tidemark_monitor_passes_total";
const PASS_SECONDS: &str = "tidemark_monitor_pass_seconds";
const SUSPECTS: &str = "tidemark_monitor_suspects";
const LOOKS: &str = "tidemark_monitor_looks_total";
const OPEN: &str = "tidemark_monitor_open_episodes";
const DELIVERIES: &str = "tidemark_monitor_deliveries_total";
const LAST_COMPLETE: &str = "tidemark_monitor_last_complete_pass_timestamp_seconds";

/// Describes all of them, once, when the recorder is installed.
pub(crate) fn describe() {
    describe_counter!(PASSES, "passes, by what came of them: complete, blind, overtaken, failed");
    describe_histogram!(PASS_SECONDS, Unit::Seconds, "how long passes took");
    describe_gauge!(SUSPECTS, "schedules that visibility proposed in the last pass");
    describe_counter!(LOOKS, "connections that were looked at");
    describe_gauge!(OPEN, "connections that something is open about");
    describe_counter!(DELIVERIES, "notices handed to sinks, by sink and result");
    describe_gauge!(LAST_COMPLETE, Unit::Seconds, "when the last complete pass ended");
}

/// A pass that is over.
pub(crate) fn passed(result: &'static str, after: Duration) {
    counter!(PASSES, "result" => result).increment(1);
    histogram!(PASS_SECONDS).record(after.as_secs_f64());
    if result == "complete" {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        gauge!(LAST_COMPLETE).set(now.map_or(0.0, |now| now.as_secs_f64()));
    }
}

/// What visibility proposed.
pub(crate) fn suspects(count: usize) {
    gauge!(SUSPECTS).set(approximate(count));
}

/// Looks that were taken.
pub(crate) fn looked(count: usize) {
    counter!(LOOKS).increment(u64::try_from(count).unwrap_or(u64::MAX));
}

/// Connections that something is open about.
pub(crate) fn open(count: usize) {
    gauge!(OPEN).set(approximate(count));
}

/// A notice that was handed to a sink.
pub(crate) fn delivered(sink: &str, ok: bool) {
    let result = if ok { "sent" } else { "failed" };
    counter!(DELIVERIES, "sink" => sink.to_owned(), "result" => result).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
fn approximate(count: usize) -> f64 {
    count as f64
}
