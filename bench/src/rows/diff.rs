//! Two large listings compared, against DuckDB.
//!
//! Both programs read the same pages, zstd NDJSON in random order without digests, hold them
//! against a snapshot of their own making, and leave change files and a durable next snapshot
//! beside the old one. Both have two threads; DuckDB is measured with 256 MB and without a limit.
//! They alternate, each in a process of its own, and the verdicts are ratios of medians.
//!
//! Seconds are those of the job, as each program says itself: neither its start nor DuckDB's import
//! counts. Peak memory is the kernel's figure for the process, asked while it runs. That they do
//! the same is seen from the counts of added, changed and removed rows, which must be equal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::{Row, grouped};
use crate::{
    figure::{Figure, Unit, mebibytes},
    options::Options,
    process, say,
    spread::Spread,
};

/// The size about which something is promised.
const PROMISED_ROWS: u64 = 10_000_000;
/// What the comparison may have resident at most.
const MEBIBYTES: f64 = 128.0;
/// Of the time that DuckDB takes with a limit, and without.
const RATIO_LIMITED: f64 = 0.6;
const RATIO_UNLIMITED: f64 = 1.0;
const LIMIT: &str = "256MB";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/bench/duckdb_diff.py");
const NO_DUCKDB: &str = "python3 has no DuckDB: `pip install duckdb`";

/// How often a running process is asked for its memory.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What a program says at its end.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    added: u64,
    changed: u64,
    removed: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
}

/// One comparison.
struct Lap {
    told: Told,
    peak_mib: f64,
}

/// Several comparisons by the same program.
#[derive(Default)]
struct Laps(Vec<Lap>);

impl Laps {
    fn seconds(&self) -> Spread {
        Spread::of(self.0.iter().map(|lap| lap.told.wall_seconds))
    }

    fn cpu(&self) -> Spread {
        Spread::of(self.0.iter().map(|lap| lap.told.cpu_seconds))
    }

    /// The worst: a limit on memory holds in every run.
    fn peak_mib(&self) -> f64 {
        self.0.iter().map(|lap| lap.peak_mib).fold(0.0, f64::max)
    }

    fn note(&self) -> String {
        format!(
            "{}; {} CPU; {}",
            self.seconds().range(|value| Unit::Seconds.show(value)),
            self.cpu().range(|value| Unit::Seconds.show(value)),
            Unit::Mebibytes.show(self.peak_mib()),
        )
    }
}

pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let default: &[u64] = options.pick(&[100_000, 1_000_000, PROMISED_ROWS], &[100_000]);
    let sizes = if options.diff_rows.is_empty() { default } else { &options.diff_rows };
    let program = program(options)?;
    let duckdb = has_duckdb().await;
    let mut figures = Vec::new();
    for &rows in sizes {
        let folder = options.listings.join(rows.to_string());
        let size = Size { rows, folder: absolute(&folder)?, program: &program, duckdb };
        figures.extend(size.measure(options.repeat).await?);
    }
    Ok(figures)
}

/// The example of the engine, which cargo puts beside this program.
fn program(options: &Options) -> anyhow::Result<PathBuf> {
    let built = || Some(std::env::current_exe().ok()?.parent()?.join("examples/diff_bench"));
    let program = options.diff_program.clone().or_else(built).context("no path to the example")?;
    ensure!(program.exists(), "{} is not there: `cargo xtask bench` builds it", program.display());
    Ok(program)
}

async fn has_duckdb() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import duckdb"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

fn absolute(folder: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(folder).context("the folder of the listings has no absolute path")
}

/// Listings of one size.
struct Size<'a> {
    rows: u64,
    folder: PathBuf,
    program: &'a Path,
    duckdb: bool,
}

