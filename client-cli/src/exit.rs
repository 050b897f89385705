//! What the process's exit code says. Scripts read it, so a code never changes its meaning.

use std::process::ExitCode;

/// How a call of `tidemark` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// What was asked for is done.
    Ok,
    /// It failed; the message says who must act.
    Failed,
    /// The command line or a definition is wrong; nothing was changed.
    Usage,
    /// An account or a connection is not fresh enough.
    NotFresh,
    /// It is in step, or fresh, except for records that the receipt counts.
    InStepExcept,
    /// There is no such connection, run or file.
    NotFound,
    /// Temporal or the store cannot be reached.
    Unreachable,
    /// Of many connections some failed; each one's result was told.
    SomeFailed,
    /// Changes are pending, and `--exit-code` asked to be told.
    Pending,
    /// The run was skipped: another run of the connection was at work.
    Skipped,
}

impl Exit {
    /// Every code, in its order.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::NotFresh,
        Self::InStepExcept,
        Self::NotFound,
        Self::Unreachable,
        Self::SomeFailed,
        Self::Pending,
        Self::Skipped,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFresh => 3,
            Self::InStepExcept => 4,
            Self::NotFound => 5,
            Self::Unreachable => 6,
            Self::SomeFailed => 7,
            Self::Pending => 8,
            Self::Skipped => 9,
        }
    }

    /// What it means, as the help says it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "the command line or a definition is wrong; nothing was changed",
            Self::NotFresh => "not fresh",
            Self::InStepExcept => {
                "in step or fresh, except for records that the receipt counts, or held"
            }
            Self::NotFound => "no such connection, run or file",
            Self::Unreachable => "Temporal or the store cannot be reached",
            Self::SomeFailed => "some of many failed",
            Self::Pending => "changes are pending (--exit-code)",
            Self::Skipped => "the run was skipped: another one was at work",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_their_places() {
        for (place, exit) in (0_u8..).zip(Exit::ALL) {
            assert_eq!(exit.code(), place);
        }
    }
}
