//! A line of the table: what was measured, what it should be, and whether it is.

use serde::Serialize;

use crate::rows::Row;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Count,
    Ratio,
    Seconds,
    Mebibytes,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Ratio => format!("{value:.2}×"),
            Self::Seconds if value < 1.0 => format!("{:.0} ms", value * 1_000.0),
            Self::Seconds => format!("{value:.1} s"),
            Self::Mebibytes => format!("{value:.0} MiB"),
        }
    }
}

/// Whether a figure is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Reached,
    Missed,
    /// Nothing was promised.
    Printed,
    /// Neither reached nor missed: the note says why.
    NotMeasured,
}

impl Verdict {
    pub(crate) fn show(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "MISSED",
            Self::Printed => "printed",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A measured figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) row: Row,
    pub(crate) figure: String,
    /// The most that it may be.
    pub(crate) limit: Option<f64>,
    pub(crate) measured: Option<f64>,
    pub(crate) unit: Unit,
    pub(crate) verdict: Verdict,
    /// What else belongs to it: the parts of a ratio, a spread, a reason.
    pub(crate) note: String,
}

impl Figure {
    /// One that must not be greater than a limit.
    pub(crate) fn at_most(
        row: Row,
        figure: impl Into<String>,
        limit: f64,
        measured: f64,
        unit: Unit,
    ) -> Self {
        // Not a number is not reached.
        let verdict = if measured <= limit { Verdict::Reached } else { Verdict::Missed };
        let limit = Some(limit);
        let note = String::new();
        Self { row, figure: figure.into(), limit, measured: Some(measured), unit, verdict, note }
    }

    /// One that nothing was promised about.
    pub(crate) fn printed(row: Row, figure: impl Into<String>, measured: f64, unit: Unit) -> Self {
        Self {
            row,
            figure: figure.into(),
            limit: None,
            measured: Some(measured),
            unit,
            verdict: Verdict::Printed,
            note: String::new(),
        }
    }

    /// One that could not be measured.
    pub(crate) fn missing(row: Row, figure: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            row,
            figure: figure.into(),
            limit: None,
            measured: None,
            unit: Unit::Count,
            verdict: Verdict::NotMeasured,
            note: why.into(),
        }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// A count as a figure: all of them are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}

/// Bytes as a figure in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    count(bytes) / 1_048_576.0
}
