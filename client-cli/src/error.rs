//! Everything that can go wrong at the command line, with its exit code and the next command.
//!
//! The texts are lowercase fragments that say what and why; [`Error::hints`] says what to do next.
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
use crate::run::who_must_act;
use crate::ui::text::{joined, number_of};
use crate::ui::time::instant;

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
    Removed { id: ConnectionId, at: Timestamp },
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
                StoreError::Open { .. } | StoreError::Folder { .. } | StoreError::Access { .. },
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

    /// What to do next.
    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::NobodyToAsk { .. } => "say --yes if that is meant".to_owned(),
            Self::NoConnection { nearest, .. } => {
                let mut hints: Vec<String> =
                    nearest.iter().map(|nearest| format!("did you mean {nearest}?")).collect();
                hints.push("`tidemark list` shows the connections".to_owned());
                return hints;
            }
            Self::NoAccount { nearest, .. } => {
                let mut hints: Vec<String> =
                    nearest.iter().map(|nearest| format!("did you mean {nearest}?")).collect();
                hints.push("`tidemark list` shows the connections of every account".to_owned());
                return hints;
            }
            Self::NoMatch { .. } => {
                "`tidemark list` shows the connections; a new one appears after about a second"
                    .to_owned()
            }
            Self::NoRun { id, .. } => format!("`tidemark runs {id}` shows its runs"),
            Self::NothingRuns { id } => {
                format!("`tidemark start {id}` starts one, `tidemark runs {id}` shows earlier ones")
            }
            Self::NoException { id, keys } => {
                let mut hints =
                    vec![format!("`tidemark exceptions {id} list` shows those that there are")];
                if let Some(key) = keys.first() {
                    hints.push(format!("`tidemark explain {id} {key}` says how its record stands"));
                }
                return hints;
            }
            Self::NoRow { .. } => "a contact whose address changed or who was deleted for ever is \
                                   known by its key or by the id of its record only"
                .to_owned(),
            Self::HoldChanged { id, .. } => {
                format!("look again: tidemark exceptions {id} list --kind held")
            }
            Self::RecordsLeft { id, .. } => {
                return vec![
                    format!(
                        "{id} stays paused; once what is in the way is mended, say again: tidemark \
                         remove {id} --records delete"
                    ),
                    format!(
                        "any other run of {id} goes on removing records first: the decision stands"
                    ),
                ];
            }
            Self::NoStore => {
                "set TIDEMARK_STORE or say --store: file:///folder, or s3://bucket/prefix for more \
                 than one machine"
                    .to_owned()
            }
            Self::Store(error) => return store_hint(error),
            Self::Claim(error) => return claim_hint(error),
            Self::StoreSilent { .. } => "look at the store's address and credentials \
                                         (TIDEMARK_STORE, AWS_*)"
                .to_owned(),
            Self::Connect(error) => error.hint().to_owned(),
            Self::TemporalSilent { .. }
            | Self::TemporalLost { .. }
            | Self::Schedule(ScheduleError::Unreachable { .. })
            | Self::Setup(SetupError::Unreachable { .. }) => {
                "start Temporal, or say where it is with TEMPORAL_ADDRESS or in temporal.toml"
                    .to_owned()
            }
            Self::Schedule(ScheduleError::NotFound { connection }) => format!(
                "`tidemark get {connection}` shows whether it is defined; applying its definition \
                 again makes the schedule"
            ),
            Self::Schedule(ScheduleError::Busy { .. }) => {
                "try again in a moment; fewer connections at a time are easier on Temporal"
                    .to_owned()
            }
            Self::Schedule(ScheduleError::Refused { .. }) => {
                "`tidemark setup` makes what Temporal needs to know".to_owned()
            }
            Self::NoWorker { .. } => "start one with `tidemark worker`, or say with --task-queue \
                                      which queue the workers poll"
                .to_owned(),
            Self::CheckLost { .. } => "check again; Temporal's Web UI shows what became of the \
                                       workflow CheckConnection"
                .to_owned(),
            Self::Failure(failure) => return failure.hint.clone().into_iter().collect(),
            Self::RunFailed { id, run_id, failure } => {
                let mut hints: Vec<String> = failure.hint.clone().into_iter().collect();
                hints.push(format!("this is for {}", who_must_act(failure.class())));
                hints.push(format!("`tidemark runs {id} {run_id}` shows the run"));
                return hints;
            }
            Self::Refused { failure, .. } => {
                let mut hints: Vec<String> = failure.hint.clone().into_iter().collect();
                hints.push("--offline applies it without asking either end".to_owned());
                return hints;
            }
            Self::RunEnded { id, run_id, .. } => {
                format!("`tidemark runs {id} {run_id}` shows the run")
            }
            Self::Overtaken { id, .. } => {
                format!("look at it with `tidemark get {id}`, and apply again")
            }
            Self::Removed { id, .. } => {
                format!("applying a definition of {id} again goes on from its log")
            }
            Self::WorkerConfig(_) => "`tidemark worker --help` explains each setting".to_owned(),
            Self::GatewayConfig(_) => "`tidemark gateway --help` explains each setting".to_owned(),
            Self::MonitorConfig(_) => {
                "`tidemark monitor --help` explains each setting, docs/monitor.md the sinks"
                    .to_owned()
            }
            Self::SinksFailed { .. } => {
                "correct the sinks that failed in the file that --config names, and try again"
                    .to_owned()
            }
            #[cfg(feature = "demo")]
            Self::Listen { .. } => {
                "say --listen with another address; port 0 takes a free one".to_owned()
            }
            Self::Detached { id } => format!("`tidemark watch {id}` attaches to it again"),
            Self::EmptyFolder { .. } => "name a file, or - for stdin".to_owned(),
            #[cfg(feature = "demo")]
            Self::Demo(_) => return Vec::new(),
            Self::Declined
            | Self::Definitions { .. }
            | Self::File { .. }
            | Self::FileNotWritten { .. }
            | Self::Schedule(_)
            | Self::Setup(_)
            | Self::Temporal { .. }
            | Self::NotASync { .. }
            | Self::NotTried
            | Self::SomeFailed { .. }
            | Self::CheckFailed { .. }
            | Self::Worker(_)
            | Self::Runtime(_)
            | Self::Input { .. }
            | Self::Output(_) => return Vec::new(),
        };
        vec![hint]
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

/// The store's own words, where they fit a person at a terminal.
fn store_hint(error: &StoreError) -> Vec<String> {
    let hint = match error {
        StoreError::Address { .. } => "a store is file:///folder or s3://bucket/prefix",
        StoreError::Open { .. } | StoreError::Folder { .. } | StoreError::Access { .. } => {
            "look at the store's address, rights and space (TIDEMARK_STORE)"
        }
        StoreError::Missing { .. } | StoreError::Damaged { .. } => {
            "bring the object back from a backup of the store"
        }
        StoreError::NewerFormat { .. } => "use at least the version of Tidemark that wrote it",
    };
    vec![hint.to_owned()]
}

fn claim_hint(error: &ClaimError) -> Vec<String> {
    let hint = match error {
        ClaimError::Unclaimed { .. } => "`tidemark setup` makes it this namespace's store",
        ClaimError::OtherNamespace { .. } | ClaimError::OtherCluster { .. } => {
            "set TIDEMARK_STORE, TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE to what belongs together"
        }
        ClaimError::Store(error) => return store_hint(error),
    };
    vec![hint.to_owned()]
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
