//! The development server of the Temporal CLI: its options, its life, its restarts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::TemporalCli;
use crate::error::DevServerError;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::process::GuardedProcess;
use crate::ready;

/// From the start of the process to the first answer. On an idle machine it takes about a second;
/// the rest is for machines that compile at the same time.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// Between SIGTERM and SIGKILL. The server takes about a second to end.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Pause between two questions to a server that is starting.
const READY_POLL: Duration = Duration::from_millis(100);
/// How often other ports are tried when some were taken in between.
const START_ATTEMPTS: u32 = 5;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    cli: TemporalCli,
    folder: Option<PathBuf>,
    namespace: String,
    search_attributes: Vec<(String, String)>,
    ui: bool,
}

impl ServerOptions {
    /// Where its database and log are, and stay. Without it, a temporary folder that goes with the
    /// server.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The namespace that it creates; `default` if not said.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Search attributes that it registers, as pairs of name and type (`Keyword`, `Datetime`, …).
    #[must_use]
    pub fn search_attributes(mut self, attributes: &[(&str, &str)]) -> Self {
        self.search_attributes =
            attributes.iter().map(|&(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        self
    }

    /// Whether it serves the Web UI; not, if not said.
    #[must_use]
    pub fn ui(mut self, ui: bool) -> Self {
        self.ui = ui;
        self
    }

    /// Starts the server; when this returns, it answers, and its namespace and search attributes
    /// can be used.
    ///
    /// # Errors
    /// The folder cannot be used or another server runs in it, or the server does not come up; the
    /// error then carries the end of its log.
    pub async fn start(self) -> Result<TemporalServer, DevServerError> {
        let folder = Folder::open(self.folder.as_deref())?;
        let mut server = TemporalServer {
            process: None,
            ports: Ports::free().map_err(DevServerError::NoFreePort)?,
            folder,
            options: self,
        };
        let mut attempt = 1;
        loop {
            match server.launch().await {
                Err(DevServerError::Exited { log, .. })
                    if attempt < START_ATTEMPTS && log.contains("address already in use") =>
                {
                    attempt += 1;
                    server.ports = Ports::free().map_err(DevServerError::NoFreePort)?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
    }
}

/// A Temporal development server. It ends when this value is dropped, and also when the process
/// that holds it is killed.
#[derive(Debug)]
pub struct TemporalServer {
    // Before the folder, so that it is dropped first: nothing writes into a folder that goes away.
    process: Option<GuardedProcess>,
    ports: Ports,
    folder: Folder,
    options: ServerOptions,
}

impl TemporalServer {
    /// A server to be started by `cli`.
    #[must_use]
    pub fn options(cli: TemporalCli) -> ServerOptions {
        ServerOptions {
            cli,
            folder: None,
            namespace: "default".to_owned(),
            search_attributes: Vec::new(),
            ui: false,
        }
    }

    /// Host and port of gRPC, as `TEMPORAL_ADDRESS` wants it: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.grpc)
    }

    /// The Web UI, if it was asked for.
    #[must_use]
    pub fn ui_url(&self) -> Option<String> {
        self.options.ui.then(|| format!("http://127.0.0.1:{}", self.ports.ui))
    }

    /// The namespace that it was started with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.options.namespace
    }

    /// Where its database and its log `temporal.log` are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of its process while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(GuardedProcess::pid)
    }

    /// Ends it in good order: SIGTERM, and SIGKILL after ten seconds. Its state stays until the
    /// folder goes. Stopping a server that does not run does nothing.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(STOP_GRACE).await;
        }
    }

    /// Ends it by SIGKILL, as a crash would; what it had acknowledged is in its database.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it, if it runs, and starts it again with the same ports and the same state.
    ///
    /// # Errors
    /// It does not come up again, for example because another program took a port.
    pub async fn restart(&mut self) -> Result<(), DevServerError> {
        self.stop().await;
        self.launch().await
    }

    /// Starts the process and waits until it answers. After an error nothing runs.
    async fn launch(&mut self) -> Result<(), DevServerError> {
        let (log, log_start) = self.folder.open_log()?;
        let mut process = GuardedProcess::spawn(
            self.options.cli.path(),
            &self.arguments(),
            &self.environment(),
            log,
            self.folder.temporary(),
        )
        .map_err(DevServerError::Spawn)?;

        let started_at = Instant::now();
        let address = self.address();
        loop {
            if let Some(status) = process.exit_status().map_err(DevServerError::Spawn)? {
                return Err(DevServerError::Exited {
                    status,
                    log: self.folder.log_tail(log_start),
                });
            }
            match ready::ask(&address, self.namespace(), &self.options.search_attributes).await {
                Ok(()) => break,
                Err(answer) if started_at.elapsed() >= START_DEADLINE => {
                    return Err(DevServerError::NotReady {
                        waited: started_at.elapsed(),
                        answer,
                        log: self.folder.log_tail(log_start),
                    });
                }
                Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
        self.process = Some(process);
        Ok(())
    }

    fn arguments(&self) -> Vec<OsString> {
        let Ports { grpc, http, metrics, ui } = self.ports;
        let mut arguments: Vec<OsString> =
            ["server", "start-dev", "--ip", "127.0.0.1", "--log-level", "warn", "--color", "never"]
                .map(OsString::from)
                .into();
        let mut option = |name: &str, value: OsString| {
            arguments.push(name.into());
            arguments.push(value);
        };
        option("--port", grpc.to_string().into());
        option("--http-port", http.to_string().into());
        option("--metrics-port", metrics.to_string().into());
        option("--namespace", self.options.namespace.clone().into());
        option("--db-filename", self.folder.path().join("temporal.db").into());
        // The older kind of configuration file, which can set any option. This one does not exist.
        option("--env-file", self.folder.path().join("environments.yaml").into());
        for (name, kind) in &self.options.search_attributes {
            option("--search-attribute", format!("{name}={kind}").into());
        }
        if self.options.ui {
            option("--ui-port", ui.to_string().into());
        } else {
            arguments.push("--headless".into());
        }
        arguments
    }

    /// Instead of every `TEMPORAL_*` of the shell: a configuration file that is empty, so that the
    /// one in the home folder is not read. The options that would say so are not in every version.
    fn environment(&self) -> [(&'static str, OsString); 1] {
        [("TEMPORAL_CONFIG_FILE", self.folder.empty_config().into())]
    }
}
