//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::rows::Row;

/// Measures what Tidemark costs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// Roles of this program's own children.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The worker, configured by its environment
    #[command(hide = true)]
    Worker,
}

/// What to measure, and how large.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these rows; all if none is named
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW")]
    pub(crate) only: Vec<Row>,

    /// Small lists and few repetitions, to try it: the figures say little
    #[arg(long)]
    pub(crate) quick: bool,

    /// Where the figures go as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    pub(crate) out: PathBuf,

    /// Sizes of the compared listings
    #[arg(long, value_delimiter = ',', value_name = "ROWS")]
    pub(crate) diff_rows: Vec<u64>,

    /// How often each comparison of listings is made by each program
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub(crate) repeat: usize,

    /// Where generated listings are kept, about 110 MB for each million rows; they are made once
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub(crate) listings: PathBuf,

    /// The comparison as a program; default: the example that was built beside this program
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) diff_program: Option<PathBuf>,
}

impl Options {
    /// The sizes that count, or those for a try.
    pub(crate) fn pick<T>(&self, real: T, quick: T) -> T {
        if self.quick { quick } else { real }
    }
}
