//! The flags of a role, made from its table of settings.

use std::{collections::BTreeMap, marker::PhantomData, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::setting::Setting;

/// A role of the program that stays: what it may be told.
pub trait Role: Send + Sync + 'static {
    /// The variable that names its file, if no flag does.
    const CONFIG_VARIABLE: &'static str;
    /// Its table.
    const SETTINGS: &'static [Setting];
    /// Tables that its file may have beside the settings, for what is no single value.
    const SECTIONS: &'static [&'static str] = &[];
}

/// The flags of a role, as the command line gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags<R> {
    /// The file to read.
    pub config: Option<PathBuf>,
    pub(crate) values: BTreeMap<&'static str, String>,
    role: PhantomData<R>,
}

impl<R> Default for Flags<R> {
    fn default() -> Self {
        Self { config: None, values: BTreeMap::new(), role: PhantomData }
    }
}

impl<R: Role> Flags<R> {
    /// The flags with one more, for those who start a role without a command line.
    ///
    /// # Panics
    /// For a name that is not in the role's table.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        let setting =
            R::SETTINGS.iter().find(|setting| setting.name == name).expect("a name in the table");
        self.values.insert(setting.name, value.into());
        self
    }
}

impl<R: Role> Args for Flags<R> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config").long("config").value_name("FILE").help(format!(
            "A TOML file with the settings below; {} names it as well",
            R::CONFIG_VARIABLE
        ));
        R::SETTINGS.iter().fold(command.arg(config), |command, setting| {
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

impl<R: Role> FromArgMatches for Flags<R> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<String>("config") {
            self.config = Some(path.into());
        }
        for setting in R::SETTINGS {
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
