//! What to do next after each error.

use std::io::{self, ErrorKind};
use std::path::Path;

use tidemark_activities::setup::SetupError;
use tidemark_engine::definitions::ClaimError;
use tidemark_engine::store::StoreError;
use tidemark_model::failure::FailureKind;
use tidemark_schedules::ScheduleError;

use super::Error;
use crate::run::who_must_act;

impl Error {
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
            Self::Schedule(ScheduleError::Note { .. }) => {
                "leave that character out, and say the same again".to_owned()
            }
            Self::Schedule(_) => "`tidemark doctor` says whether the schedules are what they are \
                                  to be, and --fix makes them so"
                .to_owned(),
            Self::Setup(SetupError::NoNamespace { .. } | SetupError::WrongType { .. }) => {
                "once that is done: tidemark setup".to_owned()
            }
            Self::Setup(_) => "look at the rights of the credentials in the TEMPORAL_* variables \
                               and temporal.toml, then: tidemark setup"
                .to_owned(),
            Self::Temporal { .. } => "try again; `temporal operator cluster health` tells whether \
                                      the server is well"
                .to_owned(),
            Self::NotASync { .. } => "`tidemark runs ID` shows the runs of a connection".to_owned(),
            Self::NotTried => "say the same again once both answer".to_owned(),
            Self::SomeFailed { .. } => "each result says why, and what to do".to_owned(),
            Self::CheckFailed { .. } => {
                "correct what the problems name, then: tidemark check FILE".to_owned()
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
                // What the store says is no matter of either end.
                if failure.kind != FailureKind::Corrupt {
                    hints.push("--offline applies it without asking either end".to_owned());
                }
                return hints;
            }
            Self::RunEnded { id, run_id, .. } => {
                format!("`tidemark runs {id} {run_id}` shows the run")
            }
            Self::Overtaken { id, .. } => {
                format!("look at it with `tidemark get {id}`, and apply again")
            }
            Self::Removed { id, nothing_left: true, .. } => format!(
                "nothing of {id} is left to go on from: applying a definition of it again reads and \
                 sends everything"
            ),
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
            Self::File { path, source } => file_hint(path, source),
            Self::FileNotWritten { .. } => "name another file, or look at the rights and the \
                                            space of its folder"
                .to_owned(),
            Self::Worker(_) => "mend what is named, and start the process again; its --help \
                                explains each setting"
                .to_owned(),
            #[cfg(feature = "demo")]
            Self::Demo(_) => "mend what is named, and begin anew: tidemark demo".to_owned(),
            Self::Runtime(_) => "look at the limits of processes and memory: ulimit -a".to_owned(),
            Self::Input { .. } => "say --yes if the answer is yes".to_owned(),
            Self::Output(_) => {
                "look at the place where the output goes: its rights and its space".to_owned()
            }
            // Who says no needs no advice, and each problem of a definition has its own.
            Self::Declined | Self::Definitions { .. } => return Vec::new(),
        };
        vec![hint]
    }
}

fn file_hint(path: &Path, source: &io::Error) -> String {
    match source.kind() {
        ErrorKind::NotFound => {
            "look at its name, and at the folder in which the command runs".to_owned()
        }
        ErrorKind::PermissionDenied => {
            format!("`ls -l {}` shows who may read it", path.display())
        }
        ErrorKind::InvalidData => "save it as UTF-8".to_owned(),
        _ => "look at the file and at the disk that it is on, and try again".to_owned(),
    }
}

/// The store's own words, where they fit a person at a terminal.
fn store_hint(error: &StoreError) -> Vec<String> {
    let hint = match error {
        StoreError::Address { .. } => "a store is file:///folder or s3://bucket/prefix",
        StoreError::Open { .. } | StoreError::Folder { .. } | StoreError::Access { .. } => {
            "look at the store's address, rights and space (TIDEMARK_STORE)"
        }
        StoreError::NoFolder { .. } => {
            "look whether its disk is there and at TIDEMARK_STORE; a new store is made by `tidemark setup`"
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
