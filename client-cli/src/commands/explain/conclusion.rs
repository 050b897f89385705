//! What follows from all that is known of a row, in one sentence.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::port::FoundRow;
use tidemark_engine::snapshot::SnapshotRow;
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::{ExceptionKind, Waiver};
use tidemark_model::ids::ConnectionId;
use tidemark_model::row::RowState;

use super::history::LastSent;
use crate::exceptions::Shown;
use crate::ui::time::instant;

/// How a row stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'f> {
    pub(super) key: &'f str,
    /// `None` if the source could not be asked.
    pub(super) source: Option<Option<&'f FoundRow>>,
    pub(super) snapshot: Option<&'f SnapshotRow>,
    pub(super) exceptions: &'f [Shown],
    pub(super) last_sent: Option<&'f LastSent>,
    pub(super) newest_commit: Option<RunNumber>,
    pub(super) watermark: Option<Timestamp>,
    /// Whether records stay whose rows are gone.
    pub(super) keeps: bool,
    /// Whether the record is one of those.
    pub(super) kept: bool,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum Conclusion {
    /// Source and snapshot hold the same record.
    InStep {
        last_run: Option<RunNumber>,
    },
    /// The source does not list it, and nothing is owed for it.
    Gone {
        removed_by: Option<RunNumber>,
    },
    /// The definition leaves it out.
    Filtered {
        status: String,
    },
    /// The row cannot be mapped.
    Invalid {
        reason: String,
        waiver: Option<Waiver>,
    },
    Refused {
        /// The key of the exception, which a row that came without its own does not bear.
        key: String,
        reason: String,
        attempt_count: u32,
        waiver: Option<Waiver>,
    },
    Held {
        /// As that of a refused one.
        key: String,
        rule: String,
    },
    /// Somebody decided to do without the removal of its record.
    DoneWithout {
        waiver: Option<Waiver>,
    },
    /// Its record stayed when its row went.
    Kept,
    /// A run ended after it may have been sent.
    InDoubt {
        run: RunNumber,
    },
    /// The source is ahead of the snapshot; the next run follows.
    Changed {
        at: Option<Timestamp>,
        watermark: Option<Timestamp>,
        new: bool,
    },
    Vanished {
        keeps: bool,
    },
    /// The source shows something else, with a change time that the last run should have seen.
    Unnoticed {
        at: Option<Timestamp>,
    },
    /// The source could not be asked; nothing is wrong with what is known here.
    NotAsked {
        run: Option<RunNumber>,
    },
}

/// How the source stands to the snapshot.
enum Difference {
    None,
    Changed { new: bool, unnoticed: bool, at: Option<Timestamp> },
    Vanished,
}

impl Standing<'_> {
    fn difference(&self) -> Difference {
        let listed = self.source.flatten().filter(|found| found.listed);
        let (found, snapshot) = match (listed, self.snapshot) {
            (None, None) => return Difference::None,
            (None, Some(_)) if self.source.is_none() => return Difference::None,
            (None, Some(_)) => return Difference::Vanished,
            (Some(found), snapshot) => (found, snapshot),
        };
        let row = &found.row;
        let at = Timestamp::from_second(row.modified).ok();
        // Change times are whole seconds.
        let before_watermark =
            self.watermark.is_some_and(|watermark| row.modified < watermark.as_second());
        let Some(snapshot) = snapshot else {
            return Difference::Changed { new: true, unnoticed: before_watermark, at };
        };
        let then = snapshot.reading(self.key);
        if (then.state, then.digest) == (row.state, row.digest) {
            return Difference::None;
        }
        // A row may change twice in one second: the next run looks at that second again.
        let unnoticed = before_watermark || row.modified < snapshot.modified;
        Difference::Changed { new: false, unnoticed, at }
    }

    fn exception(&self, kind: ExceptionKind) -> Option<&Shown> {
        self.exceptions.iter().find(|one| one.kind == kind && !one.done_without)
    }
}

