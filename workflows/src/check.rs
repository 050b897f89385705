//! The workflow `CheckConnection`: both ends of a definition, asked where the secrets are.
//!
//! It is one activity, so that it needs a worker and nothing else: no store, no schedule, no
//! search attribute. The definition need not be applied.

use std::time::Duration;

use temporalio_common::{ActivityCloseTimeouts, ActivityError, RetryPolicy};
use temporalio_macros::{activity_definitions, workflow, workflow_methods};
use temporalio_workflow::{ActivityOptions, WorkflowContext, WorkflowResult};
use tidemark_model::check::{CheckReport, CheckRequest};

/// How long both ends may take: the time after which Mailchimp itself gives a request up, twice,
/// since one request follows another.
const ATTEMPT: Duration = Duration::from_mins(4);
/// How long it may take until a worker has a place free for it.
const WAIT: Duration = Duration::from_mins(1);
/// A check whose worker was lost is made once more.
const ATTEMPTS: u32 = 2;

/// The most time between the start of a check and its end, whatever happens.
pub const CHECK_TIMEOUT: Duration = Duration::from_mins(10);

/// The activities of a check. Implemented where the connectors are within reach.
pub struct CheckActivities;

#[activity_definitions]
impl CheckActivities {
    /// Asks both ends. What they refuse is part of the report; the samples in it are masked.
    #[activity(name = "check_connection")]
    pub fn check_connection(_: CheckRequest) -> Result<CheckReport, ActivityError> {
        unimplemented!()
    }
}

/// The contracts that an implementation names: `#[activity(definition = …)]`.
pub mod contract {
    pub use super::check_activities::CheckConnection;
}

/// Asks both ends of a definition, once.
#[workflow]
#[derive(Default)]
pub struct CheckConnection;

#[workflow_methods]
impl CheckConnection {
    /// Hands the definition to a worker, and its report back.
    #[run(name = "CheckConnection")]
    pub async fn run(
        ctx: &mut WorkflowContext<Self>,
        request: CheckRequest,
    ) -> WorkflowResult<CheckReport> {
        let options =
            ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::StartToClose(ATTEMPT))
                .schedule_to_start_timeout(WAIT)
                .retry_policy(RetryPolicy::builder().maximum_attempts(ATTEMPTS).build())
                .summary(format!("check {}", request.definition.id()))
                .build();
        Ok(ctx.execute_activity(CheckActivities::check_connection, request, options).await?)
    }
}
