//! Flags over environment over file over defaults.
//!
//! All layers carry text under the names of one table, and each value is read once, with an error
//! that says which layer it came from. Where Temporal is, is none of these: its own `TEMPORAL_*`
//! variables and `temporal.toml` say that.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tidemark_model::{definition::SourceText, schedule::duration};

use crate::{
    flags::{Flags, Role},
    setting::Setting,
};

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
    #[error("[{section}] in {}: {reason}", path.display())]
    Section { path: PathBuf, section: &'static str, reason: String },
    #[error(
        "`{}` is missing ({}): set {}, or `{}` in the file, or --{}",
        setting.name, setting.meaning, setting.variable, setting.name, setting.flag()
    )]
    Missing { setting: Setting },
    /// A role's own reason, such as values that are good one by one and not together.
    #[error("{0}")]
    Refused(String),
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// What a role's file says.
#[derive(Default)]
pub struct SettingsFile {
    path: PathBuf,
    values: BTreeMap<String, String>,
    sections: BTreeMap<&'static str, toml::Value>,
    source: Option<SourceText>,
}

impl SettingsFile {
    fn read<R: Role>(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        Self::parse::<R>(path, &text)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// It is not TOML, has a key that the role does not know, or a value that is no text.
    pub fn parse<R: Role>(path: PathBuf, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            ConfigError::Toml { path: path.clone(), reason: error.message().to_owned() }
        })?;
        let (mut values, mut sections) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in table {
            if let Some(section) = R::SECTIONS.iter().find(|section| **section == key) {
                sections.insert(*section, value);
                continue;
            }
            if !R::SETTINGS.iter().any(|setting| setting.name == key) {
                return Err(ConfigError::UnknownKey { path, nearest: nearest::<R>(&key), key });
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
        let source = SourceText { name: path.display().to_string(), text: text.to_owned() };
        Ok(Self { path, values, sections, source: Some(source) })
    }
}

fn nearest<R: Role>(key: &str) -> Option<&'static str> {
    R::SETTINGS
        .iter()
        .map(|setting| setting.name)
        .chain(R::SECTIONS.iter().copied())
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
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

/// Looks up a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The layers of a role, strongest first.
pub struct Layers<'a, R> {
    flags: &'a Flags<R>,
    variable: Variables<'a>,
    file: SettingsFile,
}

impl<'a, R: Role> Layers<'a, R> {
    /// The layers with a file that was read already.
    #[must_use]
    pub fn new(flags: &'a Flags<R>, variable: Variables<'a>, file: SettingsFile) -> Self {
        Self { flags, variable, file }
    }

    /// The layers with the file that the flags or the environment name, if they name one.
    ///
    /// # Errors
    /// That file's.
    pub fn load(flags: &'a Flags<R>, variable: Variables<'a>) -> Result<Self, ConfigError> {
        let path = flags.config.clone().or_else(|| variable(R::CONFIG_VARIABLE).map(PathBuf::from));
        let file = match path {
            Some(path) => SettingsFile::read::<R>(&path)?,
            None => SettingsFile::default(),
        };
        Ok(Self::new(flags, variable, file))
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

    /// A text, if somebody says one.
    #[must_use]
    pub fn text(&self, setting: Setting) -> Option<String> {
        self.find(setting).map(|(text, _)| text)
    }

    /// A text that must be said.
    ///
    /// # Errors
    /// Nobody says it.
    pub fn required(&self, setting: Setting) -> Result<String, ConfigError> {
        self.text(setting).ok_or(ConfigError::Missing { setting })
    }

    /// A value that may be left out.
    ///
    /// # Errors
    /// That of `read`, with the layer that the text came from.
    pub fn optional<T, E: fmt::Display>(
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

    /// A value that must be said.
    ///
    /// # Errors
    /// As [`optional`](Self::optional), or nobody says it.
    pub fn needed<T, E: fmt::Display>(
        &self,
        setting: Setting,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        self.optional(setting, read)?.ok_or(ConfigError::Missing { setting })
    }

    /// A duration.
    ///
    /// # Errors
    /// As [`needed`](Self::needed).
    pub fn duration(&self, setting: Setting) -> Result<Duration, ConfigError> {
        self.needed(setting, duration::parse)
    }

    /// A count from 1 on.
    ///
    /// # Errors
    /// As [`needed`](Self::needed).
    pub fn count(&self, setting: Setting) -> Result<usize, ConfigError> {
        self.needed(setting, |text| match text.parse::<usize>() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("is not a count from 1 on"),
        })
    }

    /// An address to listen at, which may be left out.
    ///
    /// # Errors
    /// As [`optional`](Self::optional).
    pub fn address(&self, setting: Setting) -> Result<Option<SocketAddr>, ConfigError> {
        self.optional(setting, |text| {
            text.parse::<SocketAddr>()
                .map_err(|_| "is not an address and a port; use text such as '127.0.0.1:9464'")
        })
    }

    /// The file as it was written, `None` if there is none: for tables that say where in it they
    /// are wrong.
    #[must_use]
    pub fn source(&self) -> Option<&SourceText> {
        self.file.source.as_ref()
    }

    /// A table of the file that is no single value, `None` if the file has none.
    ///
    /// # Errors
    /// It has another form.
    pub fn section<T: DeserializeOwned>(
        &self,
        section: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.file.sections.get(section) else { return Ok(None) };
        value.clone().try_into().map(Some).map_err(|error: toml::de::Error| ConfigError::Section {
            path: self.file.path.clone(),
            section,
            reason: error.message().to_owned(),
        })
    }
}

/// A variable of this process's environment; an empty one counts as not set.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Door;

    impl Role for Door {
        const CONFIG_VARIABLE: &'static str = "DOOR_CONFIG";
        const SETTINGS: &'static [Setting] = &[];
        const SECTIONS: &'static [&'static str] = &["bell"];
    }

    fn bells(text: &str) -> Result<Option<Vec<BTreeMap<String, u8>>>, ConfigError> {
        let file = SettingsFile::parse::<Door>(PathBuf::from("door.toml"), text)?;
        Layers::new(&Flags::<Door>::default(), &|_| None, file).section("bell")
    }

    #[test]
    fn a_file_may_have_the_sections_of_its_role() {
        assert_eq!(bells("").unwrap(), None);
        assert_eq!(bells("[[bell]]\ntone = 1\n[[bell]]\ntone = 2").unwrap().unwrap().len(), 2);
        let other = bells("[[bel]]\ntone = 1").unwrap_err();
        assert_eq!(other.to_string(), "door.toml has an unknown key `bel`; did you mean `bell`?");
    }
}
