//! Whom to listen to while no worker asks for work: all of them may have their hands full, and then
//! only the steps that they are at show that they are there.

use jiff::{SignedDuration, Timestamp};
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::{Listed, RunStatus, ScheduleClient, ScheduleError, ScheduleFilter};

use crate::rules::Watch;

/// So many of those that may have a run are looked at, if nobody is known to be at work.
const MOST: usize = 100;

/// All schedules are listed for that once in so long.
const LISTED_EVERY: SignedDuration = SignedDuration::from_secs(55);

/// Knows who had a turn.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    listed_at: Option<Timestamp>,
    last: Option<ConnectionId>,
}

impl Ear {
    /// Who is to be looked at for that; nobody while workers ask for work.
    ///
    /// # Errors
    /// Temporal does not answer.
    pub(crate) async fn listen(
        &mut self,
        watch: &Watch,
        schedules: &ScheduleClient,
        now: Timestamp,
    ) -> Result<Vec<ConnectionId>, ScheduleError> {
        let Some(known) = watch.listened(now) else { return Ok(Vec::new()) };
        let listed_lately = self.listed_at.is_some_and(|at| now.duration_since(at) < LISTED_EVERY);
        if !known.is_empty() || listed_lately {
            return Ok(known.into_iter().cloned().collect());
        }
        let listed = schedules.list(&ScheduleFilter::default()).await?;
        self.listed_at = Some(now);
        Ok(self.turn(&listed))
    }

    /// Of those whose last run is not known to be over, the next ones.
    fn turn(&mut self, listed: &[Listed]) -> Vec<ConnectionId> {
        let open = |listed: &&Listed| {
            listed.recent.last().is_some_and(|run| {
                // Not every server says it.
                matches!(run.status, RunStatus::Running | RunStatus::Unknown)
            })
        };
        let mut turn: Vec<ConnectionId> =
            listed.iter().filter(open).map(|listed| listed.connection.clone()).collect();
        let had = turn.partition_point(|connection| Some(connection) <= self.last.as_ref());
        turn.rotate_left(had);
        turn.truncate(MOST);
        self.last = turn.last().cloned();
        turn
    }
}

#[cfg(test)]
mod tests {
    use tidemark_schedules::{RunRef, ScheduleAttributes, StartedRun};

    use super::*;

    fn listed(number: usize, status: RunStatus) -> Listed {
        let connection: ConnectionId = format!("acme/l{number:03}").parse().unwrap();
        let run = RunRef { workflow_id: connection.to_string(), run_id: "1".to_owned() };
        let recent = vec![StartedRun { run, scheduled_at: None, started_at: None, status }];
        Listed {
            connection,
            paused: false,
            note: String::new(),
            attributes: ScheduleAttributes::default(),
            recent,
            next_at: Vec::new(),
        }
    }

    #[test]
    fn everybody_who_may_have_a_run_has_a_turn() {
        let mut all: Vec<Listed> =
            (0..250).map(|number| listed(number, RunStatus::Running)).collect();
        all.extend((250..260).map(|number| listed(number, RunStatus::Completed)));
        let mut ear = Ear::default();
        let mut seen: Vec<ConnectionId> = Vec::new();
        for _ in 0..3 {
            let turn = ear.turn(&all);
            assert_eq!(turn.len(), MOST);
            seen.extend(turn);
        }
        assert_eq!(seen[250..], seen[..50], "those had their turn first");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 250, "nobody whose run is over");
        // Those that ended meanwhile are no hindrance.
        assert_eq!(ear.turn(&all[240..]).len(), 10);
        assert!(ear.turn(&[]).is_empty());
    }
}
