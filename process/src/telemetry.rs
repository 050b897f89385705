//! Logs and metrics of the process, set up once.

use std::{
    panic::PanicHookInfo,
    str::FromStr,
    sync::{Mutex, Once, PoisonError},
};

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter,
    filter::{Directive, LevelFilter},
};

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

/// A filter of log lines that means what its author wrote: a word that is no level would be taken
/// for a part of the program, and hush all the others.
///
/// # Errors
/// What of it is neither a level nor a part of the program with one.
pub fn log_filter(text: &str) -> Result<String, String> {
    let understood = |directive: &str| match directive.contains('=') {
        true => directive.parse::<Directive>().is_ok(),
        false => directive.parse::<LevelFilter>().is_ok(),
    };
    // An empty one says nothing.
    match text.split(',').find(|directive| !directive.is_empty() && !understood(directive)) {
        None => Ok(text.to_owned()),
        Some(directive) => Err(format!(
            "is not a filter for log lines: `{directive}` is neither a level (error, warn, info, \
             debug, trace, off) nor a part of the program with one, such as \
             `tidemark_engine=debug`"
        )),
    }
}

/// Begins to write log lines to stderr, panics among them.
///
/// # Errors
/// A filter that cannot be read, or a process whose log lines go somewhere else already.
pub fn init_logs(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let parsed = EnvFilter::try_new(filter)
        .with_context(|| format!("`{filter}` is not a filter for log lines"))?;
    // A file or a container's log shows no colours: it shows their escapes.
    let colours = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("log lines cannot be written: {error}"))?;
    PANICS_LOGGED.call_once(|| std::panic::set_hook(Box::new(log_panic)));
    Ok(())
}

/// Whether panics are log lines already. Several roles may start in a process.
static PANICS_LOGGED: Once = Once::new();

/// A panic as one log line: text of its own would be none that a reader of JSON lines understands.
/// Its message is one of the program's and holds nothing of a record.
fn log_panic(panic: &PanicHookInfo<'_>) {
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        reason = panic.payload_as_str().unwrap_or("it was given no message"),
        "the program panicked"
    );
}

/// The process's recorder of metrics. There can be one, however many roles run in a process.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The recorder, installed when it is first asked for; `describe` says then what its metrics mean.
///
/// # Errors
/// Something else in the process records metrics.
pub fn recorder(describe: impl FnOnce()) -> anyhow::Result<PrometheusHandle> {
    // Roles that start at the same time wait for the one that installs it.
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .context("metrics cannot be recorded, something else in this process does it")?;
    describe();
    *recorder = Some(handle.clone());
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was written, shared with whoever writes.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_filter_is_levels_and_parts_with_a_level() {
        for good in ["info", "OFF", "3", "info,tidemark_engine=debug", "tidemark_engine=debug,"] {
            assert_eq!(log_filter(good).unwrap(), good);
        }
        let refused = [
            ("inof", "inof"),
            ("nonsense!!", "nonsense!!"),
            ("info,tidemark_engine", "tidemark_engine"),
            ("info, debug", " debug"),
            ("tidemark_engine=inof", "tidemark_engine=inof"),
            ("=", "="),
        ];
        for (bad, named) in refused {
            let reason = log_filter(bad).unwrap_err();
            assert!(reason.contains(&format!("lines: `{named}` is neither")), "{bad}: {reason}");
        }
    }

    fn fail() {
        panic!("first\nand more");
    }

    #[test]
    fn a_panic_is_one_log_line() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .json()
            .flatten_event(true)
            .finish();
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let caught = tracing::subscriber::with_default(lines, || std::panic::catch_unwind(fail));
        std::panic::set_hook(default);

        assert!(caught.is_err());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for part in
            [r#""level":"ERROR""#, r#""reason":"first\nand more""#, "process/src/telemetry.rs:"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
