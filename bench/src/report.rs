//! The table for people and the JSON for programs.

use std::{fs, path::Path};

use anyhow::Context as _;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use jiff::Timestamp;
use serde::Serialize;

use crate::figure::{Figure, Verdict};

/// Everything that was measured in one go, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    began_at: Timestamp,
    quick: bool,
    cores: usize,
    memory_mib: u64,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            began_at: Timestamp::now(),
            quick,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_mib().unwrap_or(0),
            figures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, figures: Vec<Figure>) {
        self.figures.extend(figures);
    }

    /// Whether every figure is what it should be: what was not measured is not.
    pub(crate) fn reached(&self) -> bool {
        let good = |figure: &Figure| matches!(figure.verdict, Verdict::Reached | Verdict::Printed);
        self.figures.iter().all(good)
    }

    /// Writes the JSON.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self).context("figures are JSON")?;
        fs::write(path, text + "\n")
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The table, in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["row", "figure", "limit", "measured", "verdict", "note"]);
        for figure in &self.figures {
            let show = |value: Option<f64>| value.map(|value| figure.unit.show(value));
            table.add_row([
                figure.row.name(),
                &figure.figure,
                &show(figure.limit).unwrap_or_default(),
                &show(figure.measured).unwrap_or_default(),
                figure.verdict.show(),
                &figure.note,
            ]);
        }
        table.to_string()
    }
}

fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.split_whitespace().next()?.parse::<u64>().ok()? / 1_024)
}
