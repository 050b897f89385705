//! Mutes in the store: each an object of its own, made by the command line, read by monitors.
//!
//! One that cannot be read mutes nothing, since nobody knows what it was meant to, and keeps no other
//! one from muting. Whoever reads them says so.

use jiff::Timestamp;
use tidemark_engine::store::{Folder, Formatted, Store, StoreError};

use crate::{keep::FOLDER, rules::Mute};

const MUTES: &str = "mutes";

/// The mutes of a store, as far as they can be read.
#[derive(Debug)]
pub struct Mutes {
    /// Those that have not ended, by their ends, each with the name by which it is [lifted](lift).
    pub current: Vec<(String, Mute)>,
    /// Those that cannot be read, in the order of their names.
    pub unreadable: Vec<Unreadable>,
}

/// A mute that cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("a mute cannot be read, and mutes nothing: {0}")]
pub struct Unreadable(StoreError);

impl Unreadable {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.0 {
            StoreError::NewerFormat { .. } => {
                "run at least the version of Tidemark that wrote it, or delete the object and mute anew"
            }
            StoreError::Damaged { .. } | StoreError::Missing { .. } => {
                "bring the object back from a backup of the store, or delete it and mute anew"
            }
            _ => "look at the rights of the object",
        }
    }
}

/// Where a mute is, from the top of the store, as whoever looks for it needs it.
fn path(name: &str) -> String {
    format!("{FOLDER}/{MUTES}/{name}")
}

async fn names(folder: &Folder) -> Result<Vec<String>, StoreError> {
    folder.list(&format!("{FOLDER}/{MUTES}")).await
}

async fn read(folder: &Folder, name: &str) -> Result<Option<Mute>, StoreError> {
    let mute: Option<Formatted<Mute>> = folder.document(&path(name)).await?;
    Ok(mute.map(|mute| mute.content))
}

/// Keeps a mute, from now until its end.
///
/// # Errors
/// The store's.
pub async fn add(store: &Store, mute: Mute) -> Result<(), StoreError> {
    let name = uuid::Uuid::new_v4().simple().to_string();
    store.root().establish(&path(&format!("{name}.json")), &Formatted::new(mute)).await?;
    Ok(())
}

/// The mutes that have not ended, and those that cannot be read.
///
/// # Errors
/// The store does not list them.
pub async fn current(store: &Store, now: Timestamp) -> Result<Mutes, StoreError> {
    let folder = store.root();
    let mut mutes = Mutes { current: Vec::new(), unreadable: Vec::new() };
    for name in names(&folder).await? {
        match read(&folder, &name).await {
            Ok(Some(mute)) if now < mute.until => mutes.current.push((name, mute)),
            // One that was lifted meanwhile is gone.
            Ok(_) => {}
            Err(error) => mutes.unreadable.push(Unreadable(error)),
        }
    }
    mutes.current.sort_by_key(|(_, mute)| mute.until);
    Ok(mutes)
}

/// Ends a mute early, and forgets it. One that is gone already is no error.
///
/// # Errors
/// The store's.
pub async fn lift(store: &Store, name: &str) -> Result<(), StoreError> {
    store.root().delete(&[path(name)]).await
}

/// Forgets mutes that have ended. Those that cannot be read stay: their ends are not known.
///
/// # Errors
/// The store's.
pub(crate) async fn forget_ended(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let folder = store.root();
    let mut ended = Vec::new();
    for name in names(&folder).await? {
        // What cannot be read is told of with each pass.
        if let Ok(Some(mute)) = read(&folder, &name).await
            && mute.until <= now
        {
            ended.push(path(&name));
        }
    }
    folder.delete(&ended).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Muted;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn mute(account: &str, until: &str) -> Mute {
        Mute {
            what: Muted::Account(account.parse().unwrap()),
            until: at(until),
            reason: "moving".to_owned(),
            by: "ops".to_owned(),
        }
    }

    #[tokio::test]
    async fn those_that_have_ended_are_not_listed_and_then_forgotten() {
        let store = Store::in_memory();
        add(&store, mute("acme", "2026-11-21T12:00:00Z")).await.unwrap();
        add(&store, mute("globex", "2026-11-21T11:00:00Z")).await.unwrap();
        let accounts = async |now: &str| {
            let mutes = current(&store, at(now)).await.unwrap();
            mutes.current.into_iter().map(|(_, mute)| mute).collect::<Vec<_>>()
        };
        let [globex, acme] = ["11", "12"].map(|hour| format!("2026-11-21T{hour}:00:00Z"));
        assert_eq!(
            accounts("2026-11-21T10:00:00Z").await,
            [mute("globex", &globex), mute("acme", &acme)]
        );
        assert_eq!(accounts(&globex).await, [mute("acme", &acme)]);
        forget_ended(&store, at(&globex)).await.unwrap();
        assert_eq!(accounts("2026-11-21T10:00:00Z").await, [mute("acme", &acme)]);
        let mut mutes = current(&store, at("2026-11-21T10:00:00Z")).await.unwrap();
        let (name, _) = mutes.current.remove(0);
        lift(&store, &name).await.unwrap();
        assert_eq!(accounts("2026-11-21T10:00:00Z").await, []);
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_is_named_and_disables_no_other_one() {
        let store = Store::in_memory();
        let spoil = async |name: &str, content: &'static str| {
            store.root().create(&path(name), content.into()).await.unwrap();
        };
        // The names of mutes are hexadecimal: one comes before all of them, one after.
        spoil("-damaged.json", "{").await;
        spoil("newer.json", r#"{"format": 999, "when": "never"}"#).await;
        add(&store, mute("acme", "2026-11-21T12:00:00Z")).await.unwrap();
        add(&store, mute("globex", "2026-11-21T11:00:00Z")).await.unwrap();
        let now = at("2026-11-21T11:30:00Z");
        forget_ended(&store, now).await.unwrap();

        let mutes = current(&store, now).await.unwrap();

        let [(_, left)] = mutes.current.as_slice() else { panic!("{mutes:?}") };
        assert_eq!(*left, mute("acme", "2026-11-21T12:00:00Z"));
        let told: Vec<String> = mutes.unreadable.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("monitor/mutes/-damaged.json is damaged"), "{told:?}");
        assert!(told[1].contains("monitor/mutes/newer.json has format 999"), "{told:?}");
        assert_eq!(names(&store.root()).await.unwrap().len(), 3, "globex's has ended");
    }
}
