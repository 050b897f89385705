//! A line in the monitor's own log.

use async_trait::async_trait;
use jiff::Timestamp;
use tracing::{error, info, warn};

use super::Sink;
use super::error::SinkError;
use super::words::{self, Severity, visible};
use crate::rules::{Notice, Phase};

/// The most characters of a text.
const TEXT_LIMIT: usize = 2_000;

pub(super) struct Log;

/// The fields are the same at each level, which has to be known when the program is built.
macro_rules! line {
    ($level:ident, $notice:expr) => {{
        let (what, who) = words::title(&$notice.subject);
        $level!(
            key = %visible(&$notice.key, TEXT_LIMIT),
            phase = words::phase($notice.phase),
            about = what,
            of = who,
            severity = Severity::of(&$notice.subject).as_str(),
            text = visible(&$notice.to_string(), TEXT_LIMIT),
            next = words::next($notice),
            "notice"
        );
    }};
}

#[async_trait]
impl Sink for Log {
    async fn deliver(&self, notice: &Notice, _now: Timestamp) -> Result<(), SinkError> {
        match (notice.phase, Severity::of(&notice.subject)) {
            (Phase::Closed, _) | (_, Severity::Info) => line!(info, notice),
            (_, Severity::Warning) => line!(warn, notice),
            (_, Severity::Critical) => line!(error, notice),
        }
        Ok(())
    }
}
