//! `completions`: a script that teaches a shell the command line.

use clap_complete::Shell;

use crate::cli;
use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;

/// Write a completion script for a shell
///
/// For example: tidemark completions bash > /etc/bash_completion.d/tidemark
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, ui: Ui) -> Result<Exit, Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli::command(), "tidemark", &mut script);
        ui.data(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Ok)
    }
}
