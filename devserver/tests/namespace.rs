//! The script that makes the namespace in a deployment, against a real server.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use tidemark_devserver::{TemporalCli, TemporalServer};

use super::cli;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/temporal/namespace.sh");

fn make_namespace(cli: &TemporalCli, server: &TemporalServer) -> Output {
    // The script calls `temporal`, as the container has it.
    let mut path = OsString::from(cli.path().parent().unwrap_or(Path::new("/")));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Command::new("sh")
        .arg(SCRIPT)
        .env("PATH", path)
        .env("TEMPORAL_ADDRESS", server.address())
        .env("TEMPORAL_NAMESPACE", "made-by-script")
        .env("RETENTION", "168h")
        .output()
        .unwrap()
}

#[tokio::test]
async fn is_made_once() {
    let cli = cli().await;
    let server = TemporalServer::options(cli.clone()).start().await.unwrap();

    for expected in ["made-by-script successfully registered", "made-by-script is there"] {
        let output = make_namespace(&cli, &server);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains(expected), "{stdout}");
    }
}
