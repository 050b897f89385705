//! The activity of a check: both ends, asked with the secrets of this worker.

use std::sync::Arc;

use temporalio_common::ActivityError;
use temporalio_macros::activities;
use temporalio_sdk::activities::ActivityContext;
use tidemark_engine::port::Connectors;
use tidemark_model::{
    check::{CheckReport, CheckRequest, SampleRecord},
    failure::Failure,
};
use tidemark_workflows::check::contract;

use crate::failure::bounded;

/// No payload is larger, in bytes: a little is left for its envelope.
const REPORT_LIMIT: usize = 15 * 1024;

/// The most bytes of a text that an end of the connection wrote.
const TEXT_BYTES: usize = 300;

/// The implementation of [`tidemark_workflows::check::CheckActivities`].
pub struct CheckActivities {
    connectors: Arc<dyn Connectors>,
}

impl CheckActivities {
    /// `connectors` are those of the worker's runs, so that a check resolves the same secrets and
    /// keeps to the same limits.
    #[must_use]
    pub fn new(connectors: Arc<dyn Connectors>) -> Self {
        Self { connectors }
    }
}

#[activities]
impl CheckActivities {
    #[activity(definition = contract::CheckConnection)]
    pub async fn check_connection(
        self: Arc<Self>,
        _: ActivityContext,
        request: CheckRequest,
    ) -> Result<CheckReport, ActivityError> {
        let report = tidemark_engine::check(&*self.connectors, &request.definition).await;
        tracing::info!(
            connection = %request.definition.id(),
            source = report.source.is_ok(),
            destination = report.destination.is_ok(),
            "checked"
        );
        Ok(presentable(report))
    }
}

/// The report as it may cross Temporal: small, and without contact data.
fn presentable(report: CheckReport) -> CheckReport {
    let mut report = CheckReport {
        source: report.source.map_err(bounded),
        destination: report.destination.map_err(bounded),
    };
    if let Ok(destination) = &mut report.destination {
        cut(&mut destination.answer);
    }
    if let Ok(source) = &mut report.source {
        cut(&mut source.name);
        for (_, nearest) in &mut source.unmatched_paths {
            nearest.iter_mut().for_each(cut);
        }
        source.samples =
            std::mem::take(&mut source.samples).into_iter().map(SampleRecord::masked).collect();
    }
    while size(&report) > REPORT_LIMIT && shorten(&mut report) {}
    report
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
}

/// Leaves the least important thing out; whether there was one.
fn shorten(report: &mut CheckReport) -> bool {
    if let Ok(source) = &mut report.source
        && source.samples.pop().is_some()
    {
        return true;
    }
    let causes = |failure: Option<&mut Failure>| failure.and_then(|failure| failure.causes.pop());
    if causes(report.source.as_mut().err()).is_some()
        || causes(report.destination.as_mut().err()).is_some()
    {
        return true;
    }
    let Ok(source) = &mut report.source else { return false };
    // Whoever mends the first ones sees the others next time.
    let half = source.unmatched_paths.len() / 2;
    source.unmatched_paths.truncate(half);
    half > 0
}

fn size(report: &CheckReport) -> usize {
    serde_json::to_vec(report).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use tidemark_model::{
        check::{DestinationCheck, SourceCheck},
        failure::{FailureKind, Side},
        receipt::Cost,
    };

    use super::*;

    fn report(
        samples: Vec<SampleRecord>,
        unmatched_paths: Vec<(String, Option<String>)>,
    ) -> CheckReport {
        CheckReport {
            source: Ok(SourceCheck {
                name: "Newsletter".to_owned(),
                row_total: 3,
                samples,
                unmatched_paths,
                invalid_count: 0,
                invalid_reasons: Vec::new(),
                cost: Cost::default(),
            }),
            destination: Ok(DestinationCheck { answer: "200".to_owned(), cost: Cost::default() }),
        }
    }

    fn sample(fields: usize) -> SampleRecord {
        let field = |n: usize| (format!("field-{n:04}"), "Ada@example.com".to_owned());
        SampleRecord { fields: (0..fields).map(field).collect() }
    }

    #[test]
    fn samples_leave_the_worker_without_their_contents() {
        let shown = presentable(report(vec![sample(1)], Vec::new()));
        let fields = &shown.source.unwrap().samples[0].fields;
        assert_eq!(fields, &[("field-0000".to_owned(), "xxx@xxxxxxx.xxx".to_owned())]);
    }

    #[test]
    fn a_report_stays_small_whatever_the_ends_say() {
        let paths = (0..500).map(|n| (format!("merge_fields.F{n}"), Some("x".repeat(10_000))));
        let shown = presentable(report(vec![sample(400); 3], paths.collect()));
        assert!(size(&shown) <= REPORT_LIMIT);
        let source = shown.source.unwrap();
        assert!(source.samples.is_empty());
        assert!(!source.unmatched_paths.is_empty(), "a typo must not be green");

        let quoted = Failure::new(FailureKind::Rejected, Side::Source, "ä".repeat(100_000));
        let failed = CheckReport { source: Err(quoted.clone()), destination: Err(quoted) };
        assert!(size(&presentable(failed)) <= REPORT_LIMIT);
    }
}