impl Conclusion {
    /// What is to be said first of a row.
    pub(super) fn of(standing: &Standing<'_>) -> Self {
        let difference = standing.difference();
        if let Difference::Changed { new, unnoticed, at } = difference {
            return match unnoticed {
                true => Self::Unnoticed { at },
                false => Self::Changed { at, watermark: standing.watermark, new },
            };
        }
        if let Some(held) = standing.exception(ExceptionKind::Held) {
            return Self::Held { key: held.key.clone(), rule: held.reason.clone() };
        }
        if let Some(last) = standing.last_sent
            && !last.committed
            && standing.newest_commit.is_none_or(|newest| newest < last.run)
        {
            return Self::InDoubt { run: last.run };
        }
        if matches!(difference, Difference::Vanished) {
            return Self::Vanished { keeps: standing.keeps };
        }
        if let Some(invalid) = standing.exception(ExceptionKind::Invalid) {
            let (reason, waiver) = (invalid.reason.clone(), invalid.waiver.clone());
            return Self::Invalid { reason, waiver };
        }
        if let Some(refused) = standing.exception(ExceptionKind::Rejected) {
            let (reason, waiver) = (refused.reason.clone(), refused.waiver.clone());
            let key = refused.key.clone();
            return Self::Refused { key, reason, attempt_count: refused.attempt_count, waiver };
        }
        if let Some(held) = standing.exceptions.iter().find(|one| one.done_without) {
            return Self::DoneWithout { waiver: held.waiver.clone() };
        }
        if standing.kept {
            return Self::Kept;
        }
        let Some(source) = standing.source else {
            return Self::NotAsked { run: standing.newest_commit };
        };
        let last_run = standing.last_sent.map(|last| last.run);
        match source.filter(|found| found.listed).map(|found| (found.row.state, &found.status)) {
            None => Self::Gone { removed_by: last_run },
            Some((RowState::Sent, _)) => Self::InStep { last_run },
            Some((RowState::Filtered, status)) => Self::Filtered { status: status.clone() },
            Some((RowState::Invalid, _)) => Self::Invalid {
                reason: "the row cannot be mapped to a record".to_owned(),
                waiver: None,
            },
        }
    }

    /// The sentence. `next` is when the next run is, as the subject of a sentence.
    pub(super) fn sentence(&self, id: &ConnectionId, key: &str, next: String) -> String {
        let by = |run: &Option<RunNumber>, what: &str| match run {
            Some(run) => format!("; run {run} was the last to {what} it"),
            None => String::new(),
        };
        let accepted = |key: &str, waiver: &Option<Waiver>| match waiver {
            Some(waiver) => format!("accepted by {}: {}", waiver.who, waiver.why),
            None => format!(
                "try again: tidemark exceptions {id} retry {key}; accept it: tidemark exceptions \
                 {id} ignore {key} --why TEXT"
            ),
        };
        match self {
            Self::InStep { last_run } => {
                format!("in step: source and snapshot hold the same record{}", by(last_run, "send"))
            }
            Self::Gone { removed_by } => format!(
                "in step: the source does not list it, and no record of it is owed{}",
                by(removed_by, "touch")
            ),
            Self::Filtered { status } => {
                format!("filtered: its status is {status}, which the definition does not send")
            }
            Self::Invalid { reason, waiver } => {
                format!("invalid: {reason}; {}", accepted(key, waiver))
            }
            Self::Refused { key, reason, attempt_count, waiver } => format!(
                "refused by the destination ({attempt_count} so far): {reason}; {}",
                accepted(key, waiver)
            ),
            Self::Held { key, rule } => format!(
                "its removal waits for approval, since {rule}; remove it: tidemark exceptions {id} \
                 approve {key}; leave it: tidemark exceptions {id} ignore {key} --why TEXT"
            ),
            Self::DoneWithout { waiver } => {
                let decided = match waiver {
                    Some(waiver) => {
                        format!("{} decided to do without its removal: {}", waiver.who, waiver.why)
                    }
                    None => "it was decided to do without its removal".to_owned(),
                };
                format!(
                    "it is gone at the source, and its record stays at the destination: {decided}"
                )
            }
            Self::Kept => {
                "it is gone at the source, and its record stays at the destination, since \
                           policy.deletions was \"keep\" then"
                    .to_owned()
            }
            Self::InDoubt { run } => format!(
                "run {run} did not end after it may have been sent; {next} sends it again as it is \
                 then"
            ),
            Self::Changed { at, watermark, new } => {
                let what = if *new { "it is new at the source" } else { "the source changed it" };
                let at = at.map(|at| format!(" at {}", instant(at))).unwrap_or_default();
                let after = match watermark {
                    Some(watermark) => format!(", after the watermark {}", instant(*watermark)),
                    None => ", and the connection has not been in step yet".to_owned(),
                };
                format!("{what}{at}{after}; {next} takes it over")
            }
            Self::Vanished { keeps: false } => {
                format!("it is gone at the source since the last run; {next} removes its record")
            }
            Self::Vanished { keeps: true } => format!(
                "it is gone at the source since the last run; its record stays, since \
                 policy.deletions is \"keep\", and {next} no longer counts it"
            ),
            Self::Unnoticed { at } => {
                let at = at.map(|at| format!(", changed at {}", instant(at))).unwrap_or_default();
                format!(
                    "the source shows something else than the snapshot{at}, and its change time \
                     does not say so; a full read finds it: tidemark start {id} --full"
                )
            }
            Self::NotAsked { run: Some(run) } => format!(
                "nothing is owed for it as of run {run}; what the source holds now could not be \
                 asked"
            ),
            Self::NotAsked { run: None } => {
                "nothing is known of it yet; what the source holds now could not be asked"
                    .to_owned()
            }
        }
    }
}
