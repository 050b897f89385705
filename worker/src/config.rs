//! The configuration of a worker: flags over environment over file over defaults.
//!
//! All layers carry text under the names of one table ([`SETTINGS`]), and each value is read
//! once, with an error that says which layer it came from. Where Temporal is, is none of these:
//! its own `TEMPORAL_*` variables and `temporal.toml` say that.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use bytesize::ByteSize;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use tidemark_activities::{HeartbeatTimes, schedule::ProjectionSettings};
use tidemark_engine::run::FenceTimes;
use tidemark_model::schedule::duration;

use crate::setting::{self, SETTINGS, Setting};

/// The variable that names the file, if no flag does.
const CONFIG_VARIABLE: &str = "TIDEMARK_WORKER_CONFIG";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is neither `text` nor `json`"),
        }
    }
}

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
        let path = flags.config.clone().or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
        let file = path.map_or_else(|| Ok(File::default()), |path| File::read(&path))?;
        Layers { flags, variable, file }.config()
    }

    /// [`load`](Self::load) with the environment of this process.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_process(flags: &WorkerFlags) -> Result<Self, ConfigError> {
        Self::load(flags, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
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

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not TOML: {reason}", path.display())]
    Toml { path: PathBuf, reason: String },
    #[error("{} has an unknown key `{key}`{}", path.display(), did_you_mean(*nearest))]
    UnknownKey { path: PathBuf, key: String, nearest: Option<&'static str> },
    #[error("{origin}: `{value}` {reason}")]
    Value { origin: String, value: String, reason: String },
    #[error(
        "`{}` is missing ({}): set {}, or `{}` in the file, or --{}",
        setting.name, setting.meaning, setting.variable, setting.name, setting.flag()
    )]
    Missing { setting: Setting },
    #[error(
        "{shorter} has to be shorter than {longer}, or two attempts of a step could write at once"
    )]
    Order { shorter: &'static str, longer: &'static str },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The flags of a worker, as the command line gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerFlags {
    /// The file to read.
    pub config: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl WorkerFlags {
    /// The flags with one more, for those who start a worker without a command line.
    ///
    /// # Panics
    /// For a name that is not in [`SETTINGS`].
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let setting =
            SETTINGS.iter().find(|setting| setting.name == name).expect("a name in the table");
        self.values.insert(setting.name, value.into());
        self
    }
}

impl Args for WorkerFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config").long("config").value_name("FILE").help(format!(
            "A TOML file with the settings below; {CONFIG_VARIABLE} names it as well"
        ));
        SETTINGS.iter().fold(command.arg(config), |command, setting| {
            let default =
                setting.default.map(|value| format!(" [default: {value}]")).unwrap_or_default();
            command.arg(
                Arg::new(setting.name).long(setting.flag()).value_name(setting.value).help(
                    format!("{} [env: {}]{default}", capital(setting.meaning), setting.variable),
                ),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for WorkerFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<String>("config") {
            self.config = Some(path.into());
        }
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                self.values.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The values of a file, by name.
#[derive(Default)]
struct File {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Self::parse(path, &text)
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Toml { path: path.clone(), reason: error.message().to_owned() }
        })?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            if !SETTINGS.iter().any(|setting| setting.name == key) {
                return Err(ConfigError::UnknownKey { path, nearest: nearest(&key), key });
            }
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                other => {
                    return Err(ConfigError::Value {
                        origin: format!("`{key}` in {}", path.display()),
                        value: other.to_string(),
                        reason: "is neither text nor a whole number".to_owned(),
                    });
                }
            };
            values.insert(key, text);
        }
        Ok(Self { path, values })
    }
}

fn nearest(key: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .map(|setting| (strsim::damerau_levenshtein(key, setting.name), setting.name))
        .min()
        .filter(|(distance, name)| *distance * 3 <= name.len())
        .map(|(_, name)| name)
}

/// Where a value came from.
enum Origin<'a> {
    Flag(Setting),
    Variable(Setting),
    File(&'a Path, Setting),
    Default(Setting),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(setting) => write!(f, "--{}", setting.flag()),
            Self::Variable(setting) => f.write_str(setting.variable),
            Self::File(path, setting) => write!(f, "`{}` in {}", setting.name, path.display()),
            Self::Default(setting) => write!(f, "the default of {}", setting.name),
        }
    }
}

