//! The search, with stand-ins for the programs that it looks for: shell scripts.

use std::fs;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;

/// A folder with executable scripts in it.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.folder.path().join("bin").join(name);
        // Written by a child: while this process has a file open for writing, a child that another
        // test starts inherits it for a moment, and the file cannot be run ("text file busy").
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod +x \"$2\"",
                "sh",
                body,
            ])
            .arg(&path)
            .status();
        assert!(status.unwrap().success());
        path
    }

    /// `PATH` has the scripts only; the cache is empty.
    fn search(&self) -> Search {
        Search {
            named: None,
            path: Some(self.folder.path().join("bin").into()),
            cache: Some(self.folder.path().join("cache")),
        }
    }

    /// The error's text, with the machine's folder replaced.
    async fn refusal(&self, search: &Search) -> String {
        let error = search.find(&|_| {}).await.expect_err("nothing acceptable is there");
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text.push_str(&format!("\ncaused by: {source}"));
        }
        text.replace(self.folder.path().to_str().unwrap(), "[machine]")
    }
}

const TEMPORAL: &str = "echo 'temporal version 9.9.9 (Server 9.9, UI 9.9)'";
/// What `go install` does, as far as we can see it: a program in GOBIN. It notes that it ran.
const GO: &str = r#"echo "$@" >> "$(dirname "$0")/calls"
printf '#!/bin/sh\necho temporal version 1.5.1\n' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal""#;

#[tokio::test]
async fn named_wins_over_path() {
    let machine = Machine::new();
    machine.script("temporal", "exit 1");
    let mut search = machine.search();
    search.named = Some(machine.script("mine", TEMPORAL));

    let cli = search.find(&|_| {}).await.unwrap();

    assert_eq!(Some(cli.path()), search.named.as_deref());
    assert_eq!(cli.version(), "temporal version 9.9.9 (Server 9.9, UI 9.9)");
}

#[tokio::test]
async fn path_wins_over_cache() {
    let machine = Machine::new();
    let on_path = machine.script("temporal", TEMPORAL);
    machine.script("go", GO);

    let cli = machine.search().find(&|_| {}).await.unwrap();

    assert_eq!(cli.path(), on_path);
    assert!(!machine.folder.path().join("cache").exists());
}

#[tokio::test]
async fn built_once_by_searches_that_start_together() {
    let machine = Machine::new();
    machine.script("go", GO);
    // The script needs these two; nothing else of the machine's own PATH is needed.
    let mut search = machine.search();
    let path = [machine.folder.path().join("bin"), "/usr/bin".into(), "/bin".into()];
    search.path = Some(env::join_paths(path).unwrap());
    assert_eq!(on_path(search.path.as_deref(), "temporal"), None, "a CLI is installed here");
    let lines = Mutex::new(Vec::new());
    let note = |line: &str| lines.lock().unwrap().push(line.to_owned());

    let (one, other) = tokio::join!(search.find(&note), search.find(&note));
    let again = search.find(&note).await.unwrap();

    let expected = machine.folder.path().join("cache/tidemark/temporal/v1.5.1/temporal");
    for cli in [one.unwrap(), other.unwrap(), again] {
        assert_eq!(cli.path(), expected);
        assert_eq!(cli.version(), "temporal version 1.5.1");
    }
    let calls = fs::read_to_string(machine.folder.path().join("bin/calls")).unwrap();
    assert_eq!(calls, "install github.com/temporalio/cli/cmd/temporal@v1.5.1\n");
    let lines = lines.into_inner().unwrap();
    assert!(
        lines.contains(&"building the Temporal CLI v1.5.1 (once, about 3 minutes): 0 s".to_owned()),
        "{lines:?}"
    );
    let left: Vec<_> = fs::read_dir(expected.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "only the lock is left beside it: {left:?}");
}

