//! The demo: real parts on free ports of this machine, and a story that is played on them.
//!
//! Everything an operator would type is typed: the verbs are called as child processes of this
//! same program, and shown.

mod compare;
mod places;
mod program;
mod story;

use crate::error::Error;
use crate::exit::Exit;
use crate::ui::Ui;

use places::Places;
use story::Story;

/// What kept the demo from being played to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("no Temporal server for the demo")]
    Temporal(#[from] tidemark_devserver::DevServerError),
    #[error("the demo's simulator failed")]
    Simulator(#[source] std::io::Error),
    #[error("the simulated world refused")]
    World(#[from] tidemark_simulator::WorldError),
    #[error("the demo's folder or processes failed")]
    Process(#[from] std::io::Error),
    #[error("`tidemark {verb}` ended with {code}")]
    Verb { verb: String, code: String },
}

/// Plays the story, and stays until Ctrl-C unless `exit` is set.
///
/// # Errors
/// What kept it from being played to its end.
pub(crate) async fn play(ui: Ui, members: u32, exit: bool) -> Result<Exit, Error> {
    tokio::select! {
        played = Box::pin(run(ui, members, exit)) => played.map_err(Error::Demo),
        // The parts end with the future that held them.
        _ = tokio::signal::ctrl_c() => Ok(if exit { Exit::Failed } else { Exit::Ok }),
    }
}

async fn run(ui: Ui, members: u32, exit: bool) -> Result<Exit, DemoError> {
    let mut places = Places::open(ui, members).await?;
    let in_step = Story::new(ui, &mut places).play().await?;
    ui.note(&places.farewell(in_step));
    if !exit {
        std::future::pending::<()>().await;
    }
    places.close().await;
    Ok(if in_step { Exit::Ok } else { Exit::Failed })
}
