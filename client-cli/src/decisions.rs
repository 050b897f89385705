//! What operators decide: writing it down, and telling of it.

use jiff::Timestamp;
use serde::Serialize;
use tidemark_engine::run::{decide, decisions, is_taken_back};
use tidemark_engine::store::Folder;
use tidemark_model::entry::{Manifest, RunNumber};
use tidemark_model::exception::{Decision, HeldRemovals, Verdict};
use tidemark_model::ids::ConnectionId;

use crate::error::Error;
use crate::session::Session;
use crate::ui::text::number_of;
use crate::ui::time::instant;

/// Who decides.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Decider {
    /// In whose name it is decided; $USER if nothing is said
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
}

impl Decider {
    /// The name that a decision carries.
    ///
    /// # Errors
    /// Nobody can be named.
    pub(crate) fn name(&self) -> Result<String, Error> {
        let user = || std::env::var("USER").ok();
        self.name.clone().or_else(user).filter(|name| !name.trim().is_empty()).ok_or_else(|| {
            Error::usage("a decision carries a name, and USER is not set here", "say --as NAME")
        })
    }
}

/// Writes a decision down, and says on stderr in whose name.
///
/// # Errors
/// The store's.
pub(crate) async fn write(
    session: &Session,
    id: &ConnectionId,
    who: &str,
    commit: Option<RunNumber>,
    verdict: Verdict,
) -> Result<Decision, Error> {
    let folder = session.store().await?.connection(id);
    let decision = decide(&folder, who, Timestamp::now(), commit, verdict).await?;
    let what = sentence(&decision.verdict);
    session.ui().note(&format!("{id}: decision {} by {who}: {what}", decision.number));
    Ok(decision)
}

/// A decision as verbs show it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) who: String,
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    pub(crate) verdict: Verdict,
}

impl From<Decision> for Told {
    fn from(decision: Decision) -> Self {
        let Decision { number, who, at, verdict, .. } = decision;
        Self { number, who, at, what: sentence(&verdict), verdict }
    }
}

impl Told {
    /// `decision 3 by ops at 2026-11-21T10:00:00Z: approve all 120 held removals`.
    pub(crate) fn sentence(&self) -> String {
        format!("decision {} by {} at {}: {}", self.number, self.who, instant(self.at), self.what)
    }
}

/// The decisions that wait for the next run, oldest first.
///
/// # Errors
/// The store's.
pub(crate) async fn open(folder: &Folder, manifest: Option<&Manifest>) -> Result<Vec<Told>, Error> {
    let mut open = Vec::new();
    for decision in decisions(folder, manifest.map_or(0, |manifest| manifest.decided)).await? {
        if !is_taken_back(folder, decision.number).await? {
            open.push(decision.into());
        }
    }
    Ok(open)
}

/// The last decisions that were not carried out, because what they were about had moved on.
///
/// # Errors
/// The store's.
pub(crate) async fn stale(
    folder: &Folder,
    manifest: Option<&Manifest>,
) -> Result<Vec<Told>, Error> {
    let numbers = manifest.map_or(&[][..], |manifest| &manifest.stale_decisions);
    let Some(first) = numbers.iter().min() else { return Ok(Vec::new()) };
    let all = decisions(folder, first - 1).await?.into_iter();
    Ok(all.filter(|decision| numbers.contains(&decision.number)).map(Told::from).collect())
}

/// What is to be done, in words.
pub(crate) fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Approve(removals) => format!("carry out {}", held(removals)),
        Verdict::Waive { removals, why } => format!("do without {}: {why}", held(removals)),
        Verdict::Retry { keys } => format!("try {} again", number_of(keys.len(), "exception")),
        Verdict::Ignore { keys, why } => {
            format!("accept {}: {why}", number_of(keys.len(), "exception"))
        }
        Verdict::ReadInFull => "read the whole list".to_owned(),
        Verdict::SendAgain => "send every record again".to_owned(),
        Verdict::Repair { records } => {
            format!("repair {} at the destination", number_of(records.len(), "record"))
        }
        Verdict::RemoveRecords { .. } => "remove every record".to_owned(),
        Verdict::Exactly(_) => "send exactly what a preview showed".to_owned(),
    }
}

fn held(removals: &HeldRemovals) -> String {
    match &removals.ids {
        None => format!("all {} held removals", removals.hold.row_count),
        Some(ids) => number_of(ids.len(), "held removal"),
    }
}
