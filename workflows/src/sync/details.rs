//! What the Web UI shows of a run under "Current Details": Markdown with the counts per stage.

use tidemark_model::{
    entry::Coverage,
    ids::ConnectionId,
    receipt::{PushCounts, Receipt},
    step::{Computed, EndedRun, Pushed, ReadSummary},
};

/// The story of a run so far, one line of a table for each stage.
pub(super) struct Details {
    connection: ConnectionId,
    rows: Vec<(&'static str, String)>,
}

impl Details {
    pub(super) fn new(connection: &ConnectionId) -> Self {
        Self { connection: connection.clone(), rows: Vec::new() }
    }

    /// A stage that begins.
    pub(super) fn begin(&mut self, stage: &'static str, what: impl Into<String>) -> String {
        self.set(stage, what.into())
    }

    pub(super) fn read(&mut self, read: &ReadSummary, changed: bool) -> String {
        let coverage = match read.coverage {
            Coverage::Full => "the whole list",
            Coverage::Changes => "what changed",
        };
        let found = if changed { "" } else { "nothing new; " };
        // Windows of a listing overlap, so of a whole list more rows are read than it has.
        let rows = if read.coverage == Coverage::Full && read.row_count > read.source_total {
            format!("{}, {} read", count(read.source_total, "row"), grouped(read.row_count))
        } else {
            format!("{} of {}", count(read.row_count, "row"), grouped(read.source_total))
        };
        self.set(
            "read",
            format!(
                "{found}{coverage}: {rows}, in {}, {}; complete as of {}",
                count(read.page_count, "page"),
                count(read.request_count, "request"),
                read.complete_as_of,
            ),
        )
    }

    pub(super) fn computed(&mut self, computed: &Computed) -> String {
        let sent = counts(&computed.push);
        self.set(
            "compute",
            format!("{sent}; {}", count_of(computed.batch_count, "batch", "batches")),
        )
    }

    pub(super) fn pushed(&mut self, pushed: &Pushed) -> String {
        let mut text = format!(
            "{} acknowledged, {} rejected, {}",
            grouped(pushed.push.acknowledged),
            grouped(pushed.push.rejected),
            count(pushed.request_count, "request"),
        );
        for (reason, times) in &pushed.rejections {
            text.push_str(&format!("; rejected {} × {}", grouped(*times), cell(reason)));
        }
        self.set("push", text)
    }

    pub(super) fn committed(&mut self, receipt: &Receipt) -> String {
        self.set(
            "commit",
            format!(
                "run {}: {} at the destination, {}; complete as of {}",
                receipt.number,
                count(receipt.records.next, "record"),
                exceptions(receipt),
                receipt.complete_as_of,
            ),
        )
    }

    pub(super) fn ended(&mut self, ended: &EndedRun) -> String {
        let mut text = ended.outcome.as_str().replace('_', " ");
        if let Some(failure) = &ended.failure {
            text.push_str(&format!(": {}", cell(&failure.message)));
            if let Some(hint) = &failure.hint {
                text.push_str(&format!("; {}", cell(hint)));
            }
        }
        self.set("end", text)
    }

    /// Replaces the line of a stage and gives the whole text.
    fn set(&mut self, stage: &'static str, text: String) -> String {
        match self.rows.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, line)) => *line = text,
            None => self.rows.push((stage, text)),
        }
        let mut markdown = format!("### {}\n\n| stage | |\n|---|---|\n", self.connection);
        for (stage, text) in &self.rows {
            markdown.push_str(&format!("| {stage} | {text} |\n"));
        }
        markdown
    }
}

/// The exceptions, and first the removals that wait for somebody, with the rule that holds them.
fn exceptions(receipt: &Receipt) -> String {
    let exceptions = count(receipt.exception_count, "exception");
    if receipt.held_count == 0 {
        return exceptions;
    }
    let held = count(receipt.held_count, "removal");
    // Receipts of earlier versions do not know the rule.
    let because = receipt.hold_rule.as_ref().map(|rule| format!(" ({})", cell(rule)));
    format!("**{held} held**{}, {exceptions}", because.unwrap_or_default())
}

