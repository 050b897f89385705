//! `cargo xtask test`: the steps that must pass before anything lands.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::cargo::Cargo;
use crate::{prerequisite, say};

/// What of it is run.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Only this step; may be given several times
    #[arg(long, value_name = "STEP", value_enum)]
    only: Vec<Step>,
}

/// The steps, quick ones first, so that a slip is told soon. The tests are the last, so that the
/// last lines of a green run are their summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt has nothing to change
    Format,
    /// clippy has nothing to say, about the workspace and about the program without the demo
    Clippy,
    /// rustdoc has nothing to say
    Docs,
    /// Every test of the workspace
    Tests,
}

impl Step {
    /// The cargo calls of the step.
    fn calls(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Format => &[&["fmt", "--all", "--check"]],
            Self::Clippy => &[
                &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
                // What the production image is built from.
                &[
                    "clippy",
                    "--package",
                    "tidemark",
                    "--no-default-features",
                    "--",
                    "-D",
                    "warnings",
                ],
            ],
            // Private items as well: the readers of these pages are the people who change the code.
            Self::Docs => &[&["doc", "--workspace", "--no-deps", "--document-private-items"]],
            Self::Tests => &[&["test", "--workspace", "--no-fail-fast"]],
        }
    }

    /// Gets what the step needs.
    fn prepare(self, cargo: &Cargo, ci: bool) -> Result<()> {
        match self {
            Self::Format => prerequisite::component(cargo, "rustfmt", "fmt"),
            Self::Clippy => prerequisite::component(cargo, "clippy", "clippy"),
            Self::Docs => Ok(()),
            Self::Tests => {
                let build = &["test", "--workspace", "--no-run"];
                // Before the prerequisites: one of them is a program of this workspace.
                check(&mut cargo.command(build), build)?;
                prerequisite::temporal(cargo)?;
                prerequisite::compose(ci)
            }
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Runs the steps and stops at the first that fails.
pub(crate) fn run(options: &Options, ci: bool) -> Result<()> {
    let cargo = Cargo::of_this_checkout(ci)?;
    if let Some(target) = cargo.target() {
        say(&format!("── builds in {}", target.display()));
    }
    let mut times = Vec::new();
    let mut summaries = Vec::new();
    for &step in Step::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&step) {
            continue;
        }
        let name = step.name();
        let started_at = Instant::now();
        summaries = run_step(step, &cargo, ci).map_err(|error| {
            let took = seconds(started_at.elapsed());
            anyhow!(
                "step `{name}`, after {took}: {error:#}\n\
                 repeat it with: cargo xtask test --only {name}"
            )
        })?;
        let took = seconds(started_at.elapsed());
        say(&format!("── {name}: ok, {took}"));
        times.push(format!("{name} {took}"));
    }
    say(&format!("── all passed: {}", times.join(", ")));
    let mut stdout = io::stdout().lock();
    for summary in summaries {
        writeln!(stdout, "{summary}")?;
    }
    Ok(())
}

/// Returns the summaries of cargo's test programs, if the step has any.
fn run_step(step: Step, cargo: &Cargo, ci: bool) -> Result<Vec<String>> {
    step.prepare(cargo, ci)?;
    let mut summaries = Vec::new();
    for call in step.calls() {
        let mut command = cargo.command(call);
        match step {
            Step::Docs => deny_warnings(&mut command),
            Step::Tests => {
                // The tests know by it that nothing may be skipped.
                if ci {
                    command.env("CI", "true");
                }
                summaries = follow(&mut command, call)?;
                continue;
            }
            Step::Format | Step::Clippy => {}
        }
        check(&mut command, call)?;
    }
    Ok(summaries)
}

/// rustdoc takes its flags from the environment only.
fn deny_warnings(command: &mut Command) {
    let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default();
    command.env("RUSTDOCFLAGS", format!("{flags} -D warnings").trim_start());
}

/// Runs a call with its output going where ours goes.
fn check(command: &mut Command, call: &[&str]) -> Result<()> {
    say(&format!("── cargo {}", call.join(" ")));
    let status = command.status().context("cannot run cargo")?;
    if status.success() { Ok(()) } else { Err(failed(call)) }
}

/// Runs a call, passes its output on line by line, and keeps the summaries of its test programs:
/// a machine reads the end of the output, and the end of cargo's is documentation tests.
fn follow(command: &mut Command, call: &[&str]) -> Result<Vec<String>> {
    say(&format!("── cargo {}", call.join(" ")));
    // One pipe for both streams, or the name of a test program would not stand above its tests.
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    if io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let error_writer = writer.try_clone().context("cannot make a pipe")?;
    let mut child =
        command.stdout(writer).stderr(error_writer).spawn().context("cannot run cargo")?;
    // The command holds the writing ends; while they are open, the pipe does not end.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());

    let mut summaries = Vec::new();
    let mut stdout = io::stdout().lock();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("cannot read cargo's output")?;
        let line = String::from_utf8_lossy(&line);
        writeln!(stdout, "{line}")?;
        // Most crates have no documentation tests, and an empty summary says nothing.
        if line.contains("test result: ") && !line.contains(" 0 passed; 0 failed;") {
            summaries.push(line.into_owned());
        }
    }
    drop(stdout);
    if !child.wait().context("cannot wait for cargo")?.success() {
        return Err(failed(call));
    }
    if summaries.is_empty() {
        bail!("`cargo {}` ran no test", call.join(" "));
    }
    Ok(summaries)
}

fn failed(call: &[&str]) -> anyhow::Error {
    anyhow!("`cargo {}` failed", call.join(" "))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_script(script: &str) -> Result<Vec<String>> {
        follow(Command::new("sh").args(["-c", script]), &["test"])
    }

    #[test]
    fn summaries_of_programs_with_tests_are_kept() {
        let summaries = follow_script(
            "echo '     Running unittests' >&2
             echo 'test result: ok. 3 passed; 0 failed; 0 ignored'
             echo '   Doc-tests model' >&2
             echo 'test result: ok. 0 passed; 0 failed; 0 ignored'
             echo 'test result: ok. 10 passed; 0 failed; 0 ignored'",
        );
        assert_eq!(
            summaries.unwrap(),
            [
                "test result: ok. 3 passed; 0 failed; 0 ignored",
                "test result: ok. 10 passed; 0 failed; 0 ignored",
            ]
        );
    }

    #[test]
    fn failure_is_no_summary() {
        let error = follow_script("echo 'test result: ok. 3 passed; 0 failed;'; exit 101");
        assert_eq!(error.unwrap_err().to_string(), "`cargo test` failed");
    }

    #[test]
    fn run_without_tests_is_not_green() {
        let error = follow_script("echo 'test result: ok. 0 passed; 0 failed; 0 ignored'");
        assert_eq!(error.unwrap_err().to_string(), "`cargo test` ran no test");
    }
}
