//! The run that a text names.

use tidemark_engine::log::{Log, LogEntry};
use tidemark_model::entry::RunNumber;
use tidemark_model::ids::ConnectionId;

use super::past::{Run, completed, recent};
use crate::error::Error;
use crate::session::Session;
use crate::ui::text::joined;

/// The number that a text is. The ids of runs begin with digits as well, with a 0 for a long time to
/// come, and no number but 0 does.
fn number(name: &str) -> Option<RunNumber> {
    let begins_an_id = name.len() > 1 && name.starts_with('0');
    if begins_an_id { None } else { name.parse().ok().map(RunNumber::new) }
}

/// The one run whose id begins so. Run ids begin with the time, so those of runs that began one
/// after the other begin alike.
///
/// # Errors
/// None does, or more than one, which are named.
fn beginning(connection: &ConnectionId, runs: Vec<Run>, name: &str) -> Result<Run, Error> {
    let mut found: Vec<Run> = runs.into_iter().filter(|run| run.run_id.starts_with(name)).collect();
    match found.len() {
        0 => Err(Error::NoRun { id: connection.clone(), run: name.to_owned() }),
        1 => Ok(found.remove(0)),
        count => {
            let ids: Vec<&str> = found.iter().map(|run| run.run_id.as_str()).collect();
            Err(Error::usage(
                format!("{count} runs of {connection} begin with {name}: {}", joined(&ids, 4)),
                "say more of the run id, or the run's number",
            ))
        }
    }
}

/// The run that a text names: its number, its run id, or the beginning of one.
///
/// # Errors
/// None is called so, or more than one, or Temporal or the store does not answer.
pub(crate) async fn find(
    session: &Session,
    connection: &ConnectionId,
    name: &str,
) -> Result<Run, Error> {
    /// Runs that are looked through for the beginning of a run id.
    const LOOKED_THROUGH: usize = 1_000;

    let Some(number) = number(name) else {
        let runs = recent(session, connection, LOOKED_THROUGH).await?;
        return beginning(connection, runs, name);
    };
    let folder = session.store().await?.connection(connection);
    let log = Log::open(&folder).await?;
    let Some(prepared) = log.prepared(number).await? else {
        return Err(Error::NoRun { id: connection.clone(), run: name.to_owned() });
    };
    let committed = log.committed(number).await?;
    let entry = LogEntry { prepared, committed };
    let of_log = Run::of_log(&entry);
    let run = match session.temporal().await?.known_run(&of_log.reference()).await? {
        Some(known) => known.with(&entry),
        None => of_log,
    };
    completed(session, connection, run).await
}

#[cfg(test)]
mod tests {
    use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
    use temporalio_common::protos::temporal::api::workflow::v1::WorkflowExecutionInfo;

    use super::*;

    fn run(run_id: &str) -> Run {
        let execution =
            WorkflowExecution { workflow_id: "acme/news".to_owned(), run_id: run_id.to_owned() };
        Run::of_temporal(WorkflowExecutionInfo {
            execution: Some(execution),
            ..WorkflowExecutionInfo::default()
        })
    }

    #[test]
    fn the_beginning_of_a_run_id_is_no_number() {
        assert_eq!(number("77"), Some(RunNumber::new(77)));
        assert_eq!(number("0"), Some(RunNumber::new(0)));
        for beginning in ["019", "00", "019aa0c2", "77a", ""] {
            assert_eq!(number(beginning), None, "{beginning}");
        }
    }

    #[test]
    fn a_beginning_that_several_runs_have_names_none_of_them() {
        let id = "acme/news".parse().unwrap();
        let runs = || vec![run("019aa0c2-7c4f"), run("019aa0c2-7c50"), run("019aa0d1-0001")];
        let one = beginning(&id, runs(), "019aa0d").unwrap();
        assert_eq!(one.run_id, "019aa0d1-0001");
        let several = beginning(&id, runs(), "019aa0c2").unwrap_err().to_string();
        assert_eq!(
            several,
            "2 runs of acme/news begin with 019aa0c2: 019aa0c2-7c4f and 019aa0c2-7c50"
        );
        assert!(matches!(beginning(&id, runs(), "019b"), Err(Error::NoRun { .. })));
    }
}
