//! Receipts and failures in words.

use jiff::Timestamp;
use tidemark_model::exception::Hold;
use tidemark_model::failure::FailureClass;
use tidemark_model::ids::ConnectionId;
use tidemark_model::receipt::{Cost, ProofKind, PushCounts, Receipt};

use crate::ui::details::Details;
use crate::ui::text::{counted, grouped};
use crate::ui::time::instant_and_age;

/// A receipt in one line: `1 added, 2 removed; 1,000 records; 3 source requests`.
pub(crate) fn receipt_sentence(receipt: &Receipt) -> String {
    let mut text = format!(
        "{}; {} in step; {} and {}",
        push_sentence(&receipt.push),
        counted(receipt.records.next, "record"),
        counted(receipt.source_cost.request_count, "source request"),
        counted(receipt.destination_cost.request_count, "destination request"),
    );
    if receipt.exception_count > 0 {
        text += &format!("; {}", exception_sentence(receipt));
    }
    text
}

/// `5 exceptions: 3 removals held, 2 rejected`.
fn exception_sentence(receipt: &Receipt) -> String {
    let Receipt { exception_count, held_count, rejected_count, .. } = *receipt;
    let invalid_count = exception_count.saturating_sub(held_count + rejected_count);
    let counts =
        [(held_count, "removals held"), (rejected_count, "rejected"), (invalid_count, "invalid")];
    format!("{}: {}", counted(exception_count, "exception"), parts(&counts))
}

/// The removals that wait for an operator, and the command that shows them.
pub(crate) fn hold_details(details: Details, id: &ConnectionId, hold: &Hold) -> Details {
    details
        .section("held")
        .pair("removals", format!("{}, since run {}", grouped(hold.removals.row_count), hold.since))
        .pair("because", hold.rule.to_string())
        .pair("to decide", format!("tidemark exceptions {id} list --kind held"))
}

/// The counts that are not 0.
fn parts(counts: &[(u64, &str)]) -> String {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(*count)))
        .collect();
    parts.join(", ")
}

fn push_sentence(push: &PushCounts) -> String {
    let counts = [
        (push.added, "added"),
        (push.changed, "changed"),
        (push.removals(), "removed"),
        (push.rewrites(), "sent again"),
        (push.rejected, "rejected"),
        (push.held, "held"),
    ];
    let parts = parts(&counts);
    if parts.is_empty() { "nothing to send".to_owned() } else { parts }
}

/// A receipt in full.
pub(crate) fn receipt_details(details: Details, receipt: &Receipt, now: Timestamp) -> Details {
    let Receipt { rows, records, push, proof, .. } = receipt;
    let number = |count: u64| grouped(count);
    details
        .section("receipt")
        .pair("complete as of", instant_and_age(now, receipt.complete_as_of))
        .pair("read", if receipt.full_read { "the whole list" } else { "what changed" })
        .pair(
            "rows",
            format!(
                "{} + {} appeared - {} vanished = {}; the source says {}",
                number(rows.previous),
                number(rows.appeared),
                number(rows.vanished),
                number(rows.next),
                number(rows.source_total)
            ),
        )
        .pair(
            "of them",
            format!(
                "{} sent, {} filtered, {} invalid",
                number(rows.sent),
                number(rows.filtered),
                number(rows.invalid)
            ),
        )
        .pair(
            "records",
            format!(
                "{} + {} added - {} removed - {} kept = {}",
                number(records.previous),
                number(records.added),
                number(records.removed),
                number(records.kept),
                number(records.next)
            ),
        )
        .pair(
            "sent",
            format!(
                "{} added + {} changed + {} removed + {} again = \
                 {} acknowledged + {} rejected + {} held",
                number(push.added),
                number(push.changed),
                number(push.removed),
                number(push.repeated),
                number(push.acknowledged),
                number(push.rejected),
                number(push.held)
            ),
        )
        .pair_if("exceptions", (receipt.exception_count > 0).then(|| exception_sentence(receipt)))
        .pair_if("accepted", (receipt.waived_count > 0).then(|| number(receipt.waived_count)))
        .pair(
            "proof",
            match proof.kind {
                ProofKind::Decision => "none: an operator gave the records up".to_owned(),
                ProofKind::FirstResponse => "the first response showed everything".to_owned(),
                ProofKind::ClosingRequest => {
                    format!("closing request {}", proof.turn_count)
                }
            },
        )
        .pair("source", cost_sentence(&receipt.source_cost))
        .pair("destination", cost_sentence(&receipt.destination_cost))
        .pair_if(
            "unmatched paths",
            (!receipt.unmatched_paths.is_empty()).then(|| receipt.unmatched_paths.join("\n")),
        )
        .pair("definition", format!("version {}", receipt.definition_version))
}

fn cost_sentence(cost: &Cost) -> String {
    let bytes = |count: u64| bytesize::ByteSize(count).display().iec().to_string();
    format!(
        "{}, {} sent, {} received",
        counted(cost.request_count, "request"),
        bytes(cost.bytes_sent),
        bytes(cost.bytes_received)
    )
}

/// Who must act on a failure.
pub(crate) fn who_must_act(class: FailureClass) -> &'static str {
    match class {
        FailureClass::User => "the connection's owner: a credential or the definition is at fault",
        FailureClass::Source => "the operators of the source, if it does not pass by itself",
        FailureClass::Destination => {
            "the operators of the destination, if it does not pass by itself"
        }
        FailureClass::Platform => "the operators of Tidemark, if it does not pass by itself",
    }
}
