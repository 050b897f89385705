//! What can go wrong between looking for the Temporal CLI and a server that answers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// Why there is no Temporal CLI, or no Temporal server. Every text ends with what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevServerError {
    /// Neither named, nor on `PATH`, nor in the cache, and it cannot be built.
    #[error(
        "no Temporal CLI: TEMPORAL_CLI is not set, `temporal` is not on PATH, and {obstacle}\n\
         get one in any of these ways:\n\
         \x20 1. install it, so that `temporal` is on PATH: https://docs.temporal.io/cli#install\n\
         \x20 2. set TEMPORAL_CLI to the path of a Temporal CLI\n\
         \x20 3. install Go (https://go.dev/dl), and it is built once, in about 3 minutes, into {cache}"
    )]
    CliNotFound {
        /// Why none was built.
        obstacle: &'static str,
        /// The folder into which it would be built.
        cache: String,
    },

    /// A program was named or found, and it cannot be run.
    #[error("cannot run {}, {origin}; {remedy}", .path.display())]
    CliNotRunnable {
        /// The program.
        path: PathBuf,
        /// How it came to be chosen.
        origin: &'static str,
        /// What to do about it.
        remedy: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },

    /// A program was named or found, it runs, and it is something else.
    #[error(
        "{}, {origin}, is not a Temporal CLI: `--version` ended with {status} and said: {output}; \
         {remedy}",
        .path.display()
    )]
    CliNotTemporal {
        /// The program.
        path: PathBuf,
        /// How it came to be chosen.
        origin: &'static str,
        /// Its exit status, or that it did not end.
        status: String,
        /// The first characters of its output.
        output: String,
        /// What to do about it.
        remedy: &'static str,
    },

    /// `go install` ended with an error.
    #[error(
        "building the Temporal CLI failed ({status}): `{command}`\n{output}\n\
         mend that, or install a Temporal CLI and set TEMPORAL_CLI to its path"
    )]
    BuildFailed {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines of its output.
        output: String,
    },

    /// A file or folder of the server or of the cache cannot be used.
    #[error("cannot use {}: {action}", .path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        action: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },

    /// Another server runs in this folder; two servers on one database destroy it.
    #[error("another Temporal server runs in {}; stop it or choose another folder", .path.display())]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },

    /// The system gave no free port on the loopback interface.
    #[error("no free port on 127.0.0.1")]
    NoFreePort(#[source] io::Error),

    /// The server's process could not be started.
    #[error("cannot start the Temporal server through `sh`")]
    Spawn(#[source] io::Error),

    /// The server's process ended before it answered.
    #[error("the Temporal server ended before it answered ({status}); its log says:\n{log}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },

    /// The server runs and does not answer.
    #[error(
        "the Temporal server did not answer within {} s (last answer: {answer}); its log says:\n{log}",
        .waited.as_secs()
    )]
    NotReady {
        /// How long was waited for it.
        waited: Duration,
        /// What the last call brought.
        answer: String,
        /// The last lines of its log.
        log: String,
    },
}

impl DevServerError {
    /// An error about a file or folder.
    pub(crate) fn folder(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Folder { path: path.to_owned(), action, source }
    }
}

/// So many lines of an output are shown in an error.
const TAIL_LINES: usize = 20;

/// The last lines of an output.
pub(crate) fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    match lines.get(lines.len().saturating_sub(TAIL_LINES)..) {
        Some(tail) if !tail.is_empty() => tail.join("\n"),
        _ => "(nothing)".to_owned(),
    }
}
