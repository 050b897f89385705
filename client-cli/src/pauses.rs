//! Pauses as verbs show them.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use tidemark_schedules::Pause;

/// One reason for which a connection is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PauseState {
    reason: Option<String>,
    tag: Option<String>,
    by: Option<String>,
    since: Option<Timestamp>,
}

impl From<Pause> for PauseState {
    fn from(pause: Pause) -> Self {
        let Pause { reason, tag, by, since } = pause;
        Self { reason: (!reason.is_empty()).then_some(reason), tag, by, since }
    }
}

impl PauseState {
    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or("no reason given")
    }
}

/// `moving house (tag move, by ops@host, since 2026-11-21T10:00:00Z)`.
impl fmt::Display for PauseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        let details: Vec<String> = [
            self.tag.as_ref().map(|tag| format!("tag {tag}")),
            self.by.as_ref().map(|by| format!("by {by}")),
            self.since.map(|since| format!("since {since}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if details.is_empty() { Ok(()) } else { write!(f, " ({})", details.join(", ")) }
    }
}
