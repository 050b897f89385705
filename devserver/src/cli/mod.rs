//! The Temporal CLI: which one, and whether it is one.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::error::DevServerError;
use crate::install;

/// How long `--version` may take; it takes milliseconds, unless the program is something else.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);
/// So many characters of a stranger's output are shown.
const SHOWN_OUTPUT: usize = 300;

/// A Temporal CLI that was run once and said its version.
#[derive(Debug, Clone)]
pub struct TemporalCli {
    path: PathBuf,
    version: String,
}

impl TemporalCli {
    /// The program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `--version` said, for example `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Finds the Temporal CLI: the program that `TEMPORAL_CLI` names; else `temporal` on `PATH`; else
/// the one in the cache folder (`$XDG_CACHE_HOME`, else `~/.cache`), which is built by Go if it is
/// not there yet. Building takes minutes; `progress` gets a line about every five seconds of it.
///
/// # Errors
/// There is none and it cannot be built, or the one that was chosen is not a Temporal CLI: a
/// program that somebody named or installed is never passed over in silence.
pub async fn find(progress: &(dyn Fn(&str) + Send + Sync)) -> Result<TemporalCli, DevServerError> {
    Search::from_env().find(progress).await
}

/// Everything of the environment that the search depends on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    /// `TEMPORAL_CLI`.
    pub(crate) named: Option<PathBuf>,
    /// `PATH`.
    pub(crate) path: Option<OsString>,
    /// `XDG_CACHE_HOME`, else `~/.cache`.
    pub(crate) cache: Option<PathBuf>,
}

impl Search {
    fn from_env() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            // The specification of these folders says that a relative one is to be ignored.
            .filter(|path| path.is_absolute())
            .or_else(|| env::home_dir().map(|home| home.join(".cache")));
        Self { named: set("TEMPORAL_CLI").map(PathBuf::from), path: set("PATH"), cache }
    }

    pub(crate) async fn find(
        &self,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<TemporalCli, DevServerError> {
        if let Some(path) = &self.named {
            return check(path, Origin::Named).await;
        }
        if let Some(path) = on_path(self.path.as_deref(), "temporal") {
            return check(&path, Origin::Path).await;
        }
        let Some(folder) = self.cache.as_deref().map(install::folder) else {
            return Err(DevServerError::CliNotFound {
                obstacle: "neither HOME nor XDG_CACHE_HOME says where to build one",
                cache: "~/.cache".to_owned(),
            });
        };
        let path = folder.join("temporal");
        if !path.exists() {
            let Some(go) = on_path(self.path.as_deref(), "go") else {
                return Err(DevServerError::CliNotFound {
                    obstacle: "there is no `go` on PATH to build one",
                    cache: folder.display().to_string(),
                });
            };
            install::install(&go, &folder, progress).await?;
        }
        check(&path, Origin::Cache).await
    }
}

/// Why a program was chosen.
#[derive(Debug, Clone, Copy)]
enum Origin {
    Named,
    Path,
    Cache,
}

impl Origin {
    fn describe(self) -> &'static str {
        match self {
            Self::Named => "which TEMPORAL_CLI names",
            Self::Path => "which was found on PATH",
            Self::Cache => "which was built into the cache",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Named => {
                "set TEMPORAL_CLI to the path of a Temporal CLI, or unset it to search PATH"
            }
            Self::Path => "mend or remove it, or set TEMPORAL_CLI to the path of another",
            Self::Cache => "delete it, and it is built again",
        }
    }
}

/// Runs `--version`. The text is what both released and self-built versions say.
async fn check(path: &Path, origin: Origin) -> Result<TemporalCli, DevServerError> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let (status, output) = match tokio::time::timeout(VERSION_TIMEOUT, command.output()).await {
        Ok(Ok(output)) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            if output.status.success() && text.starts_with("temporal version ") {
                return Ok(TemporalCli {
                    path: path.to_owned(),
                    version: text.lines().next().unwrap_or_default().to_owned(),
                });
            }
            (output.status.to_string(), text)
        }
        Ok(Err(source)) => return Err(not_runnable(path, origin, source)),
        Err(_elapsed) => {
            (format!("no answer within {} s", VERSION_TIMEOUT.as_secs()), String::new())
        }
    };
    let output = output.trim();
    Err(DevServerError::CliNotTemporal {
        path: path.to_owned(),
        origin: origin.describe(),
        status,
        output: match output.is_empty() {
            true => "(nothing)".to_owned(),
            false => output.chars().take(SHOWN_OUTPUT).collect(),
        },
        remedy: origin.remedy(),
    })
}

fn not_runnable(path: &Path, origin: Origin, source: io::Error) -> DevServerError {
    DevServerError::CliNotRunnable {
        path: path.to_owned(),
        origin: origin.describe(),
        remedy: origin.remedy(),
        source,
    }
}

/// The first file `name` in the folders of `path` that may be executed.
fn on_path(path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    env::split_paths(path?).map(|folder| folder.join(name)).find(|file| {
        file.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests;
