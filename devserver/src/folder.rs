//! The folder of one server: database, log, lock.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{DevServerError, last_lines};

/// The folder of one server, locked for as long as it is held.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Removes the folder when it is dropped.
    temporary: Option<TempDir>,
    /// The lock goes with the file's closing, also when the process is killed.
    _lock: File,
}

impl Folder {
    const CONFIG: &str = "temporal.toml";
    const LOG: &str = "temporal.log";

    /// Makes `wanted`, or a temporary folder, and takes its lock.
    pub(crate) fn open(wanted: Option<&Path>) -> Result<Self, DevServerError> {
        let (path, temporary) = match wanted {
            Some(path) => {
                fs::create_dir_all(path)
                    .map_err(|source| DevServerError::folder(path, "make it", source))?;
                let path = path.canonicalize().map_err(|source| {
                    DevServerError::folder(path, "find out its full path", source)
                })?;
                (path, None)
            }
            None => {
                let temporary = tempfile::Builder::new()
                    .prefix("tidemark-temporal-")
                    .tempdir()
                    .map_err(|source| {
                        DevServerError::folder(&std::env::temp_dir(), "write into it", source)
                    })?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let config = path.join(Self::CONFIG);
        fs::write(&config, "")
            .map_err(|source| DevServerError::folder(&config, "write it", source))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path)
            .map_err(|source| DevServerError::folder(&lock_path, "write it", source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, temporary, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DevServerError::FolderInUse { path }),
            Err(TryLockError::Error(source)) => {
                Err(DevServerError::folder(&lock_path, "lock it", source))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, if it goes with the server.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        self.temporary.as_ref().map(TempDir::path)
    }

    /// A configuration file of the Temporal CLI that says nothing.
    pub(crate) fn empty_config(&self) -> PathBuf {
        self.path.join(Self::CONFIG)
    }

    /// The log, to be appended to, and its length so far.
    pub(crate) fn open_log(&self) -> Result<(File, u64), DevServerError> {
        let path = self.path.join(Self::LOG);
        let open = || {
            let log = File::options().create(true).append(true).open(&path)?;
            let length = log.metadata()?.len();
            Ok((log, length))
        };
        open().map_err(|source| DevServerError::folder(&path, "append to it", source))
    }

    /// The last lines that were written to the log after `start` bytes.
    pub(crate) fn log_tail(&self, start: u64) -> String {
        let log = fs::read(self.path.join(Self::LOG)).unwrap_or_default();
        let new = usize::try_from(start).ok().and_then(|start| log.get(start..)).unwrap_or(&log);
        last_lines(&String::from_utf8_lossy(new))
    }
}
