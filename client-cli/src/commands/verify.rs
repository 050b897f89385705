//! `verify`: hold what the destination has against the newest commit.

use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::run::{Difference, DifferenceKind, Verified};
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::Verdict;
use tidemark_model::failure::Side;
use tidemark_model::ids::ConnectionId;
use tidemark_schedules::Description;

use crate::commands::start;
use crate::decisions::{self, Decider};
use crate::engine::engine;
use crate::error::Error;
use crate::exit::Exit;
use crate::host::LocalHost;
use crate::many::Report;
use crate::secrets;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{Entry as _, OutputArgs, Subject};
use crate::ui::progress::Bars;
use crate::ui::table::Cell;
use crate::ui::text::{counted, grouped};

/// Records that one decision repairs at most; more are sent again as a whole.
const REPAIRED_AT_ONCE: usize = 100_000;

/// Hold what the destination has against the newest commit
///
/// Reads every record back, for a destination whose definition says how. The exit code is 4 if
/// the two differ; what exceptions and held removals explain is no difference. With --repair a run
/// is started that mends it, and the exit code is what `start` says; if the connection is paused
/// or a run is at work, the next run does it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// Send again, or remove, what differs
    #[arg(long)]
    repair: bool,

    /// Wait for the run that repairs; the exit code is that of the run
    #[arg(short, long, requires = "repair")]
    wait: bool,

    /// How many differences are shown
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,

    /// Repair without asking, also if records are removed
    #[arg(short, long, requires = "repair")]
    yes: bool,

    #[command(flatten)]
    decider: Decider,

    #[command(flatten)]
    output: OutputArgs,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    connection: ConnectionId,
    commit: RunNumber,
    equal_count: u64,
    missing_count: u64,
    different_count: u64,
    surplus_count: u64,
    excused_count: u64,
    differences: Vec<Shown>,
    destination_request_count: u64,
    /// The decision that a run carries out.
    repair: Option<u64>,
    /// The run that was started for it.
    started: Option<Report>,
}

#[derive(Debug, Serialize)]
struct Shown {
    kind: &'static str,
    key: String,
    id: String,
    fields: Vec<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let folder = session.store().await?.connection(&self.id);
        let Some(stored) = definitions::newest(&folder).await? else {
            return Err(session.unknown(&self.id).await);
        };
        let Some(definition) = stored.definition else {
            return Err(session.removed(&self.id, stored.applied_at).await);
        };
        secrets::require(&definition, &[Side::Destination])?;
        let who = if self.repair {
            let who = self.decider.name()?;
            // Told before millions of records are read. A repair of a connection that has no
            // schedule would wait for it for ever.
            session.announce().await?;
            session.schedule(&self.id).await?;
            Some(who)
        } else {
            None
        };
        let named = if self.repair { REPAIRED_AT_ONCE } else { self.limit };
        let bar = Bars::new(session.ui()).bar(self.id.as_str());
        let host = LocalHost::new(session, &self.id, "verify", bar)?;
        let verified = engine(session).await?.verify(&host, &self.id, named).await;
        host.finish();
        let verified = verified?;
        let mut found = Found::of(self.id.clone(), &verified, self.limit);
        let exit = match who {
            _ if verified.difference_count() == 0 => Ok(Exit::Ok),
            None => {
                let note = format!("`tidemark verify {} --repair` mends that", self.id);
                session.ui().note(&note);
                Ok(Exit::InStepExcept)
            }
            Some(who) => self.mend(session, &who, verified, &mut found).await,
        };
        // What was found is told also if the repair was declined or failed.
        session.ui().subject(self.output.output, &found)?;
        exit
    }

    /// Orders the repair, and starts the run that carries it out. `found` says how far it came.
    async fn mend(
        &self,
        session: &Session,
        who: &str,
        verified: Verified,
        found: &mut Found,
    ) -> Result<Exit, Error> {
        if verified.surplus_count > 0 {
            // Nobody answers about records that were not shown. On stdout they follow with the
            // answer, as one document.
            if !self.yes && session.ui().can_ask() {
                session.ui().note(found.details().to_string().trim_end());
            }
            let surplus = counted(verified.surplus_count, "record");
            let question = format!("remove {surplus} that only the destination has?");
            session.ui().confirm(&question, self.yes)?;
        }
        // It may have been paused or removed, or begun to run, while the destination was read.
        let schedule = session.schedule(&self.id).await?;
        found.repair = Some(order(session, &self.id, who, verified).await?);
        found.started = self.start(session, &schedule).await?;
        Ok(found.started.as_ref().map_or(Exit::InStepExcept, Report::exit))
    }

    /// Starts the run that repairs. Whoever paused the connection says when it runs again, and a
    /// run at work began without the order.
    async fn start(
        &self,
        session: &Session,
        schedule: &Description,
    ) -> Result<Option<Report>, Error> {
        let id = &self.id;
        let why_not = if schedule.paused {
            Some("it is paused")
        } else if schedule.running.is_empty() {
            None
        } else {
            Some("a run is at work")
        };
        if let Some(why_not) = why_not {
            session.ui().note(&format!(
                "{id}: {why_not}, so no run was started for the repair; the next one does it: \
                 tidemark start {id} --wait"
            ));
            return Ok(None);
        }
        let trigger = start::trigger(session, id).await?;
        let report = if self.wait {
            start::wait(session, id, &trigger, &Bars::new(session.ui())).await?
        } else {
            start::started(session, id, &trigger).await?
        };
        Ok(Some(report))
    }
}

