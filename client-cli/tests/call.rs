//! One call of the program, in an environment of its own.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder to call the program in. Temporal is at a port where nobody listens.
pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What came of a call.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let nobody = format!("127.0.0.1:{}", closed_port());
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }
            .with("TEMPORAL_ADDRESS", &nobody)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Names a store in this folder. Nobody has claimed it yet.
    pub(crate) fn with_store(self) -> Self {
        let url = self.store_url();
        self.with("TIDEMARK_STORE", &url)
    }

    pub(crate) fn store_url(&self) -> String {
        format!("file://{}", self.path().join("store").display())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(args).current_dir(self.path()).env_clear();
        command.env("HOME", self.path()).env("USER", "ops").env("COLUMNS", "100");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Calls the program without anything on stdin.
    pub(crate) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Answer {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        self.answer(output)
    }

    /// Calls the program with a text on stdin.
    pub(crate) fn call_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        stdin: &str,
    ) -> Answer {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        self.answer(child.wait_with_output().unwrap())
    }

    fn answer(&self, output: Output) -> Answer {
        let folder = self.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&folder, "[FOLDER]");
        Answer {
            code: output.status.code().expect("it was not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Answer {
    /// Calls a command that was changed on the way.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    /// Without the lines of progress: which moments of a run they show is up to the machine.
    pub(crate) fn without_progress(mut self, id: &str) -> Self {
        let progress = format!("{id}: ");
        self.stderr = (self.stderr.lines())
            .filter(|line| !line.starts_with(&progress))
            .map(|line| format!("{line}\n"))
            .collect();
        self
    }
}

/// A port that was free a moment ago, where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "--- {name}\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// Compares answers with what was seen before; ports and instants differ each time.
#[macro_export]
macro_rules! assert_answer {
    ($name:expr, $answer:expr) => {
        insta::with_settings!({ filters => vec![
            (r"127\.0\.0\.1:\d+", "[ADDRESS]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z( \([^)]*\))?", "[INSTANT]"),
            (r"(in_memory|file)(:///?[^ ]*)", "$1$2"),
        ], omit_expression => true }, {
            insta::assert_snapshot!($name, $answer.to_string());
        });
    };
}
