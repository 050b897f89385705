//! What the gateway measures. Every metric of this crate has its name and labels here.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const REQUESTS: &str = "tidemark_gateway_requests_total";
const REQUEST_SECONDS: &str = "tidemark_gateway_request_seconds";
const LOOKS: &str = "tidemark_gateway_looks_total";

/// Describes all of them, once, when the recorder is installed.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, "requests, by route and status");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "how long requests took, by route");
    describe_counter!(LOOKS, "looks at the store; other requests were answered from one of them");
}

/// A request that was answered.
pub(crate) fn answered(route: &str, status: u16, after: Duration) {
    counter!(REQUESTS, "route" => route.to_owned(), "status" => status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route.to_owned()).record(after.as_secs_f64());
}

/// A look at the store.
pub(crate) fn looked() {
    counter!(LOOKS).increment(1);
}
