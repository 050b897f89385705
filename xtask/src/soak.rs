//! `cargo xtask soak`: builds the simulation of the engine in release, and runs it.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cargo::Cargo;

const SOAK: &str = "tidemark-soak";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is handed on to the simulation
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    arguments: Vec<OsString>,
}

/// Ends as the simulation does: 1 when a promise was broken, or a switched-off rule not noticed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let cargo = Cargo::of_this_checkout(false)?;
    cargo.build_and_run(&["--package", SOAK], "release", SOAK, &options.arguments)
}
