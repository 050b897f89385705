//! What becomes of a key: the decision table.

use tidemark_model::{
    defect::{self, Defect},
    row::{Digest, RowState},
};

use super::Resend;
use crate::snapshot::{FileRow, Standing};

/// What holds for every key of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// A row that is not shown is gone.
    pub(super) full: bool,
    /// Removals are carried out. If not, they are written down, for a set of its own.
    pub(super) propagate: bool,
    pub(super) resend: Resend,
}

/// The base's row of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OldRow {
    pub(super) standing: Standing,
    pub(super) digest: Digest,
    pub(super) modified: i64,
}

impl OldRow {
    pub(super) fn of(row: &FileRow<'_>) -> Self {
        Self { standing: row.standing, digest: row.digest, modified: row.modified }
    }
}

/// What the reading says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Shown {
        state: RowState,
        digest: Digest,
        modified: i64,
    },
    Gone,
    /// Nothing.
    None,
}

/// The key's row in the next snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// As it was, or still none.
    Same,
    Vanishes,
    Becomes {
        row: OldRow,
        payload: Carried,
    },
}

/// Where the next row's id and record come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Nothing,
    FromOld,
    FromReading,
}

/// What is sent for the key itself. Dirty ids that it does not cover are removed besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sends {
    Nothing,
    /// A record where there was none.
    Add,
    /// The reading's record in the place of the old one, which may have another id.
    Change,
    /// The old record once more; the reading's, if there is one, is the same.
    Repeat,
    /// The old record goes.
    Remove,
}

/// The outcome for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) next: Next,
    pub(super) sends: Sends,
}

/// Decides about a key. `dirty`: the destination may hold something else than the base says.
pub(super) fn decide(rules: &Rules, old: Option<OldRow>, news: News, dirty: bool) -> Decision {
    let resent = dirty || rules.resend != Resend::Nothing;
    let repeat = |record: bool| if record && resent { Sends::Repeat } else { Sends::Nothing };
    let has_record = old.is_some_and(|old| old.standing.has_record());
    let news = if news == News::None && rules.full { News::Gone } else { news };
    let news = match news {
        News::Shown { state: RowState::Filtered, .. } if defect::on(Defect::ForgetFiltered) => {
            News::Gone
        }
        News::Shown { state: RowState::Invalid, .. } if defect::on(Defect::ForgetInvalid) => {
            News::Gone
        }
        news => news,
    };
    match news {
        News::None => Decision { next: Next::Same, sends: repeat(has_record) },
        News::Gone => Decision {
            next: if old.is_some() { Next::Vanishes } else { Next::Same },
            sends: if has_record { Sends::Remove } else { Sends::Nothing },
        },
        News::Shown { state: RowState::Sent, digest, modified } => {
            let row = OldRow { standing: Standing::Sent, digest, modified };
            match old {
                Some(old) if has_record && old.digest == digest => {
                    Decision { next: become_unless_same(old, row), sends: repeat(true) }
                }
                _ => Decision {
                    next: Next::Becomes { row, payload: Carried::FromReading },
                    sends: if has_record { Sends::Change } else { Sends::Add },
                },
            }
        }
        News::Shown { state: RowState::Invalid, modified, .. }
            if let Some(old) = old.filter(|_| has_record) =>
        {
            // Its record stays as it was sent last, until the row is valid again or vanishes.
            let row = OldRow { standing: Standing::InvalidWithRecord, modified, ..old };
            Decision { next: become_unless_same(old, row), sends: repeat(true) }
        }
        News::Shown { state, digest, modified } => {
            let row = OldRow { standing: Standing::of(state), digest, modified };
            let next = if old == Some(row) {
                Next::Same
            } else {
                Next::Becomes { row, payload: Carried::Nothing }
            };
            let sends = if has_record { Sends::Remove } else { Sends::Nothing };
            Decision { next, sends }
        }
    }
}

/// A row that keeps its record.
fn become_unless_same(old: OldRow, row: OldRow) -> Next {
    let moved = old != row
        && !(defect::on(Defect::IgnoreChangeTime)
            && OldRow { modified: row.modified, ..old } == row);
    if moved { Next::Becomes { row, payload: Carried::FromOld } } else { Next::Same }
}
