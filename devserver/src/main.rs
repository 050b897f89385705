//! `tidemark-devserver`: the Temporal CLI and its development server by hand, for the project's own
//! tools. Not part of the product.

use std::io::{self, Write};
use std::process::ExitCode;

use tidemark_devserver::TemporalServer;

const USAGE: &str = "\
usage: tidemark-devserver find     the path of the Temporal CLI, built first if there is none
       tidemark-devserver start    a server on free ports; its address; until stdin ends
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["find"] => find().await,
        ["start"] => Box::pin(start()).await,
        _ => {
            report(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("error: {error}\n");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!("caused by: {error}\n"));
                cause = error.source();
            }
            report(&text);
            ExitCode::FAILURE
        }
    }
}

async fn find() -> Result<(), Box<dyn std::error::Error>> {
    let cli = tidemark_devserver::find(&report_line).await?;
    writeln!(io::stdout(), "{}", cli.path().display())?;
    Ok(())
}

async fn start() -> Result<(), Box<dyn std::error::Error>> {
    let cli = tidemark_devserver::find(&report_line).await?;
    let mut server = TemporalServer::options(cli).start().await?;
    let pid = server.pid().map(|pid| pid.to_string()).unwrap_or_default();
    writeln!(io::stdout(), "{} {pid} {}", server.address(), server.folder().display())?;
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    server.stop().await;
    Ok(())
}

fn report_line(line: &str) {
    report(&format!("{line}\n"));
}

/// Nobody can be told that stderr is closed.
fn report(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}
