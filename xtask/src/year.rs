//! `cargo xtask year`: simulated months of the lag watch's rules, in release.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::Cargo;

const YEAR: &str = "year";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is handed on to the simulation, such as `--seeds 20 --first 1`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    arguments: Vec<OsString>,
}

/// Ends as the simulation does: 1 when a notice was false, missed or repeated.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let cargo = Cargo::of_this_checkout(false)?;
    let status = cargo
        .command(&["build", "--release", "--package", "tidemark-monitor", "--example", YEAR])
        .status()
        .context("cannot run `cargo build`")?;
    ensure!(status.success(), "the simulation does not build");
    let program = cargo.program("release", "examples")?.join(YEAR);
    let status = Command::new(&program)
        .args(&options.arguments)
        .current_dir(cargo.root())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