fn counts(push: &PushCounts) -> String {
    let parts: Vec<String> = [
        (push.added, "added"),
        (push.changed, "changed"),
        (push.removals(), "removed"),
        (push.rewrites(), "repeated"),
        (push.held, "held"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{} {word}", grouped(count)))
    .collect();
    if parts.is_empty() { "nothing to send".to_owned() } else { parts.join(", ") }
}

fn count(number: u64, one: &str) -> String {
    count_of(number, one, &format!("{one}s"))
}

fn count_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text that stays inside its cell of the table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use tidemark_model::{
        entry::RunNumber,
        receipt::{Cost, Outcome, Proof, ProofKind, RecordCounts, RowCounts},
    };

    use super::*;

    fn reading(coverage: Coverage, row_count: u64, source_total: u64) -> ReadSummary {
        ReadSummary {
            number: RunNumber::new(7),
            reading: "readings/7".to_owned(),
            coverage,
            definition_version: 3,
            page_count: 1,
            row_count,
            source_total,
            complete_as_of: "2026-11-21T10:00:00Z".parse().unwrap(),
            request_count: 1,
        }
    }

    #[test]
    fn rows_that_were_read_twice_are_no_more_rows() {
        let line = |row_count, source_total| {
            let mut details = Details::new(&ConnectionId::new("acme/newsletter").unwrap());
            let text = details.read(&reading(Coverage::Full, row_count, source_total), true);
            text.lines().next_back().unwrap().to_owned()
        };
        let behind = "in 1 page, 1 request; complete as of 2026-11-21T10:00:00Z |";
        assert_eq!(
            line(21_866, 20_000),
            format!("| read | the whole list: 20,000 rows, 21,866 read, {behind}")
        );
        assert_eq!(
            line(20_000, 20_000),
            format!("| read | the whole list: 20,000 rows of 20,000, {behind}")
        );
    }

    #[test]
    fn a_run_is_told_stage_by_stage() {
        let mut details = Details::new(&ConnectionId::new("acme/newsletter").unwrap());
        details.begin("read", "…");
        details.read(&reading(Coverage::Changes, 1_000, 1_234_567), true);
        let text = details.computed(&Computed {
            number: RunNumber::new(7),
            push: PushCounts { added: 20, removed: 3, ..PushCounts::default() },
            batch_count: 2,
            send_from: None,
        });
        assert_eq!(
            text,
            "### acme/newsletter\n\n| stage | |\n|---|---|\n\
             | read | what changed: 1,000 rows of 1,234,567, in 1 page, 1 request; \
             complete as of 2026-11-21T10:00:00Z |\n\
             | compute | 20 added, 3 removed; 2 batches |\n"
        );
    }

    #[test]
    fn a_hold_is_told_with_the_rule_that_fired() {
        let mut receipt = Receipt {
            number: RunNumber::new(8),
            outcome: Outcome::Held,
            definition_version: 3,
            full_read: false,
            complete_as_of: "2026-11-21T11:00:00Z".parse().unwrap(),
            rows: RowCounts::default(),
            records: RecordCounts { next: 20, ..RecordCounts::default() },
            push: PushCounts::default(),
            exception_count: 12,
            rejected_count: 1,
            held_count: 11,
            hold_rule: Some("11 of 20 records within 24 hours are more than half".to_owned()),
            waived_count: 0,
            proof: Proof { kind: ProofKind::FirstResponse, source_total: 0, turn_count: 0 },
            source_cost: Cost::default(),
            destination_cost: Cost::default(),
            unmatched_paths: Vec::new(),
        };
        let line = |receipt: &Receipt| {
            let mut details = Details::new(&ConnectionId::new("acme/newsletter").unwrap());
            details.committed(receipt).lines().next_back().unwrap().to_owned()
        };
        assert_eq!(
            line(&receipt),
            "| commit | run 8: 20 records at the destination, **11 removals held** (11 of 20 \
             records within 24 hours are more than half), 12 exceptions; complete as of \
             2026-11-21T11:00:00Z |"
        );
        receipt.hold_rule = None;
        assert_eq!(
            line(&receipt),
            "| commit | run 8: 20 records at the destination, **11 removals held**, \
             12 exceptions; complete as of 2026-11-21T11:00:00Z |"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_cell_holds_its_text() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
