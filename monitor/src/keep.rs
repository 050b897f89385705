//! What all monitors of an installation remember together, in the store.
//!
//! Each version is an object of its own, created only if absent: of two monitors that pass at the
//! same time one is told that it was not the first, and forgets what it concluded.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidemark_engine::store::{Folder, Formatted, Store, StoreError};

use crate::{rules::Memory, sinks::Outbox};

/// The folder of monitors in the store.
pub(crate) const FOLDER: &str = "monitor";

const VERSIONS: &str = "memory";

/// Old versions that stay. One that is written every 20 s is deleted after hours, so that no
/// monitor that stood still takes a number anew which it has seen free.
const KEPT_COUNT: u64 = 1_000;

/// What outlives a monitor.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Who has been told what.
    pub(crate) memory: Memory,
    /// What has to be told yet, and to whom.
    pub(crate) outbox: Outbox,
}

/// A version that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// 0 before the first.
    pub(crate) number: u64,
    pub(crate) kept: Kept,
}

/// A version as it is stored, and who wrote it.
#[derive(Serialize, Deserialize)]
struct Written<K> {
    by: String,
    kept: K,
}

/// The versions, as one monitor sees them.
pub(crate) struct Keep {
    folder: Folder,
    /// Different for each process: by it a monitor knows its own version from another's.
    by: String,
}

impl Keep {
    pub(crate) fn new(store: &Store) -> Self {
        Self { folder: store.root().below(FOLDER), by: uuid::Uuid::new_v4().to_string() }
    }

    /// The newest version.
    ///
    /// # Errors
    /// `Damaged`, `NewerFormat`, or the store's.
    pub(crate) async fn newest(&self) -> Result<Version, StoreError> {
        let read = self.read().await?;
        Ok(read.map(|(number, kept)| Version { number, kept }).unwrap_or_default())
    }

    /// The number of the newest version, and as much of it as somebody reads who writes none.
    ///
    /// # Errors
    /// `Damaged`, `NewerFormat`, or the store's.
    pub(crate) async fn read<K: DeserializeOwned>(&self) -> Result<Option<(u64, K)>, StoreError> {
        let Some(number) = self.numbers().await?.last().copied() else {
            return Ok(None);
        };
        let path = path(number);
        let written: Option<Formatted<Written<K>>> = self.folder.document(&path).await?;
        let written = written.ok_or(StoreError::Missing { path })?;
        Ok(Some((number, written.content.kept)))
    }

    /// Makes a version the one after that which it was made from. Whether it is: another monitor
    /// may have been faster.
    ///
    /// # Errors
    /// The store's; the version may stand nevertheless.
    pub(crate) async fn add(&self, version: &Version) -> Result<bool, StoreError> {
        let next = version.number + 1;
        let wanted = Written { by: self.by.clone(), kept: version.kept.clone() };
        let standing = self.folder.establish(&path(next), &Formatted::new(wanted)).await?;
        if next.is_multiple_of(KEPT_COUNT / 10) {
            self.forget(next).await?;
        }
        Ok(standing.content.by == self.by)
    }

    async fn forget(&self, newest: u64) -> Result<(), StoreError> {
        let old: Vec<String> = self
            .numbers()
            .await?
            .into_iter()
            .filter(|number| number + KEPT_COUNT <= newest)
            .map(path)
            .collect();
        self.folder.delete(&old).await
    }

    async fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let names = self.folder.list(VERSIONS).await?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect())
    }
}

/// Names sort by their numbers.
fn path(number: u64) -> String {
    format!("{VERSIONS}/{number:012}.json")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::rules::{Seen, Settings, Watch};

    /// A version in which a pass at an instant is remembered.
    fn after_a_pass(mut version: Version, at: &str) -> Version {
        let seen = Seen {
            now: at.parse().unwrap(),
            temporal: true,
            workers: None,
            looks: Vec::new(),
            mutes: &[],
            activity: None,
        };
        Watch::new(Settings::default()).pass(&mut version.kept.memory, seen);
        version
    }

    #[tokio::test]
    async fn of_two_monitors_one_is_told_that_it_was_late() {
        let store = Store::in_memory();
        let (one, other) = (Keep::new(&store), Keep::new(&store));
        let (first, second) = (one.newest().await.unwrap(), other.newest().await.unwrap());
        assert_eq!((first.number, second.number), (0, 0));
        let first = after_a_pass(first, "2026-11-21T10:00:00Z");
        assert!(one.add(&first).await.unwrap());
        let second = after_a_pass(second, "2026-11-21T11:00:00Z");
        assert!(!other.add(&second).await.unwrap());
        let newest = other.newest().await.unwrap();
        assert_eq!(newest.number, 1);
        assert_eq!(newest.kept.memory, first.kept.memory);
    }

    #[tokio::test]
    async fn old_versions_are_deleted() {
        let store = Store::in_memory();
        let keep = Keep::new(&store);
        let mut version = after_a_pass(Version::default(), &Timestamp::UNIX_EPOCH.to_string());
        for number in 0..=KEPT_COUNT + 200 {
            version.number = number;
            assert!(keep.add(&version).await.unwrap());
        }
        let numbers = keep.numbers().await.unwrap();
        assert_eq!(numbers.last(), Some(&(KEPT_COUNT + 201)));
        assert_eq!(numbers.first(), Some(&201));
    }
}
