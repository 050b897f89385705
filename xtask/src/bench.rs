//! `cargo xtask bench`: builds in release what is measured, and measures it.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::Cargo;

const BENCH: &str = "tidemark-bench";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is handed on to the bench
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    arguments: Vec<OsString>,
}

/// Ends as the bench does: 1 when a figure was missed or not measured.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let cargo = Cargo::of_this_checkout(false)?;
    // In one build, so that both are made of the same crates with the same features.
    let status = cargo
        .command(&["build", "--release", "--package", BENCH, "--package", "tidemark-engine"])
        .args(["--bin", BENCH, "--example", "diff_bench"])
        .status()
        .context("cannot run `cargo build`")?;
    ensure!(status.success(), "the bench does not build");
    let program = cargo.program("release", BENCH)?;
    let status = Command::new(&program)
        .args(&options.arguments)
        .current_dir(cargo.root())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
