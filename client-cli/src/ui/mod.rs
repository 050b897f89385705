//! What people and programs see: data on stdout, everything else on stderr.

pub(crate) mod confirm;
pub(crate) mod details;
pub(crate) mod errors;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod record;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod time;

use std::io::{self, IsTerminal as _, Write};

use anstream::AutoStream;

use crate::error::Error;

/// The process's streams. Colours are written where the stream is a terminal and `NO_COLOR` is
/// not set; without them nothing is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ui;

impl Ui {
    /// Writes data.
    ///
    /// # Errors
    /// The stream's; a closed pipe is one of them.
    pub(crate) fn data(self, text: &str) -> Result<(), Error> {
        let mut stdout = AutoStream::auto(io::stdout().lock());
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::Output)
    }

    /// Tells something that is no data. Nobody may be listening any more: that is no failure.
    pub(crate) fn note(self, text: &str) {
        let mut stderr = AutoStream::auto(io::stderr().lock());
        drop(writeln!(stderr, "{text}"));
    }

    /// Tells an error.
    pub(crate) fn error(self, error: &Error) {
        self.note(&errors::render(error));
    }

    /// Tells what works all the same and may not be meant.
    pub(crate) fn warning(self, text: &str) {
        self.note(&errors::warning(text));
    }

    /// Whether a person can be asked.
    pub(crate) fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}
