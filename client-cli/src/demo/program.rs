//! This same program as a child process, as an operator would call it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tidemark_devserver::{GuardedProcess, TemporalServer};
use tokio::process::{Child, Command};

use super::DemoError;
use super::places::SCENES;
use crate::ui::Ui;

/// A worker has so long to end in good order.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// How the program is called in the demo.
pub(super) struct Program {
    path: PathBuf,
    folder: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

/// A worker in the background. It is killed when this value goes.
pub(super) struct WorkerProcess(GuardedProcess);

impl Program {
    pub(super) fn new(folder: &Path, temporal: &TemporalServer) -> Result<Self, DemoError> {
        let store = url::Url::from_directory_path(folder.join("store"))
            .map_or_else(|()| String::new(), String::from);
        let mut environment: Vec<(&'static str, OsString)> = vec![
            ("TEMPORAL_ADDRESS", format!("http://{}", temporal.address()).into()),
            ("TEMPORAL_NAMESPACE", temporal.namespace().into()),
            // An empty file, so that the one in the home folder is not read.
            ("TEMPORAL_CONFIG_FILE", folder.join("temporal.toml").into()),
            ("TIDEMARK_STORE", store.into()),
            ("TIDEMARK_TASK_QUEUE", "tidemark".into()),
            ("TIDEMARK_WEB_UI", temporal.ui_url().unwrap_or_default().into()),
        ];
        std::fs::write(folder.join("temporal.toml"), "")?;
        for scene in SCENES {
            environment.push((scene.source_variable, scene.source_key.into()));
            environment.push((scene.record_variable, scene.record_key.into()));
        }
        Ok(Self { path: std::env::current_exe()?, folder: folder.to_owned(), environment })
    }

    /// Shows a verb as it would be typed, calls it with this process's streams, and waits for it.
    pub(super) async fn show(&self, ui: Ui, arguments: &[&str]) -> Result<(), DemoError> {
        ui.note(&format!("\n$ tidemark {}", arguments.join(" ")));
        let status = self.command(arguments).status().await?;
        self.succeeded(arguments, status)
    }

    /// Calls a verb in silence, and waits for it.
    pub(super) async fn call(&self, arguments: &[&str]) -> Result<(), DemoError> {
        let mut child = self.begin(arguments)?;
        let status = child.wait().await?;
        self.succeeded(arguments, status)
    }

    /// Calls a verb in silence. It is killed if the child goes before its end.
    pub(super) fn begin(&self, arguments: &[&str]) -> Result<Child, DemoError> {
        Ok(self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// Starts a worker; its log goes into the demo's folder.
    pub(super) fn worker(&self) -> Result<WorkerProcess, DemoError> {
        let log =
            OpenOptions::new().create(true).append(true).open(self.folder.join("worker.log"))?;
        let process = GuardedProcess::spawn(
            &self.path,
            &["worker".into()],
            &self.environment,
            log,
            // The folder goes too if this process is killed.
            Some(&self.folder),
        )?;
        Ok(WorkerProcess(process))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("TEMPORAL_") || name.starts_with("TIDEMARK_") {
                command.env_remove(&*name);
            }
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn succeeded(
        &self,
        arguments: &[&str],
        status: std::process::ExitStatus,
    ) -> Result<(), DemoError> {
        if status.success() {
            return Ok(());
        }
        Err(DemoError::Verb { verb: arguments.join(" "), code: status.to_string() })
    }
}

impl WorkerProcess {
    pub(super) async fn stop(self) {
        self.0.stop(STOP_GRACE).await;
    }
}
