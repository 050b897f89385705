//! What the kernel counts of a process.

use std::fs;

use anyhow::Context as _;

/// Clock ticks a second in `/proc`: 100 on every Linux that we run on.
const TICKS: f64 = 100.0;

/// The most memory that a running process had resident, in bytes.
pub(crate) fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    let status = read(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("the kernel does not tell the peak memory")? * 1_024)
}

/// Seconds of CPU that a running process has used in all its threads, user and system.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = read(pid, "stat")?;
    // The name is in brackets and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u32> = fields.skip(11).take(2).filter_map(|one| one.parse().ok()).collect();
    Ok(ticks.into_iter().map(f64::from).sum::<f64>() / TICKS)
}

/// The words of the command that started a process.
pub(crate) fn command_line(pid: u32) -> anyhow::Result<Vec<String>> {
    Ok(read(pid, "cmdline")?.split('\0').map(str::to_owned).collect())
}

fn read(pid: u32, name: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
}
