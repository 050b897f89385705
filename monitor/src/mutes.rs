//! Mutes in the store: each an object of its own, made by the command line, read by monitors.

use jiff::Timestamp;
use tidemark_engine::store::{Folder, Formatted, Store, StoreError};

use crate::{keep::FOLDER, rules::Mute};

const MUTES: &str = "mutes";

fn folder(store: &Store) -> Folder {
    store.root().below(FOLDER)
}

/// Keeps a mute, from now until its end.
///
/// # Errors
/// The store's.
pub async fn add(store: &Store, mute: Mute) -> Result<(), StoreError> {
    let name = uuid::Uuid::new_v4().simple().to_string();
    folder(store).establish(&format!("{MUTES}/{name}.json"), &Formatted::new(mute)).await?;
    Ok(())
}

/// The mutes that have not ended, by their ends, each with the name by which it is [lifted](lift).
///
/// # Errors
/// One that is damaged or of a newer format, or the store's.
pub async fn current(store: &Store, now: Timestamp) -> Result<Vec<(String, Mute)>, StoreError> {
    let folder = folder(store);
    let mut mutes = Vec::new();
    for name in folder.list(MUTES).await? {
        let mute: Option<Formatted<Mute>> = folder.document(&format!("{MUTES}/{name}")).await?;
        // One that was lifted meanwhile is gone.
        if let Some(mute) = mute.filter(|mute| now < mute.content.until) {
            mutes.push((name, mute.content));
        }
    }
    mutes.sort_by_key(|(_, mute)| mute.until);
    Ok(mutes)
}

/// Ends a mute early, and forgets it. One that is gone already is no error.
///
/// # Errors
/// The store's.
pub async fn lift(store: &Store, name: &str) -> Result<(), StoreError> {
    folder(store).delete(&[format!("{MUTES}/{name}")]).await
}

/// Forgets mutes that have ended.
///
/// # Errors
/// As [`current`].
pub(crate) async fn forget_ended(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let folder = folder(store);
    let mut ended = Vec::new();
    for name in folder.list(MUTES).await? {
        let path = format!("{MUTES}/{name}");
        let mute: Option<Formatted<Mute>> = folder.document(&path).await?;
        if mute.is_some_and(|mute| mute.content.until <= now) {
            ended.push(path);
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
            mutes.into_iter().map(|(_, mute)| mute).collect::<Vec<_>>()
        };
        let [globex, acme] = ["11", "12"].map(|hour| format!("2026-11-21T{hour}:00:00Z"));
        assert_eq!(
            accounts("2026-11-21T10:00:00Z").await,
            [mute("globex", &globex), mute("acme", &acme)]
        );
        assert_eq!(accounts(&globex).await, [mute("acme", &acme)]);
        forget_ended(&store, at(&globex)).await.unwrap();
        assert_eq!(accounts("2026-11-21T10:00:00Z").await, [mute("acme", &acme)]);
        let (name, _) = current(&store, at("2026-11-21T10:00:00Z")).await.unwrap().remove(0);
        lift(&store, &name).await.unwrap();
        assert_eq!(accounts("2026-11-21T10:00:00Z").await, []);
    }
}
