//! `cargo xtask bench`: builds in release what is measured, and measures it.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
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
    // In one build, so that both are made of the same crates with the same features.
    let packages = ["--package", BENCH, "--package", "tidemark-engine"];
    let build = [&packages[..], &["--bin", BENCH, "--example", "diff_bench"]].concat();
    let cargo = Cargo::of_this_checkout(false)?;
    cargo.build_and_run(&build, "release", BENCH, &options.arguments)
}
