//! What an edit does to the fingerprints.

use proptest::prelude::*;

use super::round_trip::any_text;
use super::*;
use crate::definition::{Counts, Effect, consequences};

/// Pieces of [`SHORT`], what replaces them, and whether the source's and the destination's
/// fingerprints move.
const EDITS: &[(&str, &str, bool, bool)] = &[
    ("every = \"1h\"", "every = \"2h\"", false, false),
    ("every = \"1h\"", "every = \"1h\"\nmax_lag = \"2h\"", false, false),
    ("env:ACME_MAILCHIMP_KEY", "file:/run/key", false, false),
    ("env:RECORD_API_KEY", "env:OTHER", false, false),
    ("\"a1b2c3\"", "\"a1b2c3\"\npage_size = 10\nsettle = \"1s\"", false, false),
    ("\"a1b2c3\"", "\"a1b2c3\"\nrequest_timeout = \"9s\"", false, false),
    ("\"deleted\" }", "\"deleted\" }\nheader = \"X-Key\"", false, false),
    ("\"deleted\" }", "\"deleted\" }\nbatch_records = 7", false, false),
    ("\"deleted\" }", "\"deleted\" }\nrejected_path = \"refused\"", false, false),
    ("\"propagate\"", "\"keep\"", false, false),
    ("\"propagate\"", "\"propagate\"\ninvalid_records = \"fail\"", false, false),
    ("\"propagate\"", "\"propagate\"\nfull_read = \"1d\"\nkeep_commits = 3", false, false),
    ("\"a1b2c3\"", "\"d4e5f6\"", true, false),
    ("\"a1b2c3\"", "\"a1b2c3\"\nstatuses = [\"subscribed\"]", true, false),
    ("\"a1b2c3\"", "\"a1b2c3\"\nbase_url = \"http://localhost\"", true, false),
    ("\"email_address\"", "\"merge_fields.MAIL\"", true, false),
    ("\"propagate\"", "\"propagate\"\nrequired = [\"email\"]", true, false),
    ("data.internal", "data.example", false, true),
    ("{ tombstone = \"deleted\" }", "{ tombstone = \"gone\" }", false, true),
    ("{ tombstone = \"deleted\" }", "{ method = \"DELETE\", path = \"/r/{id}\" }", false, true),
    ("\"contact_id\"", "\"contact_id\"\nid_prefix = \"n-\"", false, true),
    ("email =", "mail =", true, true),
    ("\"email_address\"", "\"email_address\"\nname = \"full_name\"", true, true),
];

#[test]
fn a_fingerprint_moves_only_for_what_it_covers() {
    let old = one(SHORT);
    for (piece, replacement, source, destination) in EDITS {
        let new = one(&short_with(piece, replacement));
        assert_ne!(new, old, "{replacement}");
        assert_eq!(new.source_hash() != old.source_hash(), *source, "{replacement}");
        assert_eq!(new.destination_hash() != old.destination_hash(), *destination, "{replacement}");
    }
}

#[test]
fn exchanged_paths_are_a_change() {
    let text = |one: &str, other: &str| {
        let fields = format!("\"contact_id\"\nfirst = \"{one}\"\nlast = \"{other}\"");
        super::one(&short_with("\"contact_id\"", &fields))
    };
    assert_ne!(text("a", "b").source_hash(), text("b", "a").source_hash());
}

#[test]
fn every_edit_names_its_consequence() {
    let old = one(SHORT);
    for (piece, replacement, source, destination) in EDITS {
        let new = one(&short_with(piece, replacement));
        let effects: Vec<Effect> = consequences(Some(&old), &new, Counts::default())
            .into_iter()
            .map(|consequence| consequence.effect)
            .collect();
        assert!(!effects.is_empty(), "{replacement}");
        let nothing = effects.iter().all(|effect| *effect == Effect::Nothing);
        assert_eq!(nothing, !source && !destination, "{replacement}: {effects:?}");
        let sends = |effect: &Effect| {
            matches!(effect, Effect::SendAgain | Effect::Move | Effect::IdsChange)
        };
        assert_eq!(effects.iter().any(sends), *destination, "{replacement}: {effects:?}");
    }
}

#[test]
fn fingerprints_never_change_by_themselves() {
    // With other values, every connection would read in full and send everything again after an
    // update. Change them only together with the version of the mapper, and on purpose.
    let definition = one(SHORT);
    insta::assert_snapshot!(format!(
        "{}\n{}",
        definition.source_hash(),
        definition.destination_hash()
    ));
}

proptest! {
    #[test]
    fn fingerprints_survive_the_store(text in any_text()) {
        let definition = one(&text);
        let json = serde_json::to_string(&definition).unwrap();
        let stored: Definition = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(stored.source_hash(), definition.source_hash());
        prop_assert_eq!(stored.destination_hash(), definition.destination_hash());
    }
}
