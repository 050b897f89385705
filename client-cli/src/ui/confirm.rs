//! Asking before what is costly or cannot be taken back.

use std::io::{self, BufRead as _};

use super::Ui;
use crate::error::Error;

impl Ui {
    /// Asks whether to go on. `yes` answers beforehand; where nobody can be asked, the answer is
    /// no and the error says how to say yes.
    ///
    /// # Errors
    /// The answer was no, or nobody could be asked.
    pub(crate) fn confirm(self, question: &str, yes: bool) -> Result<(), Error> {
        if yes {
            return Ok(());
        }
        if !self.can_ask() {
            return Err(Error::NobodyToAsk { question: question.to_owned() });
        }
        self.note(&format!("{question} [y/N]"));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|source| Error::Input { source })?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Error::Declined),
        }
    }
}
