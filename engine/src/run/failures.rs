//! What the engine's own errors are to a run: the kind, who must act, and what to do next.

use std::io::ErrorKind;

use tidemark_model::failure::Failure;

use super::{RunNumber, overtaken};
use crate::{definitions::ClaimError, diff::DiffError, store::StoreError};

fn told(failure: &Failure) -> String {
    let mut text = format!("{}, for the {}: {failure}", failure.kind.as_str(), failure.class());
    for cause in &failure.causes {
        text += &format!("\n  caused by: {cause}");
    }
    if let Some(hint) = &failure.hint {
        text += &format!("\n  hint: {hint}");
    }
    text
}

#[test]
fn every_error_says_who_must_act() {
    let (url, path) = (|| "file:///state".to_owned(), || "log/000000000/7.prepared".to_owned());
    let failures: [Failure; 11] = [
        StoreError::Address { reason: "relative URL without a base".to_owned() }.into(),
        StoreError::Folder {
            folder: "/state".to_owned(),
            source: ErrorKind::PermissionDenied.into(),
        }
        .into(),
        StoreError::Missing { path: path() }.into(),
        StoreError::Damaged { path: path(), reason: "its checksum is not there".to_owned() }.into(),
        StoreError::NewerFormat { path: path(), format: 9, known: 1 }.into(),
        ClaimError::Unclaimed { url: url() }.into(),
        ClaimError::OtherNamespace {
            url: url(),
            owner: "default".to_owned(),
            asking: "staging".to_owned(),
        }
        .into(),
        ClaimError::OtherCluster {
            url: url(),
            namespace: "default".to_owned(),
            owner: "a1".to_owned(),
            asking: "b2".to_owned(),
        }
        .into(),
        DiffError::Spill(ErrorKind::StorageFull.into()).into(),
        DiffError::GivenUp.into(),
        overtaken(RunNumber::new(7)),
    ];
    let texts: Vec<String> = failures.iter().map(told).collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}
