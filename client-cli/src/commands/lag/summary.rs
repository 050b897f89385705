//! The line that sums all connections up.

use jiff::Timestamp;
use serde::Serialize;

use super::looked::Looked;
use crate::ui::text::number_of;

/// All selected connections, counted. Each counts once, as the first of these that it is: paused,
/// behind, new (it has never been in step), held, in step except for some records.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    connection_count: usize,
    in_step_count: usize,
    in_step_except_count: usize,
    behind_count: usize,
    held_count: usize,
    paused_count: usize,
    new_count: usize,
    /// Absent if Temporal does not answer, or not this.
    worker_polls: Option<bool>,
    temporal_answers: bool,
    /// Whether Temporal lists schedules: without that each of them is asked about.
    visibility_answers: bool,
}

/// What Temporal answers at all.
#[derive(Clone, Copy)]
pub(super) struct Answers {
    pub(super) temporal: bool,
    pub(super) visibility: bool,
    pub(super) worker_polls: Option<bool>,
}

impl Summary {
    pub(super) fn of(looked: &[Looked], now: Timestamp, answers: Answers) -> Self {
        let mut summary = Self {
            connection_count: looked.len(),
            in_step_count: 0,
            in_step_except_count: 0,
            behind_count: 0,
            held_count: 0,
            paused_count: 0,
            new_count: 0,
            worker_polls: answers.worker_polls,
            temporal_answers: answers.temporal,
            visibility_answers: answers.visibility,
        };
        for looked in looked {
            let held = looked.facts.commit.is_some_and(|commit| commit.held_count > 0);
            let except = looked.facts.commit.is_some_and(|commit| commit.exception_count > 0);
            let count = if looked.facts.is_paused() {
                &mut summary.paused_count
            } else if looked.late(now) {
                &mut summary.behind_count
            } else if looked.facts.commit.is_none() {
                &mut summary.new_count
            } else if held {
                &mut summary.held_count
            } else if except {
                &mut summary.in_step_except_count
            } else {
                &mut summary.in_step_count
            };
            *count += 1;
        }
        summary
    }

    /// `5 connections: 3 in step, 1 behind, 0 held, 1 paused, 0 new. Temporal answers, …`.
    pub(super) fn sentence(&self) -> String {
        let work = match self.worker_polls {
            _ if !self.temporal_answers => {
                "Temporal does not answer: causes and pauses are not known"
            }
            None => "Temporal answers, and does not say whether workers poll",
            Some(true) => "Temporal answers, and workers poll",
            Some(false) => "Temporal answers, and NO WORKER polls",
        };
        let list = if self.temporal_answers && !self.visibility_answers {
            "; it does not list its schedules, so each was asked about"
        } else {
            ""
        };
        let except = match self.in_step_except_count {
            0 => String::new(),
            count => format!(" {count} in step except for some records,"),
        };
        format!(
            "{}: {} in step,{except} {} behind, {} held, {} paused, {} new. {work}{list}.",
            number_of(self.connection_count, "connection"),
            self.in_step_count,
            self.behind_count,
            self.held_count,
            self.paused_count,
            self.new_count,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_temporal_does_not() {
        let sentence = |temporal, visibility, worker_polls| {
            let answers = Answers { temporal, visibility, worker_polls };
            Summary::of(&[], Timestamp::UNIX_EPOCH, answers).sentence()
        };
        let none = "0 connections: 0 in step, 0 behind, 0 held, 0 paused, 0 new.";
        assert_eq!(
            sentence(true, true, Some(true)),
            format!("{none} Temporal answers, and workers poll.")
        );
        assert_eq!(
            sentence(true, false, None),
            format!(
                "{none} Temporal answers, and does not say whether workers poll; it does not list \
                 its schedules, so each was asked about."
            )
        );
        assert!(sentence(false, false, None).ends_with("causes and pauses are not known."));
    }

    #[test]
    fn refused_records_are_not_in_step() {
        let answers = Answers { temporal: true, visibility: true, worker_polls: Some(true) };
        let mut summary = Summary::of(&[], Timestamp::UNIX_EPOCH, answers);
        summary.in_step_except_count = 2;
        assert!(
            summary.sentence().contains("0 in step, 2 in step except for some records, 0 behind")
        );
    }
}