/// Orders the repair. Whole again are all records after `start --resend`; so many differences are
/// no single mistakes.
async fn order(
    session: &Session,
    id: &ConnectionId,
    who: &str,
    verified: Verified,
) -> Result<u64, Error> {
    if verified.difference_count() > verified.differences.len() as u64 {
        return Err(Error::usage(
            format!(
                "{} differ, more than are repaired one by one",
                counted(verified.difference_count(), "record")
            ),
            format!("send every record again: tidemark start {id} --resend"),
        ));
    }
    let records = verified.differences.into_iter().map(|one| one.record).collect();
    let verdict = Verdict::Repair { records };
    let decision = decisions::write(session, id, who, Some(verified.commit), verdict).await?;
    Ok(decision.number)
}

impl Found {
    fn of(connection: ConnectionId, verified: &Verified, limit: usize) -> Self {
        let shown = |difference: &Difference| Shown {
            kind: match difference.kind {
                DifferenceKind::Missing => "missing",
                DifferenceKind::Different => "different",
                DifferenceKind::Surplus => "surplus",
            },
            key: difference.record.key.clone(),
            id: difference.record.id.clone(),
            fields: difference.fields.clone(),
        };
        Self {
            connection,
            commit: verified.commit,
            equal_count: verified.equal_count,
            missing_count: verified.missing_count,
            different_count: verified.different_count,
            surplus_count: verified.surplus_count,
            excused_count: verified.excused_count,
            differences: verified.differences.iter().take(limit).map(shown).collect(),
            destination_request_count: verified.cost.request_count,
            repair: None,
            started: None,
        }
    }
}

impl Subject for Found {
    fn details(&self) -> Details {
        let cells = |shown: &Shown| {
            vec![
                Cell::new(shown.kind),
                Cell::new(&shown.key),
                Cell::new(&shown.id),
                Cell::or_none((!shown.fields.is_empty()).then(|| shown.fields.join(", "))),
            ]
        };
        Details::default()
            .section("the destination, read back")
            .pair("connection", self.connection.as_str())
            .pair("against", format!("run {}", self.commit))
            .pair("equal", grouped(self.equal_count))
            .pair("missing", grouped(self.missing_count))
            .pair("different", grouped(self.different_count))
            .pair("surplus", grouped(self.surplus_count))
            .pair("explained", grouped(self.excused_count))
            .pair("asked", counted(self.destination_request_count, "destination request"))
            .pair_if("repair", self.repair.map(|number| format!("decision {number}")))
            .table(
                "the run that repairs",
                Report::COLUMNS,
                self.started.iter().map(Report::cells).collect(),
            )
            .table(
                "differences",
                &["WHAT", "KEY", "ID", "FIELDS"],
                self.differences.iter().map(cells).collect(),
            )
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}
