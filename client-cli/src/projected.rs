//! What schedules are made with, besides their definitions.

use std::time::Duration;

use clap::Args;
use tidemark_model::schedule::duration;
use tidemark_schedules::ProjectionSettings;

use crate::session::Session;

/// What every role has to say in the same way.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct ProjectedWith {
    /// When a step without a sign of life counts as lost; the same for every role
    #[arg(
        long,
        env = "TIDEMARK_HEARTBEAT_TIMEOUT",
        value_name = "DURATION",
        value_parser = duration::parse,
        hide_env_values = true
    )]
    heartbeat_timeout: Option<Duration>,
}

impl ProjectedWith {
    /// The settings of all projections.
    pub(crate) fn settings(self, session: &Session) -> ProjectionSettings {
        let default = ProjectionSettings::default();
        ProjectionSettings {
            task_queue: session.task_queue().to_owned(),
            heartbeat_timeout: self.heartbeat_timeout.unwrap_or(default.heartbeat_timeout),
        }
    }
}
