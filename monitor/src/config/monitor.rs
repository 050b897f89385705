//! The configuration of the monitor: flags over environment over file over defaults. Its sinks are
//! in the file only.

use std::{net::SocketAddr, time::Duration};

use jiff::SignedDuration;
use tidemark_model::definition::Problems;
use tidemark_process::{ConfigError, Flags, Layers, LogFormat, Role, Setting, log_filter};
use tidemark_schedules::ProjectionSettings;
use url::Url;

use super::{Address, AddressError, Place, SinkConfig, sinks};
use crate::setting::{self, SETTINGS};

/// Two monitors that pass more seldom would take each other for away.
const SLOWEST: Duration = Duration::from_mins(1);

/// The role as its settings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorRole;

impl Role for MonitorRole {
    const CONFIG_VARIABLE: &'static str = "TIDEMARK_MONITOR_CONFIG";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const SECTIONS: &'static [&'static str] = &["sink"];
}

/// The flags of the monitor.
pub type MonitorFlags = Flags<MonitorRole>;

/// Why the monitor has no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorConfigError {
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// Everything that is wrong with the sinks.
    #[error(transparent)]
    Sinks(#[from] Problems),
}

/// The monitor's configuration, checked as a whole but for secrets. The settings' meanings are in
/// [`SETTINGS`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MonitorConfig {
    pub store: String,
    /// With these, definitions are projected everywhere.
    pub projection: ProjectionSettings,
    pub pass_every: Duration,
    pub looks_per_second: usize,
    pub clock_skew: SignedDuration,
    pub remind_every: SignedDuration,
    pub dead_man: Option<Place>,
    pub web_ui: Option<Url>,
    pub ops_address: Option<SocketAddr>,
    pub log: String,
    pub log_format: LogFormat,
    pub sinks: Vec<SinkConfig>,
}

/// The dead-man's address. What is wrong with it is said without it: it may be a secret.
fn dead_man(text: &str) -> Result<Place, ConfigError> {
    text.parse()
        .and_then(|address: Address| Place { address, plain_http: false }.checked())
        .map_err(|error| {
            let hint = match error {
                // It has no key beside it that would allow this.
                AddressError::PlainHttp => "use https://, or an address of this machine",
                _ => error.hint(),
            };
            ConfigError::Refused(format!("dead_man {error}: {hint}"))
        })
}

impl MonitorConfig {
    /// Merges the layers. `variable` looks up the environment.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not in the table, a value that cannot be used, a
    /// setting that is missing, or all that is wrong with the sinks.
    pub fn load(
        flags: &MonitorFlags,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, MonitorConfigError> {
        Self::of(&Layers::load(flags, variable)?)
    }

    /// [`load`](Self::load) with the environment of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_process(flags: &MonitorFlags) -> Result<Self, MonitorConfigError> {
        Self::load(flags, &tidemark_process::variable)
    }

    fn of(layers: &Layers<'_, MonitorRole>) -> Result<Self, MonitorConfigError> {
        let sinks = layers.source().map(sinks).transpose()?.unwrap_or_default();
        let pass_every = layers.duration(setting::PASS_EVERY)?;
        if pass_every.is_zero() || pass_every > SLOWEST {
            return Err(ConfigError::Refused(format!(
                "pass_every is {pass_every:?}: say more than 0s, and a minute at most"
            ))
            .into());
        }
        let remind_every = layers.duration(setting::REMIND_EVERY)?;
        if remind_every.is_zero() {
            return Err(ConfigError::Refused(
                "remind_every is 0s, which would remind of everything in each pass: say more than 0s"
                    .to_owned(),
            )
            .into());
        }
        let dead_man = layers.text(setting::DEAD_MAN).map(|text| dead_man(&text)).transpose()?;
        let whole = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        Ok(Self {
            store: layers.required(setting::STORE)?,
            projection: ProjectionSettings {
                task_queue: layers.required(setting::TASK_QUEUE)?,
                heartbeat_timeout: layers.duration(setting::HEARTBEAT_TIMEOUT)?,
            },
            pass_every,
            looks_per_second: layers.count(setting::LOOKS_PER_SECOND)?,
            clock_skew: whole(layers.duration(setting::CLOCK_SKEW)?),
            remind_every: whole(remind_every),
            dead_man,
            web_ui: layers.optional(setting::WEB_UI, |text| text.parse::<Url>())?,
            ops_address: layers.address(setting::OPS_ADDRESS)?,
            log: layers.needed(setting::LOG, log_filter)?,
            log_format: layers.needed(setting::LOG_FORMAT, |text| text.parse::<LogFormat>())?,
            sinks,
        })
    }
}

#[cfg(test)]
mod tests;
