//! Everything that can go wrong at the command line, with its exit code and the next command.
//!
//! The texts are lowercase fragments that say what and why; [`Error::hints`], in a file of its own, says
//! what to do next.
//! Each error decides its exit code here and nowhere else.

use std::io;
#[cfg(feature = "demo")]
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use temporalio_client::tonic::Status;
use tidemark_activities::setup::SetupError;
use tidemark_engine::definitions::ClaimError;
use tidemark_engine::store::StoreError;
use tidemark_model::definition::Problems;
use tidemark_model::entry::RunNumber;
use tidemark_model::failure::Failure;
use tidemark_model::ids::{AccountId, ConnectionId};
use tidemark_monitor::config::MonitorConfigError;
use tidemark_monitor::look::LookError;
use tidemark_process::ConfigError;
use tidemark_schedules::ScheduleError;
use tidemark_schedules::connect::ConnectError;

use crate::exit::Exit;
use crate::ui::text::{joined, number_of};
use crate::ui::time::instant;

mod hints;

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    // What was typed.
    #[error("{message}")]
    Usage { message: String, hint: String },
    #[error("{question} Nobody can be asked here, so the answer is no")]
    NobodyToAsk { question: String },
    #[error("nothing was done")]
    Declined,

    // Files.
    #[error("{} in the definitions; nothing was changed\n{problems}", number_of(problems.count(), "problem"))]
    Definitions { problems: Problems },
    #[error("{} cannot be read", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} cannot be written", path.display())]
    FileNotWritten { path: PathBuf, source: io::Error },
    #[error("{} holds no file that ends in .toml", path.display())]
    EmptyFolder { path: PathBuf },

    // What does not exist.
    #[error("there is no connection {id}")]
    NoConnection { id: ConnectionId, nearest: Option<ConnectionId> },
    #[error("the account {account} has no connections, so it is neither fresh nor not")]
    NoAccount { account: AccountId, nearest: Option<AccountId> },
    #[error("{id} was removed at {}", instant(*at))]
    Removed { id: ConnectionId, at: Timestamp, nothing_left: bool },
    #[error("no connection matches {selection}")]
    NoMatch { selection: String },
    #[error("{id} has no run {run}")]
    NoRun { id: ConnectionId, run: String },
    #[error("no run of {id} is under way")]
    NothingRuns { id: ConnectionId },
    #[error("{}", no_exception(id, keys))]
    NoException { id: ConnectionId, keys: Vec<String> },
    #[error(
        "neither the source of {id} nor its snapshot knows {name}, and it is not in {looked_through}"
    )]
    NoRow { id: ConnectionId, name: String, looked_through: String },

    // The store.
    #[error("no store is named")]
    NoStore,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store at {url} did not answer within {seconds} seconds")]
    StoreSilent { url: String, seconds: u64 },
    #[error(transparent)]
    Claim(ClaimError),

    // Temporal.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("temporal at {address} does not answer within {seconds} seconds")]
    TemporalSilent { address: String, seconds: u64 },
    #[error("temporal at {address} does not answer any more")]
    TemporalLost { address: String, source: Box<Status> },
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("temporal failed to {operation}")]
    Temporal { operation: &'static str, source: Box<Status> },
    #[error("no worker polls the task queue {task_queue}")]
    NoWorker { task_queue: String },
    #[error("the check of {id} was lost: {reason}")]
    CheckLost { id: ConnectionId, reason: String },
    #[error("{workflow_id} is no run of a connection")]
    NotASync { workflow_id: String },

    // The work itself.
    #[error("not tried, since temporal or the store cannot be reached")]
    NotTried,
    #[error("detached from {id} before its run was over; the run goes on")]
    Detached { id: ConnectionId },
    #[error("{0}")]
    Failure(Box<Failure>),
    #[error("the run of {id} failed: {failure}")]
    RunFailed { id: ConnectionId, run_id: String, failure: Box<Failure> },
    #[error("the run of {id} {what}")]
    RunEnded { id: ConnectionId, run_id: String, what: String, causes: Vec<String> },
    #[error("{id} is refused: {failure}")]
    Refused { id: ConnectionId, failure: Box<Failure> },
    #[error("somebody else applied version {version} of {id} in the meantime")]
    Overtaken { id: ConnectionId, version: u32 },
    #[error("the hold of {id} changed{}; nothing was decided", in_run(*run))]
    HoldChanged { id: ConnectionId, run: Option<RunNumber> },
    #[error("the records of {id} are not all removed, and it was not removed either: {what}")]
    RecordsLeft { id: ConnectionId, what: String },
    #[error("{failed_count} of {} failed", number_of(*count, "connection"))]
    SomeFailed { failed_count: usize, count: usize },
    #[error("{} would not work", out_of(*failed_count, *count))]
    CheckFailed { failed_count: usize, count: usize },

    #[error(transparent)]
    WorkerConfig(#[from] ConfigError),
    #[error(transparent)]
    GatewayConfig(ConfigError),
    #[error(transparent)]
    MonitorConfig(#[from] MonitorConfigError),
    #[error("{failed_count} of {} took no notice", number_of(*count, "sink"))]
    SinksFailed { failed_count: usize, count: usize },
    #[error(transparent)]
    Worker(#[from] anyhow::Error),

    #[cfg(feature = "demo")]
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),

    // The process itself.
    #[cfg(feature = "demo")]
    #[error("{address} cannot be listened at")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the process cannot start its threads")]
    Runtime(#[source] io::Error),
    #[error("the answer cannot be read")]
    Input { source: io::Error },
    #[error("the result cannot be written")]
    Output(#[source] io::Error),
}

impl From<LookError> for Error {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Store(error) => error.into(),
            LookError::Temporal(error) => error.into(),
        }
    }
}

impl Error {
    /// A wrong call that clap cannot see.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. }
            | Self::NobodyToAsk { .. }
            | Self::Definitions { .. }
            | Self::NoStore
            | Self::WorkerConfig(_)
            | Self::GatewayConfig(_)
            | Self::MonitorConfig(_)
            | Self::Connect(ConnectError::Config { .. })
            | Self::Store(StoreError::Address { .. })
            | Self::Schedule(ScheduleError::Note { .. }) => Exit::Usage,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Self::EmptyFolder { .. }
            | Self::NoConnection { .. }
            | Self::NoAccount { .. }
            | Self::Removed { .. }
            | Self::NoMatch { .. }
            | Self::NoRun { .. }
            | Self::NothingRuns { .. }
            | Self::NoException { .. }
            | Self::NoRow { .. }
            | Self::Schedule(ScheduleError::NotFound { .. }) => Exit::NotFound,
            Self::Store(
                StoreError::Open { .. }
                | StoreError::Folder { .. }
                | StoreError::NoFolder { .. }
                | StoreError::Access { .. },
            )
            | Self::StoreSilent { .. }
            | Self::Connect(_)
            | Self::TemporalSilent { .. }
            | Self::TemporalLost { .. }
            | Self::NotTried
            | Self::Schedule(ScheduleError::Unreachable { .. })
            | Self::Setup(SetupError::Unreachable { .. }) => Exit::Unreachable,
            Self::SomeFailed { .. } | Self::SinksFailed { .. } => Exit::SomeFailed,
            Self::CheckFailed { failed_count, count } if failed_count < count => Exit::SomeFailed,
            // Whoever reads the other end of the pipe has read enough.
            Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            #[cfg(feature = "demo")]
            Self::Demo(_) | Self::Listen { .. } => Exit::Failed,
            Self::Declined
            | Self::File { .. }
            | Self::FileNotWritten { .. }
            | Self::HoldChanged { .. }
            | Self::RecordsLeft { .. }
            | Self::Store(_)
            | Self::Claim(_)
            | Self::Schedule(_)
            | Self::Setup(_)
            | Self::Temporal { .. }
            | Self::NoWorker { .. }
            | Self::CheckLost { .. }
            | Self::NotASync { .. }
            | Self::Detached { .. }
            | Self::Failure(_)
            | Self::RunFailed { .. }
            | Self::RunEnded { .. }
            | Self::Refused { .. }
            | Self::Overtaken { .. }
            | Self::CheckFailed { .. }
            | Self::Worker(_)
            | Self::Runtime(_)
            | Self::Input { .. }
            | Self::Output(_) => Exit::Failed,
        }
    }

    /// Causes that are known only as texts, because they crossed the store or Temporal.
    pub(crate) fn further_causes(&self) -> &[String] {
        match self {
            Self::Failure(failure)
            | Self::RunFailed { failure, .. }
            | Self::Refused { failure, .. } => &failure.causes,
            Self::RunEnded { causes, .. } => causes,
            _ => &[],
        }
    }
}

/// Which exceptions there are not: those of keys, or any that would have been meant.
fn no_exception(id: &ConnectionId, keys: &[String]) -> String {
    if keys.is_empty() {
        return format!("{id} has no such exceptions");
    }
    let they = if keys.len() == 1 { "it was" } else { "they were" };
    format!("{id} has no exception {}: {they} resolved, or never there", joined(keys, 4))
}

fn in_run(run: Option<RunNumber>) -> String {
    run.map(|run| format!(" in run {run}")).unwrap_or_default()
}

/// `2 of 5 connections`, or `the connection` if there is only one.
fn out_of(failed_count: usize, count: usize) -> String {
    match count {
        1 => "the connection".to_owned(),
        _ => format!("{failed_count} of {}", number_of(count, "connection")),
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Store(error) => Self::Store(error),
            other => Self::Claim(other),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

#[cfg(test)]
mod tests;
