//! What is in the store, read without Temporal.

use jiff::Timestamp;
use tidemark_engine::definitions::{self, StoreIdentity, Stored, StoredDefinition};
use tidemark_engine::store::Store;
use tidemark_model::definition::{Definition, SourceText, parse};

use crate::assert_answer;
use crate::call::Place;
use crate::definitions::GOOD;

impl Place {
    /// Makes the store that of the namespace `default`.
    pub(crate) fn claimed(self) -> Self {
        let identity =
            StoreIdentity { namespace: "default".to_owned(), cluster: "a-cluster".to_owned() };
        let store = Store::make(&self.store_url()).unwrap();
        block_on(definitions::claim(&store, &identity)).unwrap();
        self
    }

    /// Stores versions of the connection `acme/news`: its definition, or its removal.
    fn storing(self, versions: &[Option<&Definition>]) -> Self {
        let store = Store::make(&self.store_url()).unwrap();
        let folder = store.connection(&"acme/news".parse().unwrap());
        for (version, definition) in (1..).zip(versions) {
            let stored = StoredDefinition {
                version,
                applied_at: Timestamp::now(),
                definition: definition.cloned(),
                same_destination: false,
            };
            assert_eq!(block_on(definitions::put(&folder, stored)).unwrap(), Stored::Stored);
        }
        self
    }
}

fn block_on<F: Future>(work: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

fn good() -> Definition {
    let file = SourceText { name: "good.toml".to_owned(), text: GOOD.to_owned() };
    parse(&[file], &[]).unwrap().remove(0)
}

#[test]
fn a_definition_in_every_format() {
    let place = Place::new().with_store().claimed().storing(&[Some(&good())]);
    for format in ["table", "toml", "name"] {
        let answer = place.call(["get", "acme/news", "-o", format]);
        assert_eq!(answer.code, 0, "{answer}");
        assert_answer!(format!("get_{format}"), answer);
    }
    let json = place.call(["get", "acme/news", "-o", "json"]);
    let lines = place.call(["get", "acme/news", "-o", "jsonl"]);
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(lines.stdout.lines().count(), 1);
    assert_eq!(parsed(&json.stdout), parsed(&lines.stdout));
    assert_eq!(parsed(&json.stdout)["definition"]["id"], "acme/news");
}

#[test]
fn what_get_writes_is_what_check_takes() {
    let place = Place::new().with_store().claimed().storing(&[Some(&good())]);
    let written = place.call(["get", "acme/news", "-o", "toml"]).stdout;
    let answer = place.call_with(["check", "-", "--offline"], &written);
    assert_eq!(answer.code, 0, "{answer}");
}

#[test]
fn what_is_not_there_ends_with_5() {
    let place = Place::new().with_store().claimed().storing(&[Some(&good()), None]);
    let unknown = place.call(["get", "acme/other"]);
    assert_eq!(unknown.code, 5, "{unknown}");
    assert_answer!("get_unknown", unknown);
    let removed = place.call(["inspect", "acme/news"]);
    assert_eq!(removed.code, 5, "{removed}");
    assert_answer!("inspect_removed", removed);
}

#[test]
fn a_definition_that_would_delete_the_records_of_another_is_refused() {
    let place = Place::new().with_store().claimed().storing(&[Some(&good())]);
    place.file("other.toml", &GOOD.replace("acme/news", "globex/news"));
    let answer = place.call(["apply", "other.toml"]);
    assert_eq!(answer.code, 2, "{answer}");
    assert_answer!("apply_other_territory", answer);
}
