//! `verify`: the destination is read back and compared. Runs that repair it are started in the
//! end-to-end tests.

use tidemark_model::exception::{RecordName, Verdict};

use crate::assert_answer;
use crate::call::Answer;
use crate::ran::{RECORD_KEY, Ran};

const READ: &str = "delete = { tombstone = \"deleted\" }\nread = { path = \"/record\" }";

/// In step, with records that can be read back.
fn ran() -> Ran {
    let ran = Ran::defined("", READ);
    ran.run();
    ran
}

#[test]
fn what_is_in_step_differs_in_nothing() {
    let ran = ran();
    let verified = ran.call(&["verify", "acme/news"]);
    assert_eq!(verified.code, 0, "{verified}");
    assert_answer!("verify", verified);
    // Only the destination is asked, and with the key that is set here.
    let without = |name| Answer::of(ran.place().command(["verify", "acme/news"]).env_remove(name));
    assert_eq!(without("ACME_KEY").code, 0);
    let unset = without("RECORD_KEY");
    assert_eq!(unset.code, 1, "{unset}");
    assert!(unset.stderr.contains("`RECORD_KEY` is not set here"), "{unset}");
}

#[test]
fn what_somebody_else_wrote_is_found_and_repaired() {
    let ran = ran();
    ran.write_elsewhere(0, "overwritten");
    let verified = ran.call(&["verify", "acme/news"]);
    assert_eq!(verified.code, 4, "{verified}");
    assert_answer!("verify_different", verified);
    assert!(!verified.to_string().contains("overwritten"), "contents are not shown: {verified}");
    // Without the Temporal that starts its run no repair is ordered, and nothing is read for it.
    let mark = ran.world().ledger().mark;
    let repair = ran.call(&["verify", "acme/news", "--repair", "--as", "eve"]);
    assert_eq!((repair.code, repair.stdout.as_str()), (6, ""), "{repair}");
    assert_eq!(ran.world().ledger().mark, mark);
    assert_eq!(ran.decision_count(), 0);
    let record = RecordName { key: ran.keys[0].clone(), id: ran.record_id(0) };
    ran.decide(Verdict::Repair { records: vec![record] });
    assert_eq!(ran.run().push.repeated, 1);
    assert_eq!(ran.call(&["verify", "acme/news"]).code, 0);
    assert_eq!(ran.world().record_count(RECORD_KEY).unwrap(), 40);
}

#[test]
fn what_cannot_be_read_back() {
    let ran = Ran::new();
    let verified = ran.call(&["verify", "acme/news"]);
    assert_eq!(verified.code, 1, "{verified}");
    assert_answer!("verify_unreadable", verified);
    assert_eq!(ran.call(&["verify", "acme/other"]).code, 5);
}
