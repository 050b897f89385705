//! The suites that every source and every destination has to pass.

use std::{collections::BTreeMap, sync::Arc};

use tidemark_connectors::conformance::{self, DestinationSubject};
use tidemark_engine::port::{Connectors, Destination};
use tidemark_simulator::Seed;

use crate::support::{Bench, Lines, RECORD_KEY, connectors};

#[tokio::test]
async fn mailchimp_passes_the_suite_of_sources() {
    for source in ["settle = \"0s\"\npage_size = 100", "settle = \"30s\"\npage_size = 100"] {
        let bench = Bench::with_source(&Seed::of(1_500), source).await;
        conformance::source(&bench).await;
    }
}

struct Records(Bench);

impl DestinationSubject for Records {
    fn destination(&self) -> Arc<dyn Destination> {
        connectors().destination(&self.0.definition).unwrap()
    }

    fn names(&self) -> BTreeMap<String, String> {
        let records = self.0.world().live_records(RECORD_KEY, "deleted").unwrap();
        let name = |record: &serde_json::Value| record["name"].as_str().unwrap_or("").to_owned();
        records.iter().map(|(id, record)| (id.clone(), name(record))).collect()
    }
}

#[tokio::test]
async fn the_record_api_passes_the_suite_of_destinations() {
    for rule in [
        "delete = { tombstone = \"deleted\" }\nbatch_records = 3",
        "delete = { method = \"DELETE\", path = \"/record/{id}\" }",
        "",
    ] {
        let lines = Lines {
            destination: rule.to_owned(),
            record: "name = \"merge_fields.FNAME\"".to_owned(),
            ..Lines::default()
        };
        conformance::destination(&Records(Bench::with(&Seed::of(0), &lines).await)).await;
    }
}
