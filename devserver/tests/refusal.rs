//! Servers that do not come up, and what is said about it.

use std::fs;
use std::process::{Command, Output};

use super::{cli, script};

fn devserver(verb: &str, cli: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidemark-devserver"))
        .arg(verb)
        .env("TEMPORAL_CLI", cli)
        .output()
        .unwrap()
}

#[test]
fn server_that_ends_shows_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let cli = script(folder.path(), "echo 'unable to open database file' >&2; exit 3");

    let output = devserver("start", &cli);

    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @r"
    error: the Temporal server ended before it answered (exit status: 3); its log says:
    unable to open database file
    ");
}

#[tokio::test]
async fn port_that_was_taken_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let ports = folder.path().join("ports");
    let wrapper = script(
        folder.path(),
        &format!(
            r#"echo "$*" | sed 's/.*--port \([0-9]*\).*/\1/' >> {ports}
[ "$(wc -l < {ports})" -gt 1 ] || {{ echo 'bind: address already in use' >&2; exit 1; }}
exec {temporal} "$@""#,
            ports = ports.display(),
            temporal = cli().await.path().display(),
        ),
    );

    let output = devserver("start", &wrapper);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ports = fs::read_to_string(ports).unwrap();
    let [taken, other] = ports.lines().collect::<Vec<_>>()[..] else {
        panic!("two attempts, not {ports:?}");
    };
    assert_ne!(taken, other);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!(":{other} ")));
}

#[test]
fn named_cli_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();

    let output = devserver("find", &folder.path().join("temporal"));

    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.replace(folder.path().to_str().unwrap(), "[folder]");
    insta::assert_snapshot!(stderr, @r"
    error: cannot run [folder]/temporal, which TEMPORAL_CLI names; set TEMPORAL_CLI to the path of a Temporal CLI, or unset it to search PATH
    caused by: No such file or directory (os error 2)
    ");
}
