//! Calls of the inner cargo.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

/// The cargo of this checkout: its folder and where it builds.
#[derive(Debug)]
pub(crate) struct Cargo {
    root: PathBuf,
    /// Set when the build goes elsewhere than cargo would put it.
    target: Option<PathBuf>,
}

impl Cargo {
    /// In CI a checkout is often new and its `target` empty. A cache folder that outlives the
    /// checkout makes the second build as short as it is on a desk.
    pub(crate) fn of_this_checkout(ci: bool) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the folder of xtask has no parent")?
            .to_owned();
        let target = if ci && env::var_os("CARGO_TARGET_DIR").is_none() {
            cache().map(|cache| cache.join("tidemark").join("target"))
        } else {
            None
        };
        Ok(Self { root, target })
    }

    /// `cargo …` in the root of the checkout.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        // `cargo xtask` is `cargo run`, which describes the package xtask in these variables. Some
        // build scripts ask to be run again when one of them changes, so passing them on would make
        // cargo build such crates anew after each change between `cargo test` and `cargo xtask`.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        command
    }

    /// Where the program `name` is when it was built in a profile, `debug` or `release`.
    pub(crate) fn program(&self, profile: &str, name: &str) -> Result<PathBuf> {
        let output = self
            .command(&["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run `cargo metadata`")?;
        ensure!(output.status.success(), "`cargo metadata` failed");
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
            .context("`cargo metadata` did not answer in JSON")?;
        let target = metadata
            .get("target_directory")
            .and_then(serde_json::Value::as_str)
            .context("`cargo metadata` does not name the target folder")?;
        Ok(Path::new(target).join(profile).join(name))
    }

    /// Builds in release, and runs the program `name` of the folder `profile` with arguments of
    /// its own. Ends as it does.
    pub(crate) fn build_and_run(
        &self,
        build: &[&str],
        profile: &str,
        name: &str,
        arguments: &[OsString],
    ) -> Result<ExitCode> {
        let status = self
            .command(&["build", "--release"])
            .args(build)
            .status()
            .context("cannot run `cargo build`")?;
        ensure!(status.success(), "{name} does not build");
        let program = self.program(profile, name)?;
        let status = Command::new(&program)
            .args(arguments)
            .current_dir(&self.root)
            .status()
            .with_context(|| format!("cannot run {}", program.display()))?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Where cargo builds instead of its own choice, if it does.
    pub(crate) fn target(&self) -> Option<&Path> {
        self.target.as_deref()
    }
}

/// `$XDG_CACHE_HOME`, else `~/.cache`; none on a machine without either.
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| -> Option<PathBuf> {
        env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
    };
    folder("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
}
