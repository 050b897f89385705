//! `cargo xtask year`: simulated months of the lag watch's rules, in release.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
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
    let build = ["--package", "tidemark-monitor", "--example", YEAR];
    let cargo = Cargo::of_this_checkout(false)?;
    cargo.build_and_run(&build, "release/examples", YEAR, &options.arguments)
}
