//! `tidemark demo --exit`, as the README has it.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, process::Command};

use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_to_its_end_and_touches_nothing_of_the_shells() {
    // Whoever believed the environment would come here.
    let strangers = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = strangers.local_addr().unwrap().to_string();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while strangers.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let folder = tempfile::TempDir::new().unwrap();
    let store = folder.path().join("store");
    let config = folder.path().join("temporal.toml");
    std::fs::write(&config, format!("[profile.default]\naddress = \"{address}\"\n")).unwrap();

    let played = Command::new(PROGRAM)
        .args(["demo", "--exit", "--members", "4000"])
        .env("TEMPORAL_ADDRESS", &address)
        .env("TEMPORAL_NAMESPACE", "nobody-has-this-one")
        .env("TEMPORAL_API_KEY", "n0nsense")
        .env("TEMPORAL_TLS", "true")
        .env("TEMPORAL_CONFIG_FILE", &config)
        .env("TEMPORAL_PROFILE", "default")
        .env("TIDEMARK_STORE", format!("file://{}", store.display()))
        .env("TIDEMARK_TASK_QUEUE", "nobody-polls-this-one")
        .env("TIDEMARK_WORKER_CONFIG", "/nowhere/at/all.toml")
        .env("TIDEMARK_WEB_UI", "http://nobody.invalid")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();

    let (stdout, stderr) =
        (String::from_utf8(played.stdout).unwrap(), String::from_utf8(played.stderr).unwrap());
    let all = format!("--- stdout\n{stdout}\n--- stderr\n{stderr}");
    assert_eq!(played.status.code(), Some(0), "{all}");
    // Set apart as a column: the command's own line of a run says it in a sentence.
    let scenes: Vec<&str> = stdout.lines().filter(|line| line.contains("  in step")).collect();
    assert_eq!(scenes.len(), 8, "three first syncs and five scenes\n{all}");
    let stories = ["first sync", "one addition", "one deletion", "one change", "nothing", "killed"];
    for story in stories {
        assert!(scenes.iter().any(|line| line.contains(story)), "{story}\n{all}");
    }
    assert!(!all.contains("NOT "), "{all}");
    assert_eq!(visits.load(Ordering::SeqCst), 0, "nobody went where the environment says");
    assert!(!store.exists(), "and nothing was kept there");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "its folder is gone: {left:?}");
}
