//! `verify`: hold what the destination has against the newest commit.

use serde::Serialize;
use tidemark_engine::definitions;
use tidemark_engine::run::{Difference, DifferenceKind, Verified};
use tidemark_model::entry::RunNumber;
use tidemark_model::exception::Verdict;
use tidemark_model::ids::ConnectionId;

use crate::decisions::{self, Decider};
use crate::engine::engine;
use crate::error::Error;
use crate::exit::Exit;
use crate::host::LocalHost;
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::progress::Bars;
use crate::ui::table::Cell;
use crate::ui::text::{counted, grouped};

/// Records that one decision repairs at most; more are sent again as a whole.
const REPAIRED_AT_ONCE: usize = 100_000;

/// Hold what the destination has against the newest commit
///
/// Reads every record back, for a destination whose definition says how. The exit code is 4 if
/// the two differ; what exceptions and held removals explain is no difference.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// Let the next run send again, or remove, what differs
    #[arg(long)]
    repair: bool,

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
    /// The decision that the next run carries out.
    repair: Option<u64>,
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
        match definitions::newest(&folder).await? {
            None => return Err(session.unknown(&self.id).await),
            Some(stored) if stored.definition.is_none() => {
                return Err(Error::Removed { id: self.id, at: stored.applied_at });
            }
            Some(_) => {}
        }
        let who = if self.repair { Some(self.decider.name()?) } else { None };
        let named = if self.repair { REPAIRED_AT_ONCE } else { self.limit };
        let bar = Bars::new(session.ui()).bar(self.id.as_str());
        let host = LocalHost::new(session, &self.id, "verify", bar)?;
        let verified = engine(session).await?.verify(&host, &self.id, named).await;
        host.finish();
        let verified = verified?;
        let difference_count = verified.difference_count();
        let mut found = Found::of(self.id.clone(), &verified, self.limit);
        if let Some(who) = who.filter(|_| difference_count > 0) {
            if verified.surplus_count > 0 {
                let surplus = counted(verified.surplus_count, "record");
                let question = format!("remove {surplus} that only the destination has?");
                session.ui().confirm(&question, self.yes)?;
            }
            found.repair = Some(repair(session, &self.id, &who, verified).await?);
        } else if difference_count > 0 {
            session.ui().note(&format!(
                "`tidemark verify {} --repair` lets the next run mend that",
                self.id
            ));
        }
        session.ui().subject(self.output.output, &found)?;
        Ok(if difference_count == 0 { Exit::Ok } else { Exit::InStepExcept })
    }
}

/// Orders the repair. Whole again are all records after `start --resend`; so many differences are
/// no single mistakes.
async fn repair(
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
    session.ui().note(&format!("the next run does it; now: tidemark start {id} --wait"));
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
                "differences",
                &["WHAT", "KEY", "ID", "FIELDS"],
                self.differences.iter().map(cells).collect(),
            )
    }

    fn name(&self) -> String {
        self.connection.to_string()
    }
}
