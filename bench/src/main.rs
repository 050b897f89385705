//! What Tidemark promises to cost, measured: `cargo xtask bench`.
//!
//! Each row of the table is a module of [`rows`]; its documentation says what is measured and how.
//! Whatever is compared is measured alternately in one run, so that a verdict is a ratio of two
//! figures of the same minutes on the same machine. The real parts are used: a Temporal server,
//! the worker as a process of its own, a store on the disk. The two systems at the ends are the
//! simulator's, which lives in this process. Nothing here is a test: a missed figure is a line in
//! the table.

mod baseline;
mod definition;
mod figure;
mod history;
mod in_process;
mod options;
mod process;
mod report;
mod rows;
mod server_calls;
mod spread;
mod stage;
mod worker;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::options::{Cli, Role};

/// The one that the program has too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The only provider in the tree; without one reqwest panics at its first request.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing else installs a provider");
    }
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be set up")?;
    runtime.block_on(async {
        match cli.role {
            Some(Role::Worker) => worker::serve().await.map(|()| ExitCode::SUCCESS),
            // Whatever was started ends with its value, also after Ctrl-C.
            None => tokio::select! {
                measured = Box::pin(rows::measure(&cli.options)) => measured,
                _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            },
        }
    })
}

/// One line to the person who waits.
#[expect(clippy::print_stderr, reason = "a development tool talks to its terminal")]
fn say(line: &str) {
    eprintln!("{line}");
}
