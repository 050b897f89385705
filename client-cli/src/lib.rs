//! The command line of Tidemark: one binary for every role and every verb.
//!
//! [`run()`] is the whole program but for its allocator and TLS provider. Data goes to stdout,
//! everything else to stderr; the process ends with an [`Exit`].

mod cli;
mod commands;
mod decisions;
#[cfg(feature = "demo")]
mod demo;
mod engine;
mod error;
mod exceptions;
mod exit;
mod files;
mod host;
mod many;
mod on_worker;
mod order;
mod pauses;
mod probe;
mod projected;
mod run;
mod saved;
mod secrets;
mod selection;
mod session;
#[cfg(feature = "demo")]
mod signals;
mod standing;
#[cfg(feature = "demo")]
mod telemetry;
mod ui;

use std::ffi::OsString;

pub use exit::Exit;

use crate::cli::{Cli, Command};
use crate::error::Error;
use crate::session::Session;
use crate::ui::Ui;

/// Runs the program with its arguments, the program's name first.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let ui = Ui;
    let cli = match Cli::read(args) {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return end(ui, Err(Error::Runtime(source))),
    };
    let result = runtime.block_on(dispatch(cli, ui));
    // Blocking reads of stdin would hold up the end.
    runtime.shutdown_background();
    end(ui, result)
}

async fn dispatch(cli: Cli, ui: Ui) -> Result<Exit, Error> {
    let session = Session::new(cli.place, ui);
    match cli.command {
        Command::New(args) => args.run(&session).await,
        Command::Check(args) => args.run(&session).await,
        Command::Apply(args) => args.run(&session).await,
        Command::Get(args) => args.run(&session).await,
        Command::Remove(args) => args.run(&session).await,
        Command::List(args) => args.run(&session).await,
        Command::Lag(args) => Box::pin(args.run(&session)).await,
        Command::Inspect(args) => args.run(&session).await,
        Command::Start(args) => args.run(&session).await,
        Command::Watch(args) => args.run(&session).await,
        Command::Cancel(args) => args.run(&session).await,
        Command::Pause(args) => args.run(&session).await,
        Command::Resume(args) => args.run(&session).await,
        Command::Runs(args) => args.run(&session).await,
        Command::Exceptions(args) => args.run(&session).await,
        Command::Explain(args) => Box::pin(args.run(&session)).await,
        Command::Fresh(args) => args.run(&session).await,
        Command::Preview(args) => Box::pin(args.run(&session)).await,
        Command::Verify(args) => Box::pin(args.run(&session)).await,
        Command::Mute(args) => args.run(&session).await,
        Command::Doctor(args) => Box::pin(args.run(&session)).await,
        Command::Setup(args) => args.run(&session).await,
        Command::Sweep(args) => args.run(&session).await,
        Command::Worker(args) => args.run().await,
        Command::Monitor(args) => Box::pin(args.run(&session)).await,
        Command::Gateway(args) => args.run(&session).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => args.run(ui).await,
        #[cfg(feature = "demo")]
        Command::Simulator(args) => args.run(ui).await,
        Command::Completions(args) => args.run(ui),
    }
}

fn end(ui: Ui, result: Result<Exit, Error>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) => {
            let exit = error.exit();
            if exit != Exit::Ok {
                ui.error(&error);
            }
            exit
        }
    }
}

/// Help and version are answers, anything else of clap's is a wrong call.
fn told(error: &clap::Error) -> Exit {
    let printed = error.print();
    if error.use_stderr() || printed.is_err_and(|error| !broken_pipe(&error)) {
        Exit::Usage
    } else {
        Exit::Ok
    }
}

fn broken_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}
