//! The development server, for real: it starts, answers, keeps its state, and goes.

#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

mod life;
mod namespace;
mod orphan;
mod refusal;

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, test_kill_process};
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use tidemark_devserver::{TemporalCli, TemporalServer};

/// The Temporal CLI of this machine, built if need be.
async fn cli() -> TemporalCli {
    tidemark_devserver::find(&|_| {}).await.expect("a Temporal CLI is there")
}

async fn client(server: &TemporalServer) -> Client {
    let target = Url::parse(&format!("http://{}", server.address())).unwrap();
    let connection = Connection::connect(ConnectionOptions::new(target).build()).await.unwrap();
    Client::new(connection, ClientOptions::new(server.namespace()).build()).unwrap()
}

fn lives(pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    test_kill_process(pid).is_ok()
}

/// A program that acts as a Temporal CLI only when it is asked for its version.
fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("temporal");
    // Written by a child: while this process has a file open for writing, a child that another
    // test starts inherits it for a moment, and the file cannot be run ("text file busy").
    let write = r#"printf '#!/bin/sh
[ "$1" = --version ] && { echo "temporal version 0"; exit; }
%s
' "$1" > "$2" && chmod +x "$2""#;
    let status = Command::new("sh").args(["-c", write, "sh", body]).arg(&path).status();
    assert!(status.unwrap().success());
    path
}
