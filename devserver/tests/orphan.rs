//! The server and the shell it is started from: it takes no setting of it, and ends with it.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{cli, lives};

/// `tidemark-devserver start` in a process of its own.
struct Started {
    child: Child,
    address: String,
    pid: u32,
    folder: PathBuf,
}

impl Started {
    fn by(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, pid, folder] = words.as_slice() else {
            panic!("it did not start: `{line}`, {:?}", child.wait());
        };
        Self {
            address: (*address).to_owned(),
            pid: pid.parse().unwrap(),
            folder: folder.into(),
            child,
        }
    }
}

fn devserver(cli: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark-devserver"));
    command.arg("start").env("TEMPORAL_CLI", cli);
    command
}

/// Reads until the other side is gone. A server that lives on would keep the connection; then the
/// limit turns a test that hangs into one that fails.
fn wait_for_end(mut connection: TcpStream) {
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    if let Err(error) = connection.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn ends_when_its_parent_is_killed() {
    let mut started = Started::by(&mut devserver(cli().await.path()));
    let connection = TcpStream::connect(&started.address).expect("the server listens");

    started.child.kill().unwrap();
    started.child.wait().unwrap();

    // The kernel closes the connection when the server's process is gone; that is the event.
    // Whoever adopts the orphan may not have buried it yet, so its id would not tell.
    wait_for_end(connection);
    // The kernel may close the listening socket a moment after its connections. Until then it takes
    // new ones, and closes those as well.
    while let Ok(connection) = TcpStream::connect(&started.address) {
        wait_for_end(connection);
    }
    assert!(!started.folder.exists(), "the guard removed the temporary folder");
}

#[tokio::test]
async fn ends_with_a_parent_that_leaves_in_good_order() {
    let mut started = Started::by(&mut devserver(cli().await.path()));
    assert!(lives(started.pid));

    drop(started.child.stdin.take());

    assert!(started.child.wait().unwrap().success());
    assert!(!lives(started.pid));
    assert!(!started.folder.exists());
}

#[tokio::test]
async fn takes_no_setting_from_the_shell() {
    let cli = cli().await;
    let home = tempfile::tempdir().unwrap();
    let environments = home.path().join(".config/temporalio/temporal.yaml");
    let profiles = home.path().join(".config/temporal/temporal.toml");
    for (path, text) in [
        (&environments, "env:\n  default:\n    log-level: bogus\n    port: bogus\n"),
        (&profiles, "this is [not toml"),
    ] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    // Nothing listens at port 1, and there is no environment `elsewhere`.
    let spoil = |command: &mut Command| {
        command
            .env("HOME", home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env("TEMPORAL_ADDRESS", "127.0.0.1:1")
            .env("TEMPORAL_NAMESPACE", "elsewhere")
            .env("TEMPORAL_CONFIG_FILE", &profiles);
    };
    let complaint = |variable: Option<&str>| {
        let mut command = Command::new(cli.path());
        command.args(["operator", "cluster", "health"]);
        spoil(&mut command);
        command.envs(variable.map(|name| (name, "elsewhere")));
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // The shell is one in which the CLI itself goes wrong, or the test would prove nothing.
    assert!(complaint(None).contains("bogus"), "{}", complaint(None));
    let environment = complaint(Some("TEMPORAL_ENV"));
    assert!(
        environment.contains("elsewhere") && environment.contains("not found"),
        "{environment}"
    );

    let mut command = devserver(cli.path());
    spoil(&mut command);
    let mut started = Started::by(command.env("TEMPORAL_ENV", "elsewhere"));

    assert_ne!(started.address, "127.0.0.1:1");
    TcpStream::connect(&started.address).expect("the server listens");
    drop(started.child.stdin.take());
    assert!(started.child.wait().unwrap().success());
}