/// The layers, strongest first.
struct Layers<'a> {
    flags: &'a WorkerFlags,
    variable: &'a dyn Fn(&str) -> Option<String>,
    file: File,
}

impl Layers<'_> {
    fn config(&self) -> Result<WorkerConfig, ConfigError> {
        let config = WorkerConfig {
            store: self.required(setting::STORE)?,
            task_queue: self.required(setting::TASK_QUEUE)?,
            max_activities: self.count(setting::MAX_ACTIVITIES)?,
            memory_budget: self.needed(setting::MEMORY_BUDGET, |text| {
                text.parse::<ByteSize>().map_err(|_| "is not a size; use text such as '128 MiB'")
            })?,
            spill_folder: self
                .find(setting::SPILL_FOLDER)
                .map_or_else(std::env::temp_dir, |(text, _)| text.into()),
            grace_period: self.duration(setting::GRACE_PERIOD)?,
            ops_address: self.optional(setting::OPS_ADDRESS, |text| {
                text.parse::<SocketAddr>()
                    .map_err(|_| "is not an address and a port; use text such as '127.0.0.1:9464'")
            })?,
            log: self.required(setting::LOG)?,
            log_format: self.needed(setting::LOG_FORMAT, |text| text.parse::<LogFormat>())?,
            heartbeat_timeout: self.duration(setting::HEARTBEAT_TIMEOUT)?,
            heartbeat: HeartbeatTimes {
                interval: self.duration(setting::HEARTBEAT_INTERVAL)?,
                patience: self.duration(setting::HEARTBEAT_PATIENCE)?,
            },
            fence: FenceTimes {
                look_max_age: self.duration(setting::LOOK_MAX_AGE)?,
                superseded_wait: self.duration(setting::SUPERSEDED_WAIT)?,
            },
            renew_after: WorkerConfig::DEFAULT_RENEW_AFTER,
        };
        check(&config)?;
        Ok(config)
    }

    fn find(&self, setting: Setting) -> Option<(String, Origin<'_>)> {
        let flag = || Some((self.flags.values.get(setting.name)?.clone(), Origin::Flag(setting)));
        let variable = || Some(((self.variable)(setting.variable)?, Origin::Variable(setting)));
        let file = || {
            let value = self.file.values.get(setting.name)?.clone();
            Some((value, Origin::File(&self.file.path, setting)))
        };
        let default = || Some((setting.default?.to_owned(), Origin::Default(setting)));
        flag().or_else(variable).or_else(file).or_else(default)
    }

    fn required(&self, setting: Setting) -> Result<String, ConfigError> {
        self.find(setting).map(|(text, _)| text).ok_or(ConfigError::Missing { setting })
    }

    fn optional<T, E: fmt::Display>(
        &self,
        setting: Setting,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.find(setting) else { return Ok(None) };
        read(&value).map(Some).map_err(|error| ConfigError::Value {
            origin: origin.to_string(),
            reason: format!("{error}"),
            value,
        })
    }

    fn needed<T, E: fmt::Display>(
        &self,
        setting: Setting,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        self.optional(setting, read)?.ok_or(ConfigError::Missing { setting })
    }

    fn duration(&self, setting: Setting) -> Result<Duration, ConfigError> {
        self.needed(setting, duration::parse)
    }

    fn count(&self, setting: Setting) -> Result<usize, ConfigError> {
        self.needed(setting, |text| match text.parse::<usize>() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("is not a count from 1 on"),
        })
    }
}

/// The orders between times on which it depends that no two attempts write at once.
fn check(config: &WorkerConfig) -> Result<(), ConfigError> {
    let order = |shorter: Setting, short: Duration, longer: Setting, long: Duration| {
        if short < long {
            Ok(())
        } else {
            Err(ConfigError::Order { shorter: shorter.name, longer: longer.name })
        }
    };
    let HeartbeatTimes { interval, patience } = config.heartbeat;
    order(setting::HEARTBEAT_INTERVAL, interval, setting::HEARTBEAT_PATIENCE, patience)?;
    let timeout = config.heartbeat_timeout;
    order(setting::HEARTBEAT_PATIENCE, patience, setting::HEARTBEAT_TIMEOUT, timeout)
}

#[cfg(test)]
mod tests;
