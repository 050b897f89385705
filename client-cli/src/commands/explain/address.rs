//! Whose an e-mail address is, by what is held here: a source does not know an address any more
//! whose contact was deleted for ever, or has another one now.

use serde::Serialize;
use serde_json::{Map, Value};
use tidemark_engine::snapshot::Snapshot;
use tidemark_model::entry::RunNumber;
use tidemark_model::ids::ConnectionId;

use super::history;
use crate::error::Error;
use crate::exceptions::Book;
use crate::ui::text::{joined, number_of};

/// Records of a snapshot that are in memory at once.
const PAGE: usize = 10_000;
/// Keys that an error names at most.
const NAMED: usize = 10;

/// What looks like an e-mail address, in lower case.
pub(super) struct Address(String);

/// Where an address was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum Place {
    Snapshot {
        run: RunNumber,
    },
    /// The snapshot does not hold it any more, and a run sent it.
    Sent {
        run: RunNumber,
    },
}

/// The rows that have an address, or had it: one at least.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: Place,
    keys: Vec<String>,
}

impl Address {
    /// `None` for a name of another kind.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.trim();
        let (mailbox, host) = name.rsplit_once('@')?;
        let whole = !mailbox.is_empty() && !host.is_empty() && !name.contains(char::is_whitespace);
        whole.then(|| Self(name.to_lowercase()))
    }

    /// Whether a field of a record is the address.
    fn is_in(&self, record: &str) -> bool {
        let fields: Map<String, Value> = serde_json::from_str(record).unwrap_or_default();
        let mut texts = fields.values().filter_map(Value::as_str);
        texts.any(|text| text.contains('@') && text.trim().to_lowercase() == self.0)
    }

    /// Looks for it in the newest snapshot, then in what the newest runs sent: of a row whose
    /// record was removed, or is held to be, the snapshot says nothing.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn search(&self, book: &Book, back: usize) -> Result<Option<Held>, Error> {
        if let Some(commit) = &book.commit {
            let snapshot = Snapshot::open(&book.folder, &commit.manifest.snapshot).await?;
            let keys = self.keys_in(&snapshot).await?;
            let place = Place::Snapshot { run: commit.number };
            if let Some(held) = Held::of(place, keys) {
                return Ok(Some(held));
            }
        }
        let wrote = history::wrote(&book.folder, back, |record| self.is_in(record)).await?;
        Ok(wrote.and_then(|(run, keys)| Held::of(Place::Sent { run }, keys)))
    }

    async fn keys_in(&self, snapshot: &Snapshot) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut last = String::new();
        loop {
            let page = snapshot.records_behind(&last, PAGE).await?;
            let is_last = page.len() < PAGE;
            for row in page {
                if self.is_in(&row.record) {
                    keys.push(row.key.clone());
                }
                last = row.key;
            }
            if is_last {
                return Ok(keys);
            }
        }
    }
}

impl Held {
    fn of(place: Place, mut keys: Vec<String>) -> Option<Self> {
        keys.sort_unstable();
        keys.dedup();
        (!keys.is_empty()).then_some(Self { place, keys })
    }

    /// The key of the only row.
    ///
    /// # Errors
    /// There are several: which one is meant has to be said.
    pub(super) fn key(&self, id: &ConnectionId) -> Result<&str, Error> {
        match self.keys.as_slice() {
            [key] => Ok(key),
            keys => Err(Error::usage(
                format!(
                    "{} of {id} have that address in {}, and the source names none of them: {}",
                    number_of(keys.len(), "row"),
                    self.place.name(),
                    joined(keys, NAMED)
                ),
                format!("name the one that is meant: tidemark explain {id} KEY"),
            )),
        }
    }
}

impl Place {
    fn name(self) -> String {
        match self {
            Self::Snapshot { run } => format!("the snapshot of run {run}"),
            Self::Sent { run } => format!("what run {run} sent"),
        }
    }

    /// How the row was found, for a source that was `asked` and did not know the address, or that
    /// could not be asked.
    pub(super) fn sentence(self, asked: bool) -> String {
        let source = match asked {
            true => "the source does not know the address (any more)",
            false => "the source could not be asked for the address",
        };
        format!("by its address in {}; {source}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_the_address_counts_whatever_its_case() {
        let address = Address::of(" Ada@Example.com ").unwrap();
        assert!(address.is_in(r#"{"email":"ADA@example.COM","id":"news:k1"}"#));
        assert!(!address.is_in(r#"{"email":"ada@example.com.au","note":"not ada@example.com"}"#));
        assert!(!address.is_in(r#"{"email":null}"#));
    }

    #[test]
    fn names_of_other_kinds_are_no_addresses() {
        for name in ["", "k1", "@example.com", "ada@", "ada lovelace@example.com"] {
            assert!(Address::of(name).is_none(), "{name}");
        }
    }

    #[test]
    fn of_several_rows_the_keys_are_named() {
        let id: ConnectionId = "acme/news".parse().unwrap();
        let place = Place::Snapshot { run: RunNumber::new(3) };
        let held = |keys: &[&str]| Held::of(place, keys.iter().map(|&key| key.into()).collect());
        assert!(held(&[]).is_none());
        assert_eq!(held(&["k1", "k1"]).unwrap().key(&id).unwrap(), "k1");
        let error = held(&["k2", "k1"]).unwrap().key(&id).unwrap_err().to_string();
        assert!(error.contains("2 rows of acme/news"), "{error}");
        assert!(error.contains("the snapshot of run 3"), "{error}");
        assert!(error.ends_with("k1 and k2"), "{error}");
    }
}
