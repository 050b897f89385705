//! Building the Temporal CLI once, into a cache folder that every project on the machine shares.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::error::{DevServerError, last_lines};

/// The newest version that `go install` accepts; later ones have a `replace` directive.
const VERSION: &str = "v1.5.1";
const PACKAGE: &str = "github.com/temporalio/cli/cmd/temporal";
/// How often a long step says that it still goes on.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Where this version is cached.
pub(crate) fn folder(cache: &Path) -> PathBuf {
    cache.join("tidemark").join("temporal").join(VERSION)
}

/// Builds `folder/temporal` with `go`, unless another process does so first.
///
/// Two guards, for two dangers: a file lock, so that processes that start together build once and
/// not each; and a temporary folder whose result is renamed into place, so that a build that was
/// interrupted, or a file system without locks, never leaves half a program under the final name.
pub(crate) async fn install(
    go: &Path,
    folder: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), DevServerError> {
    fs::create_dir_all(folder)
        .map_err(|source| DevServerError::folder(folder, "make it", source))?;
    let program = folder.join("temporal");
    let _lock = lock(folder, progress).await?;
    if program.exists() {
        return Ok(());
    }

    let building = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(folder)
        .map_err(|source| DevServerError::folder(folder, "write into it", source))?;
    build(go, building.path(), progress).await?;
    let built = building.path().join("temporal");
    fs::rename(&built, &program)
        .map_err(|source| DevServerError::folder(&built, "move it into place", source))
}

/// Waits for the right to build. The lock ends with the process that holds it, however it ends.
async fn lock(
    folder: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<File, DevServerError> {
    let path = folder.join("lock");
    let lock =
        File::create(&path).map_err(|source| DevServerError::folder(&path, "write it", source))?;
    let started_at = Instant::now();
    let mut ticks = interval(Duration::from_millis(200));
    let mut reported = Duration::ZERO;
    loop {
        ticks.tick().await;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(source)) => {
                return Err(DevServerError::folder(&path, "lock it", source));
            }
            Err(TryLockError::WouldBlock) => {
                let waited = started_at.elapsed();
                if reported.is_zero() || waited >= reported + PROGRESS_INTERVAL {
                    reported = waited;
                    progress(&format!(
                        "waiting for another process that builds the Temporal CLI: {} s",
                        waited.as_secs()
                    ));
                }
            }
        }
    }
}

async fn build(
    go: &Path,
    into: &Path,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<(), DevServerError> {
    let package = format!("{PACKAGE}@{VERSION}");
    let log_path = into.join("build.log");
    let folder_error = |action| {
        let log_path = log_path.clone();
        move |source| DevServerError::folder(&log_path, action, source)
    };
    let log = File::create(&log_path).map_err(folder_error("write it"))?;
    let log_of_errors = log.try_clone().map_err(folder_error("write it"))?;

    let started_at = Instant::now();
    let mut child = Command::new(go)
        .args(["install", &package])
        .env("GOBIN", into)
        .current_dir(into)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_of_errors)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| DevServerError::folder(go, "run it", source))?;
    let mut ticks = interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let status = loop {
        tokio::select! {
            status = child.wait() => {
                break status.map_err(|source| DevServerError::folder(go, "wait for it", source))?;
            }
            _ = ticks.tick() => progress(&format!(
                "building the Temporal CLI {VERSION} (once, about 3 minutes): {} s",
                started_at.elapsed().as_secs()
            )),
        }
    };
    if status.success() {
        return Ok(());
    }
    let output = fs::read(&log_path).map_err(folder_error("read it"))?;
    Err(DevServerError::BuildFailed {
        command: format!("go install {package}"),
        status: status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&output)),
    })
}
