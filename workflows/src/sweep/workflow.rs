//! The workflow `SweepStore`.

use temporalio_common::error::ApplicationFailure;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{WorkflowContext, WorkflowResult};
use tidemark_model::failure::FailureKind;

use super::step::{SweepActivities, SweepRequest, SweepStep, SweepSummary};
use crate::sync::options;

/// Deletes what no connection needs any more: one sweep of the store.
#[workflow]
#[derive(Default)]
pub struct SweepStore;

#[workflow_methods]
impl SweepStore {
    /// Sweeps. A connection that something is lost of fails the sweep, once all others are swept.
    #[run(name = "SweepStore")]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        request: SweepRequest,
    ) -> WorkflowResult<SweepSummary> {
        let options = options::step(request.timing, "sweep every connection".to_owned());
        let summary =
            ctx.execute_activity(SweepActivities::sweep_connections, SweepStep {}, options).await?;
        match refusal(&summary) {
            None => Ok(summary),
            Some(text) => Err(ApplicationFailure::builder(text)
                .type_name(FailureKind::Corrupt.as_str().to_owned())
                .non_retryable(true)
                .details(summary)
                .build()
                .into()),
        }
    }
}

/// What, why, who, and the next step.
fn refusal(summary: &SweepSummary) -> Option<String> {
    let first = summary.refused.first()?;
    Some(format!(
        "{} of {} connections were not swept, because something of theirs is lost or damaged; {}: \
         {} (platform must act: bring it back from a backup of the store, then run \
         `tidemark sweep {}`)",
        summary.refused_count,
        summary.refused_count + summary.connections,
        first.connection,
        first.reason,
        first.connection,
    ))
}
