//! Development tasks: `cargo xtask test`, `cargo xtask bench`, `cargo xtask soak`, `cargo xtask year`.
//!
//! Every task is a subcommand with a module of its own.

mod bench;
mod cargo;
mod prerequisite;
mod soak;
mod test;
mod year;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of Tidemark.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Format, lints, docs and all tests; gets what the tests need by itself
    Test(test::Options),
    /// The same as `test` with CI=true: what is missing fails instead of being skipped
    Ci,
    /// Measures what Tidemark costs; `-- --help` lists what can be measured
    Bench(bench::Options),
    /// Plays the engine through seeded histories in memory; `--help` lists the options
    #[command(disable_help_flag = true)]
    Soak(soak::Options),
    /// Simulates months of the lag watch and counts its mistakes; `-- --help` lists the options
    Year(year::Options),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let outcome = match Cli::parse().task {
        Task::Test(options) => test::run(&options, is_ci()).map(done),
        Task::Ci => test::run(&test::Options::default(), true).map(done),
        Task::Bench(options) => bench::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Year(options) => year::run(&options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether a machine for continuous integration runs this; they all set `CI`.
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| !matches!(ci.as_str(), "" | "0" | "false"))
}

/// One line to the person or machine that waits.
#[expect(clippy::print_stderr, reason = "a development tool talks to its terminal")]
fn say(line: &str) {
    eprintln!("{line}");
}
