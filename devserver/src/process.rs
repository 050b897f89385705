//! A process that is started under a guard and ended with its whole process group.
//!
//! It must end when its parent ends, even by SIGKILL, when no code of the parent runs any
//! more. `PR_SET_PDEATHSIG` (and `setpriv --pdeathsig`) would be the obvious means and is the wrong
//! one: the signal comes when the *thread* that started the child ends, and a thread of an
//! asynchronous runtime ends long before its process does; it is also Linux only. So the process
//! shares its process group with a guard, a subshell that waits for the end of a pipe whose other
//! end only the parent holds. The kernel closes that end however the parent dies.
//!
//! The guard kills its own group (`kill 0`) and never a remembered process id, which could belong
//! to somebody else by then. The group is not the parent's, so Ctrl-C on a terminal reaches the
//! parent alone and the parent decides in which order things end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// `$1` is a folder that the guard removes (empty: none); the rest is the program to run.
///
/// POSIX gives a background command `/dev/null` as standard input before its own redirections, so
/// the pipe is moved to descriptor 3 first. `exec` makes the shell's process id the program's.
const GUARDED: &str = r#"
exec 3<&0 </dev/null
( read -r _ <&3; [ -z "$1" ] || rm -rf -- "$1"; kill -KILL 0 ) >/dev/null 2>&1 &
shift
exec "$@" 3<&-
"#;

/// How often a process that was asked to end is looked at.
const EXIT_POLL: Duration = Duration::from_millis(20);

/// A running process, which ends with this value at the latest.
#[derive(Debug)]
pub struct GuardedProcess {
    child: Child,
    /// The guard's pipe: nothing is ever written to it.
    _lifeline: Option<ChildStdin>,
}

impl GuardedProcess {
    /// Starts `program`; its output goes to `log`. Of the shell's environment it gets neither
    /// `TEMPORAL_*` nor `TIDEMARK_*`, but what `environment` says. `doomed` is removed by the
    /// guard if this process ends without having ended the other.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub fn spawn(
        program: &Path,
        arguments: &[OsString],
        environment: &[(&str, OsString)],
        log: File,
        doomed: Option<&Path>,
    ) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(GUARDED).arg("sh");
        command.arg(doomed.unwrap_or(Path::new("")));
        command.arg(program).args(arguments);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("TEMPORAL_") || text.starts_with("TIDEMARK_") {
                command.env_remove(&name);
            }
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let mut child = command.spawn()?;
        let lifeline = child.stdin.take();
        Ok(Self { child, _lifeline: lifeline })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end (SIGTERM), waits up to `grace` for it, and kills it then.
    pub async fn stop(mut self, grace: Duration) {
        let asked_at = Instant::now();
        // An error says that it ended already.
        if kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok() {
            while asked_at.elapsed() < grace && matches!(self.child.try_wait(), Ok(None)) {
                tokio::time::sleep(EXIT_POLL).await;
            }
        }
    }
}

impl Drop for GuardedProcess {
    /// Kills what is left of the group, which is at least the guard, and waits for it, so
    /// that its ports and its files are free afterwards. The group cannot be another's: the guard
    /// is in it for as long as the pipe is open.
    fn drop(&mut self) {
        // The only error is that the group is gone, guard and all.
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        // A killed process is gone within milliseconds; an error says that it was waited for.
        self.child.wait().ok();
    }
}
