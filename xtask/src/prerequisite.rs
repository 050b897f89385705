//! What the steps need on the machine: found, fetched, or named in an error.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::Cargo;
use crate::say;

/// A component of the Rust toolchain, such as `clippy`, whose subcommand is `subcommand`.
pub(crate) fn component(cargo: &Cargo, component: &str, subcommand: &str) -> Result<()> {
    let found = succeeds(&mut cargo.command(&[subcommand, "--version"]));
    ensure!(found, "`cargo {subcommand}` is not there; get it: rustup component add {component}");
    Ok(())
}

/// The Temporal CLI, built if there is none. The crate that the tests use does it, so that there is
/// one search; its program was built together with the tests.
pub(crate) fn temporal(cargo: &Cargo) -> Result<()> {
    let program = cargo.program("debug", "tidemark-devserver")?;
    let output = Command::new(&program)
        .arg("find")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(output.status.success(), "the tests need a Temporal CLI, see above");
    say(&format!("   Temporal CLI: {}", String::from_utf8_lossy(&output.stdout).trim_end()));
    Ok(())
}

/// Compose, which checks docker-compose.yml; no container engine is needed for that.
///
/// Without it, and without a way to install it, the tests that need it are skipped on a desk and
/// fail in CI.
pub(crate) fn compose(ci: bool) -> Result<()> {
    if compose_found() {
        return Ok(());
    }
    if is_root() && succeeds(Command::new("apt-get").arg("--version")) {
        say("   installing Debian's docker-compose, to check docker-compose.yml");
        // Its output is of interest only if it fails, and compose_found() decides about that.
        let apt = |arguments: &[&str]| {
            succeeds(
                Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"),
            )
        };
        let installed = apt(&["update"])
            && apt(&["install", "--yes", "--no-install-recommends", "docker-compose"]);
        if installed && compose_found() {
            return Ok(());
        }
        say("   apt-get did not bring it");
    }
    if ci {
        bail!("docker-compose is not there; get it: apt-get install docker-compose");
    }
    say("   SKIPPED: the check of docker-compose.yml, for docker-compose is not there");
    Ok(())
}

fn compose_found() -> bool {
    succeeds(Command::new("docker-compose").arg("version"))
        || succeeds(Command::new("docker").args(["compose", "version"]))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Whether a command is there and succeeds; it says nothing.
fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
