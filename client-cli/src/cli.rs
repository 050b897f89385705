//! The command line: what can be typed, and the help that says so.

use clap::builder::NonEmptyStringValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use url::Url;

use crate::commands::{
    apply, cancel, check, completions, doctor, exceptions, explain, fresh, gateway, get, inspect,
    lag, list, monitor, mute, new, pause, preview, remove, resume, runs, setup, start, sweep,
    verify, watch, worker,
};
use crate::exit::Exit;

/// Keep one system exactly in step with another
///
/// Each connection of a source and a destination is a Temporal schedule. Its runs read what
/// changed, send only the difference, and leave a receipt that must balance.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const HEADING: &str = "Where the state and the work are";

/// Where the state and the work are. Temporal itself is found as its own tools find it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The store: file:///folder or s3://bucket/prefix
    #[arg(
        long,
        global = true,
        env = "TIDEMARK_STORE",
        value_name = "URL",
        hide_env_values = true,
        help_heading = HEADING
    )]
    pub(crate) store: Option<String>,

    /// The Temporal task queue that workers poll; `tidemark` if nothing is said
    #[arg(
        long,
        global = true,
        env = "TIDEMARK_TASK_QUEUE",
        value_name = "NAME",
        hide_env_values = true,
        help_heading = HEADING,
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(crate) task_queue: Option<String>,

    /// The base of links into Temporal's Web UI
    #[arg(
        long,
        global = true,
        env = "TIDEMARK_WEB_UI",
        value_name = "URL",
        hide_env_values = true,
        help_heading = HEADING,
        value_parser = url_text
    )]
    pub(crate) web_ui: Option<String>,
}

impl Place {
    /// The base of links into the Web UI. A role that has a setting of that name refuses what is
    /// no URL by itself.
    pub(crate) fn web_ui(&self) -> Option<Url> {
        self.web_ui.as_deref()?.parse().ok()
    }
}

/// Looks whether a text is a URL. It stays a text, as the roles' own settings are: an argument
/// that a verb has as well as the program has to be of the same type at both.
fn url_text(text: &str) -> Result<String, url::ParseError> {
    text.parse::<Url>().map(|_| text.to_owned())
}

/// The verbs, one file each in [`crate::commands`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(new::Args),
    Check(check::Args),
    Apply(apply::Args),
    Get(get::Args),
    Remove(remove::Args),
    List(list::Args),
    Lag(lag::Args),
    Inspect(inspect::Args),
    Start(start::Args),
    Watch(watch::Args),
    Cancel(cancel::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Runs(runs::Args),
    Exceptions(exceptions::Args),
    Explain(explain::Args),
    Fresh(fresh::Args),
    Preview(preview::Args),
    Verify(verify::Args),
    Mute(mute::Args),
    Doctor(doctor::Args),
    Setup(setup::Args),
    Sweep(sweep::Args),
    Worker(worker::Args),
    Gateway(gateway::Args),
    Monitor(monitor::Args),
    #[cfg(feature = "demo")]
    Demo(crate::commands::demo::Args),
    #[cfg(feature = "demo")]
    Simulator(crate::commands::simulator::Args),
    Completions(completions::Args),
}

/// The verbs by what they are for. A verb that is in no group would not be in the help.
const GROUPS: &[(&str, &[&str])] = &[
    ("Definitions", &["new", "check", "apply", "get", "remove"]),
    ("Running", &["list", "lag", "inspect", "start", "watch", "cancel", "pause", "resume", "runs"]),
    ("Looking closer", &["fresh", "preview", "exceptions", "explain", "verify", "doctor", "mute"]),
    (
        "Platform",
        &["setup", "sweep", "worker", "monitor", "gateway", "demo", "simulator", "completions"],
    ),
];

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

impl Cli {
    /// Reads the arguments, the program's name first.
    ///
    /// # Errors
    /// clap's: help and version are among them.
    pub(crate) fn read(
        args: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(args)?;
        Self::from_arg_matches(&matches)
    }
}

/// The whole tree, with the verbs in groups.
pub(crate) fn command() -> clap::Command {
    let command = without_empty_variables(Cli::command());
    let command = command.styles(STYLES).after_help(after_help());
    let verbs = verbs(&command);
    let header = STYLES.get_header();
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{verbs}\
         {header}Options:{header:#}\n{{options}}{{after-help}}"
    ))
}

/// Compose hands a variable over that nobody set as an empty one, and an empty one counts as not set:
/// its argument looks at no variable then, so that no parser meets the empty text.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let unless_empty = |arg: Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        let is_empty = value.is_some_and(|value| value.is_empty());
        if is_empty { arg.env(None::<&'static str>) } else { arg }
    };
    command.mut_args(unless_empty).mut_subcommands(without_empty_variables)
}

fn verbs(command: &clap::Command) -> String {
    let (header, literal) = (STYLES.get_header(), STYLES.get_literal());
    let mut text = String::new();
    for (title, names) in GROUPS {
        text += &format!("{header}{title}:{header:#}\n");
        for name in *names {
            let Some(verb) = command.find_subcommand(name) else { continue };
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!("  {literal}{name:<12}{literal:#} {about}\n");
        }
        text.push('\n');
    }
    text
}

fn after_help() -> String {
    let header = STYLES.get_header();
    let mut text = format!(
        "{header}Temporal:{header:#}\n  \
         Address, namespace and TLS come from TEMPORAL_* variables and temporal.toml, as for\n  \
         Temporal's own tools.\n\n\
         {header}Exit codes:{header:#}\n"
    );
    for exit in Exit::ALL {
        text += &format!("  {}  {}\n", exit.code(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod containers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_is_in_a_group() {
        let command = command();
        for verb in command.get_subcommands() {
            let name = verb.get_name();
            assert!(GROUPS.iter().any(|(_, names)| names.contains(&name)), "{name}");
        }
    }
}
