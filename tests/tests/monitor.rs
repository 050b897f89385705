//! The monitor as a process: what it finds by visibility, decides by the commit log, and tells.

use tidemark_simulator::Mutation;
use tidemark_tests::{LIST, MAILCHIMP_KEY, Objects, Receiver, Role, SELDOM, Stage};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{PROGRAM, TOMBSTONE, stage};

fn archive(stage: &Stage, many: usize) {
    let mut members = Vec::new();
    stage.world().each_member(LIST, |member| members.push(member.contact_id())).unwrap();
    for member in members.into_iter().take(many) {
        stage.world().mutate(LIST, &Mutation::Archive { member }).unwrap();
    }
}

/// The kinds and phases that a receiver was told of a connection, without repetitions of a key.
fn told(receiver: &Receiver, connection: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut keys = std::collections::BTreeSet::new();
    let notices = receiver.notices();
    let own = notices.iter().filter(|notice| notice["connection"] == connection);
    own.filter(|notice| keys.insert(text(&notice["key"])))
        .map(|notice| (text(&notice["kind"]), text(&notice["phase"])))
        .collect()
}

/// What a monitor answers at its operators' door.
async fn asked(monitor: &Role, path: &str) -> String {
    let log = monitor.log();
    let (_, rest) = log.split_once("/healthz and /metrics at http://").unwrap();
    let door = rest.lines().next().unwrap().trim();
    let mut stream = TcpStream::connect(door).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_are_held_are_told_once_by_two_monitors_and_so_is_their_end() {
    let stage = stage("told", 40).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let receiver = Receiver::start().await;
    let file = format!(
        "dead_man = \"{}\"\nops_address = \"127.0.0.1:0\"\n{}",
        receiver.alive(),
        receiver.sink()
    );
    let (first, second) = (stage.monitor(&file), stage.monitor(&file));
    for monitor in [&first, &second] {
        monitor.wait_log("monitor watches").await;
        let health = asked(monitor, "/healthz").await;
        assert!(health.starts_with("HTTP/1.0 200") && health.ends_with("ok\n"), "{health}");
    }
    receiver.wait_ping().await;
    archive(&stage, 25);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(4);

    let notice = receiver.wait(stage.id(), "held", "opened").await;
    assert_eq!(notice["cause"]["count"], 25, "{notice}");
    let next = notice["next"].as_str().unwrap();
    assert_eq!(next, format!("tidemark exceptions {} list --kind held", stage.id()));
    let listed = stage.ask(["lag", stage.id()]).await.expect(0).stdout;
    assert!(listed.contains("0 in step, 0 behind, 1 held"), "{listed}");
    assert!(listed.contains("Temporal answers, and workers poll"), "{listed}");

    // Who is the second one each time is overtaken each time.
    let metrics = asked(&first, "/metrics").await + &asked(&second, "/metrics").await;
    assert!(metrics.contains("tidemark_monitor_passes_total{result=\"complete\"}"), "{metrics}");

    // Whoever watches next knows what was told.
    for monitor in [first, second] {
        let (code, log) = monitor.terminate().await;
        assert_eq!(code, 0, "{log}");
    }
    let _third = stage.monitor(&file);
    let approve = ["exceptions", stage.id(), "approve", "--all", "--yes", "--as", "eve"];
    stage.ask(approve).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let notice = receiver.wait(stage.id(), "held", "closed").await;
    assert_eq!(notice["ending"], "recovered", "{notice}");
    let pair = |phase: &str| ("held".to_owned(), phase.to_owned());
    assert_eq!(told(&receiver, stage.id()), [pair("opened"), pair("closed")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fails_is_late_when_its_time_is_up() {
    let stage = stage("late", 10).await;
    let often = "every = \"1m\"\nmax_lag = \"90s\"";
    let often = stage.definition(TOMBSTONE, "").replace(SELDOM, often);
    let file = stage.folder().join("often.toml");
    std::fs::write(&file, often).unwrap();
    stage.ask(["apply", file.to_str().unwrap()]).await.expect(0);
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.world().disable_account(MAILCHIMP_KEY).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(1);
    let receiver = Receiver::start().await;
    let monitor = stage.monitor(&receiver.sink());

    let notice = receiver.wait(stage.id(), "late", "opened").await;
    // Also if a tick's run is at work at that very instant.
    assert_eq!(notice["cause"]["name"], "failing", "{notice}");
    assert_eq!(notice["cause"]["class"], "user", "{notice}");
    let shown = stage.ask(["lag", stage.id()]).await.expect(0).stdout;
    assert!(shown.contains("1 behind"), "{shown}");
    assert!(shown.contains("user must act"), "{shown}");
    // What is muted is shown, and told no more.
    let mute = ["mute", stage.id(), "--until", "1h", "--reason", "they know"];
    stage.ask(mute).await.expect(0);
    let shown = stage.ask(["lag", stage.id()]).await.expect(0).stdout;
    assert!(shown.contains("they know"), "{shown}");
    stage.ask(["mute", stage.id(), "--lift"]).await.expect(0);

    stage.world().enable_account(MAILCHIMP_KEY).unwrap();
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let notice = receiver.wait(stage.id(), "late", "closed").await;
    assert_eq!(notice["ending"], "recovered", "{notice}");
    let (code, log) = monitor.terminate().await;
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(tidemark_tests::HOOK_SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_of_one_is_told_and_blinds_nobody_for_the_others() {
    let objects = Objects::start().await;
    let stage = Stage::on_objects(PROGRAM, "forbidden", 40, &objects).await;
    stage.apply(TOMBSTONE).await;
    let other = stage.id().replace("/newsletter", "/other");
    let file = stage.folder().join("other.toml");
    let definition = stage.definition(TOMBSTONE, "").replace(stage.id(), &other);
    std::fs::write(&file, definition).unwrap();
    stage.ask(["apply", file.to_str().unwrap()]).await.expect(0);
    let _worker = stage.worker(&[]);
    // Both are held, so that visibility proposes both in each pass.
    for id in [stage.id(), &other] {
        stage.ask(["start", id, "--wait"]).await.expect(0);
    }
    archive(&stage, 25);
    for id in [stage.id(), &other] {
        stage.ask(["start", id, "--wait"]).await.expect(4);
    }
    objects.forbid(&format!("/{}/definitions/", stage.id()));
    let receiver = Receiver::start().await;
    let monitor = stage.monitor(&receiver.sink());

    let notice = receiver.wait(stage.id(), "late", "opened").await;
    let cause = notice["cause"]["message"].as_str().unwrap();
    assert!(cause.contains("definitions/0000000001.json: access is refused"), "{notice}");
    assert_eq!(notice["cause"]["class"], "platform", "{notice}");
    receiver.wait(&other, "held", "opened").await;
    assert!(!monitor.log().contains("the store does not answer"), "{}", monitor.log());

    objects.refuse_all(true);
    monitor.wait_log("the store does not answer").await;
    objects.refuse_all(false);
    let (code, log) = monitor.terminate().await;
    assert_eq!(code, 0, "{log}");
    assert_eq!(told(&receiver, &other), [("held".to_owned(), "opened".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_no_empty_one() {
    let stage = stage("unmounted", 1).await;
    stage.apply(TOMBSTONE).await;
    let receiver = Receiver::start().await;
    let monitor = stage.monitor(&format!("ops_address = \"127.0.0.1:0\"\n{}", receiver.sink()));
    monitor.wait_log("monitor watches").await;
    let (store, elsewhere) = (stage.folder().join("store"), stage.folder().join("elsewhere"));
    std::fs::rename(&store, &elsewhere).unwrap();
    // What is left of a folder that is not mounted any more.
    std::fs::create_dir(&store).unwrap();
    monitor.wait_log("is gone: it has no store.json any more").await;
    let health = asked(&monitor, "/healthz").await;
    assert!(health.starts_with("HTTP/1.0 503") && health.contains("is gone"), "{health}");

    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&elsewhere, &store).unwrap();
    while !asked(&monitor, "/healthz").await.starts_with("HTTP/1.0 200") {}
    assert!(told(&receiver, stage.id()).is_empty(), "nothing was concluded from it");
    let (code, log) = monitor.terminate().await;
    assert_eq!(code, 0, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_is_gone_is_found_and_made_again() {
    let stage = stage("gone", 10).await;
    stage.apply(TOMBSTONE).await;
    let _worker = stage.worker(&[]);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    let well = stage.ask(["doctor", stage.id()]).await.expect(0);
    assert!(well.stderr.contains("0 findings, 0 left"), "{}", well.stderr);

    let schedules = tidemark_schedules::ScheduleClient::new(&stage.client().await);
    schedules.delete(&stage.id().parse().unwrap()).await.unwrap();
    let found = stage.ask(["doctor", stage.id()]).await.expect(1);
    assert!(found.stdout.contains("its schedule is missing"), "{}", found.stdout);
    let mended = stage.ask(["doctor", stage.id(), "--fix"]).await.expect(0);
    assert!(mended.stdout.contains("its schedule was made"), "{}", mended.stdout);
    stage.ask(["doctor", stage.id()]).await.expect(0);
    stage.ask(["start", stage.id(), "--wait"]).await.expect(0);
    stage.assert_in_step();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_notice_reaches_each_sink_and_a_dead_one_is_named() {
    let stage = stage("tested", 1).await;
    let receiver = Receiver::start().await;
    let file = stage.folder().join("sinks.toml");
    let dead = "[[sink]]\nname = \"dead\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
                secret = \"env:HOOK_SECRET\"\n";
    std::fs::write(&file, receiver.sink() + dead).unwrap();
    let file = file.to_str().unwrap();
    let missing = stage.ask(["monitor", "test-alert", "--config", file]).await.expect(1);
    assert!(missing.stderr.contains("HOOK_SECRET"), "{}", missing.stderr);

    let mut command = stage.command();
    command.args(["monitor", "test-alert", "--config", file]);
    command.env("HOOK_SECRET", tidemark_tests::HOOK_SECRET);
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(7));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.lines().any(|line| line.starts_with("team") && line.contains("sent")), "{shown}");
    assert!(
        shown.lines().any(|line| line.starts_with("dead") && line.contains("failed")),
        "{shown}"
    );
    let notices = receiver.notices();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0]["about"], "test");
}