impl Size<'_> {
    async fn measure(&self, repeat: usize) -> anyhow::Result<Vec<Figure>> {
        self.generate().await?;
        let first = self.ours("old", None, "first").await?;
        let (mut ours, mut limited, mut unlimited) = <(Laps, Laps, Laps)>::default();
        for lap in 0..repeat.max(1) {
            ours.0.push(self.ours("new", Some("first"), &format!("next-{lap}")).await?);
            if self.duckdb {
                limited.0.push(self.theirs(Some(LIMIT)).await?);
                unlimited.0.push(self.theirs(None).await?);
            }
        }
        fs::remove_dir_all(self.folder.join("store")).context("the store cannot be removed")?;
        self.equal(&ours, &[&limited, &unlimited])?;
        Ok(self.figures(&first, &ours, &limited, &unlimited))
    }

    fn figures(&self, first: &Lap, ours: &Laps, limited: &Laps, unlimited: &Laps) -> Vec<Figure> {
        let rows = grouped(self.rows);
        let promised = self.rows >= PROMISED_ROWS;
        let what = |figure: &str| format!("{figure}, {rows} rows");
        let at_most = |figure: String, limit: f64, measured: f64, unit: Unit| {
            if promised {
                Figure::at_most(Row::Diff, figure, limit, measured, unit)
            } else {
                Figure::printed(Row::Diff, figure, measured, unit)
            }
        };
        let printed = |figure: &str, laps: &Laps| {
            let seconds = laps.seconds().median();
            Figure::printed(Row::Diff, what(figure), seconds, Unit::Seconds).note(laps.note())
        };
        let peak = what("its peak memory");
        let mut figures = vec![
            printed("comparison", ours),
            at_most(peak, MEBIBYTES, ours.peak_mib(), Unit::Mebibytes),
        ];
        let other = [
            ("DuckDB with 256 MB", limited, RATIO_LIMITED),
            ("DuckDB without a limit", unlimited, RATIO_UNLIMITED),
        ];
        for (name, laps, limit) in other {
            let ratio = what(&format!("comparison ÷ {name}"));
            if self.duckdb {
                let measured = ours.seconds().median() / laps.seconds().median();
                figures.push(printed(name, laps));
                figures.push(at_most(ratio, limit, measured, Unit::Ratio));
            } else {
                figures.push(Figure::missing(Row::Diff, ratio, NO_DUCKDB));
            }
        }
        let seconds = first.told.wall_seconds;
        let note = format!(
            "{} CPU; {}",
            Unit::Seconds.show(first.told.cpu_seconds),
            Unit::Mebibytes.show(first.peak_mib)
        );
        figures.push(
            Figure::printed(Row::Diff, what("first snapshot"), seconds, Unit::Seconds).note(note),
        );
        figures
    }

    /// Makes the pages, and DuckDB's snapshot of the old ones, unless they are there.
    async fn generate(&self) -> anyhow::Result<()> {
        let made = self.folder.join("made");
        if !made.exists() {
            say(&format!("  making two listings of {} rows …", grouped(self.rows)));
            fs::create_dir_all(&self.folder).context("the folder of the listings")?;
            let mut command = Command::new(self.program);
            command.arg("generate").arg(&self.folder).args(["--rows", &self.rows.to_string()]);
            succeeded(command).await?;
            fs::write(&made, "").context("the folder of the listings")?;
        }
        if self.duckdb && !self.folder.join("old.parquet").exists() {
            let mut command = Command::new("python3");
            command.arg(SCRIPT).arg("prepare").arg(&self.folder);
            succeeded(command).await?;
        }
        Ok(())
    }

    async fn ours(&self, pages: &str, base: Option<&str>, next: &str) -> anyhow::Result<Lap> {
        let mut command = Command::new(self.program);
        command.arg("run").arg(&self.folder).args(["--threads", "2"]);
        command.args(["--pages", pages, "--next", next]);
        if let Some(base) = base {
            command.args(["--base", base]);
        }
        lap(command).await
    }

    async fn theirs(&self, memory: Option<&str>) -> anyhow::Result<Lap> {
        let mut command = Command::new("python3");
        command.arg(SCRIPT).arg("run").arg(&self.folder).args(["--threads", "2"]);
        if let Some(memory) = memory {
            command.args(["--memory", memory]);
        }
        lap(command).await
    }

    fn equal(&self, ours: &Laps, others: &[&Laps]) -> anyhow::Result<()> {
        let counts = |lap: &Lap| (lap.told.added, lap.told.changed, lap.told.removed);
        let all = others.iter().flat_map(|laps| &laps.0).chain(&ours.0);
        let all: Vec<_> = all.map(counts).collect();
        ensure!(
            all.windows(2).all(|pair| pair.first() == pair.last()),
            "the programs do not agree on what was added, changed and removed: {all:?}"
        );
        Ok(())
    }
}

/// A comparison in a process of its own, watched to its end.
async fn lap(mut command: Command) -> anyhow::Result<Lap> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("a comparison cannot be started")?;
    let pid = child.id().context("a comparison ended at once")?;
    let mut ended = std::pin::pin!(child.wait_with_output());
    let mut peak = 0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output?,
            () = tokio::time::sleep(LOOK_INTERVAL) => {
                // A process that is about to end has no memory any more.
                peak = process::peak_memory(pid).unwrap_or(0).max(peak);
            }
        }
    };
    if !output.status.success() {
        bail!("a comparison failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let told = serde_json::from_slice(&output.stdout).context("a comparison told no figures")?;
    Ok(Lap { told, peak_mib: mebibytes(peak) })
}

async fn succeeded(mut command: Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        bail!("listings cannot be made: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
