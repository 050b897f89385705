//! The program as a child process: verbs that end, and roles that stay.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    sync::watch,
    time::{Instant, timeout_at},
};

/// How long a verb that follows a run may take to tell what is waited for, or to end. Far more than
/// it needs: a test fails with what was told instead of never ending.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a verb said.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    /// The data on stdout.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in\n{}\n{}", self.stdout, self.stderr))
    }

    /// Insists on the exit code.
    ///
    /// # Panics
    /// When it is another one.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

pub(crate) async fn ask(mut command: Command) -> Answer {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program can be started");
    Answer {
        code: code(output.status),
        stdout: String::from_utf8(output.stdout).expect("stdout is text"),
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A verb that stays until something else ends: a run that it follows. It is killed when this value
/// goes.
#[derive(Debug)]
pub struct Following {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
    told: String,
}

impl Following {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be started");
        let stderr = child.stderr.take().expect("stderr is piped");
        Self { child, stderr: BufReader::new(stderr).lines(), told: String::new() }
    }

    async fn next_line(&mut self, until: Instant) -> bool {
        let Ok(line) = timeout_at(until, self.stderr.next_line()).await else {
            panic!("it told no more than this in {PATIENCE:?}, and did not end:\n{}", self.told);
        };
        let line = line.expect("stderr is text");
        let more = line.is_some();
        self.told.extend(line.map(|line| line + "\n"));
        more
    }

    /// Waits until it has told something that holds `text` on stderr.
    ///
    /// # Panics
    /// When it ends without, or a minute passes.
    pub async fn wait_told(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.told.contains(text) {
            assert!(self.next_line(until).await, "no `{text}` in\n{}", self.told);
        }
    }

    /// Ctrl-C.
    pub async fn interrupt(&self) {
        send(&self.child, "INT").await;
    }

    /// What it said, once it has ended.
    ///
    /// # Panics
    /// When its streams are no text, or it does not end within a minute.
    pub async fn ended(mut self) -> Answer {
        let until = Instant::now() + PATIENCE;
        while self.next_line(until).await {}
        let Ok(output) = timeout_at(until, self.child.wait_with_output()).await else {
            panic!("it closed stderr and did not end within {PATIENCE:?}:\n{}", self.told);
        };
        let output = output.expect("it ends");
        Answer {
            code: code(output.status),
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: self.told,
        }
    }
}

async fn send(child: &Child, signal: &str) {
    let pid = child.id().expect("it runs").to_string();
    let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status().await;
    assert!(status.expect("kill is there").success());
}

/// A process of a role that stays: a worker, a monitor. It is killed when this value goes.
#[derive(Debug)]
pub struct Role {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    grown: watch::Receiver<usize>,
}

impl Role {
    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be started");
        let stderr = child.stderr.take().expect("stderr is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (told, grown) = watch::channel(0);
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                told.send_modify(|count| *count += 1);
            }
        });
        Self { child, lines, grown }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until it has logged a line that holds `text`.
    ///
    /// # Panics
    /// When it ends without.
    pub async fn wait_log(&self, text: &str) {
        let mut grown = self.grown.clone();
        while !self.log().contains(text) {
            let told = grown.changed().await;
            assert!(told.is_ok() || self.log().contains(text), "no `{text}` in\n{}", self.log());
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// SIGKILL, at once.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// SIGTERM, and its exit code and log.
    pub async fn terminate(mut self) -> (i32, String) {
        self.signal("TERM").await;
        let status = self.child.wait().await.expect("it ends");
        // The end of its log: the pipe is closed by now.
        while self.grown.changed().await.is_ok() {}
        (code(status), self.log())
    }

    /// Sends a signal by name.
    pub async fn signal(&self, name: &str) {
        send(&self.child, name).await;
    }
}
