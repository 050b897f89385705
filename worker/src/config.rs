//! The configuration of a worker: flags over environment over file over defaults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use tidemark_activities::HeartbeatTimes;
use tidemark_engine::run::FenceTimes;
use tidemark_process::{ConfigError, Flags, Layers, LogFormat, Role, Setting, log_filter};
use tidemark_schedules::ProjectionSettings;

use crate::setting::{self, SETTINGS};

/// With less, a comparison only reads and writes its spill files.
const LEAST_MEMORY: ByteSize = ByteSize::mib(8);

/// The role as its settings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerRole;

impl Role for WorkerRole {
    const CONFIG_VARIABLE: &'static str = "TIDEMARK_WORKER_CONFIG";
    const SETTINGS: &'static [Setting] = SETTINGS;
}

/// The flags of a worker.
pub type WorkerFlags = Flags<WorkerRole>;

/// A worker's configuration, checked as a whole. The settings' meanings are in [`SETTINGS`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerConfig {
    pub store: String,
    pub task_queue: String,
    pub max_activities: usize,
    pub memory_budget: ByteSize,
    pub spill_folder: PathBuf,
    pub grace_period: Duration,
    pub ops_address: Option<SocketAddr>,
    pub log: String,
    pub log_format: LogFormat,
    pub heartbeat_timeout: Duration,
    pub heartbeat: HeartbeatTimes,
    pub fence: FenceTimes,
    /// The SDK's worker is made anew after so many activities: it keeps about 0.4 KB of each for
    /// good. Not for operators, so it is in no layer.
    pub renew_after: u64,
}

impl WorkerConfig {
    const DEFAULT_RENEW_AFTER: u64 = 100_000;

    /// Merges the layers. `variable` looks up the environment.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is not in the table, a value that cannot be used, or
    /// a setting that is missing.
    pub fn load(
        flags: &WorkerFlags,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        Self::of(&Layers::load(flags, variable)?)
    }

    fn of(layers: &Layers<'_, WorkerRole>) -> Result<Self, ConfigError> {
        let config = Self {
            store: layers.required(setting::STORE)?,
            task_queue: layers.needed(setting::TASK_QUEUE, |text| {
                if text.is_empty() {
                    Err("is no name of a task queue")
                } else {
                    Ok(text.to_owned())
                }
            })?,
            max_activities: layers.count(setting::MAX_ACTIVITIES)?,
            memory_budget: layers.needed(setting::MEMORY_BUDGET, memory_budget)?,
            spill_folder: layers
                .text(setting::SPILL_FOLDER)
                .map_or_else(std::env::temp_dir, PathBuf::from),
            grace_period: layers.duration(setting::GRACE_PERIOD)?,
            ops_address: layers.address(setting::OPS_ADDRESS)?,
            log: layers.needed(setting::LOG, log_filter)?,
            log_format: layers.needed(setting::LOG_FORMAT, |text| text.parse::<LogFormat>())?,
            heartbeat_timeout: layers.duration(setting::HEARTBEAT_TIMEOUT)?,
            heartbeat: HeartbeatTimes {
                interval: layers.duration(setting::HEARTBEAT_INTERVAL)?,
                patience: layers.duration(setting::HEARTBEAT_PATIENCE)?,
            },
            fence: FenceTimes {
                look_max_age: layers.duration(setting::LOOK_MAX_AGE)?,
                superseded_wait: layers.duration(setting::SUPERSEDED_WAIT)?,
            },
            renew_after: Self::DEFAULT_RENEW_AFTER,
        };
        check(&config)?;
        Ok(config)
    }

    /// [`load`](Self::load) with the environment and the disk of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load), or a spill folder that takes no file.
    pub fn from_process(flags: &WorkerFlags) -> Result<Self, ConfigError> {
        let config = Self::load(flags, &tidemark_process::variable)?;
        takes_files(&config.spill_folder)?;
        Ok(config)
    }

    /// What this worker writes into schedules.
    #[must_use]
    pub fn projection(&self) -> ProjectionSettings {
        ProjectionSettings {
            task_queue: self.task_queue.clone(),
            heartbeat_timeout: self.heartbeat_timeout,
        }
    }
}

/// Whether files can be made in the spill folder: otherwise runs would fail only once they need it.
/// A folder that is not there is made, as a comparison would.
fn takes_files(spill_folder: &Path) -> Result<(), ConfigError> {
    let made =
        std::fs::create_dir_all(spill_folder).and_then(|()| tempfile::tempfile_in(spill_folder));
    made.map(drop).map_err(|error| {
        ConfigError::Refused(format!(
            "{} is {}, where no file can be made: {error}; name a folder of the local disk that \
             the worker may write to",
            setting::SPILL_FOLDER.name,
            spill_folder.display()
        ))
    })
}

fn memory_budget(text: &str) -> Result<ByteSize, &'static str> {
    let size: ByteSize = text.parse().map_err(|_| "is not a size; use text such as '128 MiB'")?;
    if size < LEAST_MEMORY { Err("is too little: use '8 MiB' or more") } else { Ok(size) }
}

/// The orders between times on which it depends that no two attempts write at once.
fn check(config: &WorkerConfig) -> Result<(), ConfigError> {
    let order = |shorter: Setting, short: Duration, longer: Setting, long: Duration| {
        if short < long {
            Ok(())
        } else {
            Err(ConfigError::Refused(format!(
                "{} has to be shorter than {}, or two attempts of a step could write at once",
                shorter.name, longer.name
            )))
        }
    };
    let HeartbeatTimes { interval, patience } = config.heartbeat;
    order(setting::HEARTBEAT_INTERVAL, interval, setting::HEARTBEAT_PATIENCE, patience)?;
    let timeout = config.heartbeat_timeout;
    order(setting::HEARTBEAT_PATIENCE, patience, setting::HEARTBEAT_TIMEOUT, timeout)
}

#[cfg(test)]
mod tests;
