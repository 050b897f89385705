//! Any definition survives being written and read.

use proptest::prelude::*;

use super::*;
use crate::schedule::duration;

/// TOML of a definition in which anything that may vary varies.
pub(super) fn any_text() -> impl Strategy<Value = String> {
    let schedule = prop_oneof![
        (60_u64..20_000_000).prop_map(|seconds| {
            format!("every = \"{}\"", duration::text(std::time::Duration::from_secs(seconds)))
        }),
        Just("cron = \"15 6-18/4 * * mon-fri\"\ntimezone = \"America/New_York\"".to_owned()),
        Just("cron = \"0 0 1 * *\"\ntimezone = \"UTC\"\nmax_lag = \"200d\"".to_owned()),
    ];
    let source = (
        prop_oneof![Just("env:KEY".to_owned()), Just("file:/run/\\\"key\\\"".to_owned())],
        "[a-zA-Z0-9_-]{1,20}",
        prop_oneof![
            Just(""),
            Just("statuses = [\"pending\"]"),
            Just("statuses = [\"subscribed\", \"cleaned\"]\nbase_url = \"http://[::1]:1/x\""),
        ],
        0_u64..3_600_000,
        1_u32..=1_000,
        1_u32..=10,
    );
    let delete = prop_oneof![
        Just("delete = { tombstone = \"is \\\"gone\\\"\" }"),
        Just("delete = { method = \"DELETE\", path = \"/r/{id}/x\" }"),
    ];
    let destination = (delete, 1_u32..=100_000, 1_024_u64..=67_108_864, 1_u32..=64);
    let record = (
        proptest::collection::btree_map(
            "[^\\p{C}]{1,12}",
            "[a-zA-Z0-9\"\\\\]{1,8}(\\.[A-Z]{1,5}){0,2}",
            0..4,
        ),
        proptest::option::of("[^\\p{C}]{0,12}"),
    );
    let policy = (any::<bool>(), 0_u32..=1_000, 1_u32..100_000, 3_600_u64..31_000_000);
    (schedule, source, destination, record, policy).prop_map(
        |(schedule, source, destination, (fields, prefix), policy)| {
            let (key, list, statuses, settle, page_size, requests) = source;
            let (delete, records, bytes, batches) = destination;
            let (propagate, share, runs, full_read) = policy;
            let quoted = |text: &str| toml::Value::from(text).to_string();
            let mut record = String::new();
            let reserved = ["id", "id_prefix", "is \"gone\""];
            for (field, path) in fields.iter().filter(|(f, _)| !reserved.contains(&f.as_str())) {
                record += &format!("{} = {}\n", quoted_key(field), quoted(path));
            }
            if let Some(prefix) = prefix {
                record += &format!("id_prefix = {}\n", quoted(&prefix));
            }
            let settle = duration::text(std::time::Duration::from_millis(settle));
            let full_read = duration::text(std::time::Duration::from_secs(full_read));
            let deletions = if propagate { "propagate" } else { "keep" };
            let share = f64::from(share) / 1_000.0;
            format!(
                "[[connection]]\nid = \"acme/newsletter\"\n{schedule}\n[connection.source]\n\
                 kind = \"mailchimp\"\napi_key = \"{key}\"\nlist_id = \"{list}\"\n{statuses}\n\
                 settle = \"{settle}\"\npage_size = {page_size}\n\
                 simultaneous_requests = {requests}\n[connection.destination]\n\
                 kind = \"record-api\"\nurl = \"https://data.internal/record\"\n\
                 api_key = \"env:RECORD_API_KEY\"\n{delete}\nbatch_records = {records}\n\
                 batch_bytes = \"{bytes} B\"\nsimultaneous_batches = {batches}\n\
                 [connection.record]\nid = \"contact_id\"\n{record}[connection.policy]\n\
                 deletions = \"{deletions}\"\nfail_rejected_over = {share:?}\n\
                 retry_rejected = {runs}\nfull_read = \"{full_read}\"\n"
            )
        },
    )
}

/// A key in quotes, of text without control characters.
fn quoted_key(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #[test]
    fn toml_reads_back(text in any_text()) {
        let definition = one(&text);
        prop_assert_eq!(&one(&definition.to_toml()), &definition);
    }

    #[test]
    fn json_reads_back(text in any_text()) {
        let definition = one(&text);
        let json = serde_json::to_string(&definition).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Definition>(&json).unwrap(), &definition);
    }

    /// Whatever replaces a line: definitions or problems with a place, never a panic.
    #[test]
    fn no_text_panics(
        text in any_text(),
        line in any::<proptest::sample::Index>(),
        replacement in prop_oneof![
            Just(String::new()),
            Just("[[connection]]".to_owned()),
            Just("[defaults]".to_owned()),
            "[a-z_]{1,12} = (1|\"x\"|\\[\\]|\\{\\}|true|-1.5|99999999999999999999|2026-11-21)",
            "\\PC{0,20}",
        ],
    ) {
        let mut lines: Vec<&str> = text.lines().collect();
        let index = line.index(lines.len());
        lines[index] = &replacement;
        match parse_text(&lines.join("\n")) {
            Ok(definitions) => prop_assert!(!definitions.is_empty()),
            Err(problems) => {
                for problem in problems.iter() {
                    // An error at the very end stands in the line after the last one.
                    prop_assert!((1..=lines.len() + 1).contains(&problem.line), "{}", problem);
                }
            }
        }
    }
}