#[tokio::test]
async fn failed_build_leaves_nothing_and_says_why() {
    let machine = Machine::new();
    machine.script("go", "echo 'go: module lookup disabled by GOPROXY=off' >&2; exit 1");
    let search = machine.search();

    insta::assert_snapshot!(machine.refusal(&search).await, @r"
    building the Temporal CLI failed (exit status: 1): `go install github.com/temporalio/cli/cmd/temporal@v1.5.1`
    go: module lookup disabled by GOPROXY=off
    mend that, or install a Temporal CLI and set TEMPORAL_CLI to its path
    ");
    assert!(!machine.folder.path().join("cache/tidemark/temporal/v1.5.1/temporal").exists());
}

#[tokio::test]
async fn nothing_found_names_the_ways() {
    let machine = Machine::new();
    insta::assert_snapshot!(machine.refusal(&machine.search()).await, @r"
    no Temporal CLI: TEMPORAL_CLI is not set, `temporal` is not on PATH, and there is no `go` on PATH to build one
    get one in any of these ways:
      1. install it, so that `temporal` is on PATH: https://docs.temporal.io/cli#install
      2. set TEMPORAL_CLI to the path of a Temporal CLI
      3. install Go (https://go.dev/dl), and it is built once, in about 3 minutes, into [machine]/cache/tidemark/temporal/v1.5.1
    ");
}

#[tokio::test]
async fn nothing_found_without_a_home() {
    let machine = Machine::new();
    let search = Search { cache: None, ..machine.search() };
    insta::assert_snapshot!(machine.refusal(&search).await, @r"
    no Temporal CLI: TEMPORAL_CLI is not set, `temporal` is not on PATH, and neither HOME nor XDG_CACHE_HOME says where to build one
    get one in any of these ways:
      1. install it, so that `temporal` is on PATH: https://docs.temporal.io/cli#install
      2. set TEMPORAL_CLI to the path of a Temporal CLI
      3. install Go (https://go.dev/dl), and it is built once, in about 3 minutes, into ~/.cache
    ");
}

#[tokio::test]
async fn named_but_missing() {
    let machine = Machine::new();
    machine.script("temporal", TEMPORAL);
    let missing = machine.folder.path().join("missing");
    let search = Search { named: Some(missing), ..machine.search() };
    insta::assert_snapshot!(machine.refusal(&search).await, @r"
    cannot run [machine]/missing, which TEMPORAL_CLI names; set TEMPORAL_CLI to the path of a Temporal CLI, or unset it to search PATH
    caused by: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn named_but_something_else() {
    let machine = Machine::new();
    let other = machine.script("other", "echo 'other 1.0'");
    let search = Search { named: Some(other), ..machine.search() };
    insta::assert_snapshot!(machine.refusal(&search).await, @"[machine]/bin/other, which TEMPORAL_CLI names, is not a Temporal CLI: `--version` ended with exit status: 0 and said: other 1.0; set TEMPORAL_CLI to the path of a Temporal CLI, or unset it to search PATH");
}

#[tokio::test]
async fn found_on_path_but_broken() {
    let machine = Machine::new();
    machine.script("temporal", "echo 'no version is set for temporal' >&2; exit 126");
    insta::assert_snapshot!(machine.refusal(&machine.search()).await, @"[machine]/bin/temporal, which was found on PATH, is not a Temporal CLI: `--version` ended with exit status: 126 and said: no version is set for temporal; mend or remove it, or set TEMPORAL_CLI to the path of another");
}

#[tokio::test]
async fn broken_in_the_cache() {
    let machine = Machine::new();
    let folder = machine.folder.path().join("cache/tidemark/temporal/v1.5.1");
    fs::create_dir_all(&folder).unwrap();
    let broken = machine.script("broken", "exit 139");
    fs::rename(broken, folder.join("temporal")).unwrap();
    insta::assert_snapshot!(machine.refusal(&machine.search()).await, @"[machine]/cache/tidemark/temporal/v1.5.1/temporal, which was built into the cache, is not a Temporal CLI: `--version` ended with exit status: 139 and said: (nothing); delete it, and it is built again");
}
