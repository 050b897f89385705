//! `runs`: the runs of a connection, or one of them in full.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_model::ids::ConnectionId;
use tidemark_model::progress::Stage;
use tidemark_schedules::OpenRun;

use crate::error::Error;
use crate::exit::Exit;
use crate::run::{
    self, Run, StepTaken, hold_details, open_sentence, receipt_details, who_must_act,
};
use crate::selection;
use crate::session::Session;
use crate::ui::details::Details;
use crate::ui::output::{OutputArgs, Subject};
use crate::ui::time::instant_and_age;

/// Show the runs of a connection, or one of them in full
///
/// One in full shows its receipt or its error, its attempts, and who must act.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, account/connection
    #[arg(value_name = "ID", value_parser = selection::connection)]
    id: ConnectionId,

    /// One run: its number, its run id, or the beginning of that
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// How many runs
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 20,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        conflicts_with = "run"
    )]
    limit: u16,

    #[command(flatten)]
    output: OutputArgs,
}

/// A run in full.
#[derive(Debug, Serialize)]
struct InFull {
    connection: ConnectionId,
    run: Run,
    open: Option<OpenRun>,
    /// Of the past, as far as Temporal still knows them.
    steps: Vec<StepTaken>,
    who_must_act: Option<&'static str>,
    link: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, Error> {
        let ui = session.ui();
        let Some(name) = self.run else {
            let runs = run::recent(session, &self.id, usize::from(self.limit)).await?;
            if runs.is_empty() {
                session.schedule(&self.id).await?;
                ui.note(&format!("{} has not run yet", self.id));
            }
            ui.entries(self.output.output, &runs)?;
            return Ok(Exit::Ok);
        };
        let run = run::find(session, &self.id, &name).await?;
        let open = if run.ended_at.is_none() {
            session.temporal().await?.schedules.look_at(&run.reference()).await.ok()
        } else {
            None
        };
        let steps = session.temporal().await?.steps(&run.reference()).await?;
        let in_full = InFull {
            link: session.links()?.run(&run.reference()),
            who_must_act: run.ended.as_ref().and_then(|ended| ended.class()).map(who_must_act),
            connection: self.id,
            run,
            open,
            steps,
        };
        ui.subject(self.output.output, &in_full)?;
        Ok(Exit::Ok)
    }
}

impl Subject for InFull {
    fn details(&self) -> Details {
        let now = Timestamp::now();
        let Run { number, workflow_id, run_id, outcome, started_at, prepared_at, ended_at, .. } =
            &self.run;
        let mut details = Details::default()
            .section("run")
            .pair("connection", self.connection.as_str())
            .pair_if("number", number.map(|number| number.to_string()))
            .pair("outcome", outcome)
            .pair_if("started", started_at.map(|at| instant_and_age(now, at)))
            .pair_if("prepared", prepared_at.map(|at| instant_and_age(now, at)))
            .pair_if("ended", ended_at.map(|at| instant_and_age(now, at)))
            .pair_if("now", self.open.as_ref().map(|open| open_sentence(open, now)))
            .pair("workflow", workflow_id)
            .pair("run id", run_id)
            .pair_if("link", self.link.as_deref());
        if let Some(receipt) = &self.run.receipt {
            details = receipt_details(details, receipt, now);
        }
        if let Some(hold) = &self.run.hold {
            details = hold_details(details, &self.connection, hold);
        }
        if let Some(ended) = &self.run.ended {
            details = details
                .section("end")
                .pair("step", Stage::as_str(ended.stage))
                .pair("attempts", ended.attempt_count.to_string());
            if let Some(failure) = &ended.failure {
                details = details
                    .pair("error", &failure.message)
                    .pair_if(
                        "caused by",
                        (!failure.causes.is_empty()).then(|| failure.causes.join("\n")),
                    )
                    .pair_if("who must act", self.who_must_act)
                    .pair_if("hint", failure.hint.as_deref());
            }
        }
        let steps = self.steps.iter().map(StepTaken::cells).collect();
        details.table("steps", StepTaken::COLUMNS, steps)
    }

    fn name(&self) -> String {
        self.run.run_id.clone()
    }
}
