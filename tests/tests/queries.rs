//! The queries that the README gives for the Web UI find exactly what it says that they find.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use temporalio_client::{Client, schedules::ListSchedulesOptions};
use tidemark_schedules::{ScheduleClient, ScheduleFilter};
use tidemark_simulator::{RandomKind, RejectRule, Seed};
use tidemark_tests::{LIST, MAILCHIMP_KEY, RECORD_KEY, SELDOM, Stage};
use tidemark_workflows::health::Health;
use url::Url;

use crate::{PROGRAM, TOMBSTONE};

const ACCOUNT: &str = "queries";

/// Late within the hour, unless a run comes.
const OFTEN: &str = "every = \"30m\"\nmax_lag = \"45m\"";

/// The README's section about the Web UI.
fn section() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (_, rest) = readme.split_once("\n## In Temporal's Web UI\n").expect("there is one");
    let (section, _) = rest.split_once("\n## ").expect("another one follows");
    section.to_owned()
}

/// The queries that are written out in it: what is set as code and compares with a text.
fn written(section: &str) -> Vec<String> {
    let code = section.split('`').skip(1).step_by(2);
    code.filter(|text| text.contains('"')).map(|text| text.replace('\n', " ")).collect()
}

/// The queries that are linked: what the link says, and the query as a browser hands it on.
fn linked(section: &str) -> Vec<(String, String)> {
    let mut linked = Vec::new();
    let mut rest = section;
    while let Some((before, after)) = rest.split_once("](") {
        rest = after;
        let Ok(address) = Url::parse(until_closed(after)) else { continue };
        let query = address.query_pairs().find(|(name, _)| name == "query");
        if let (Some((_, query)), Some((_, label))) = (query, before.rsplit_once('[')) {
            linked.push((label.to_owned(), query.into_owned()));
        }
    }
    linked
}

/// Up to the parenthesis that was opened before; those in between are closed in between.
fn until_closed(text: &str) -> &str {
    let mut open_count = 1;
    let end = text.find(|letter: char| {
        match letter {
            '(' => open_count += 1,
            ')' => open_count -= 1,
            _ => {}
        }
        open_count == 0
    });
    text.split_at(end.expect("a link has an end")).0
}

/// The query with another instant in the place of that which it names.
fn at(query: &str, instant: Timestamp) -> String {
    let mut parts = query.splitn(3, '"');
    let (Some(before), Some(named), Some(after)) = (parts.next(), parts.next(), parts.next())
    else {
        panic!("no instant in {query}");
    };
    assert!(named.parse::<Timestamp>().is_ok(), "no instant, but {named}, in {query}");
    format!("{before}\"{instant:.0}\"{after}")
}

fn id(name: &str) -> String {
    format!("{ACCOUNT}/{name}")
}

/// The schedules that the server finds: names of connections, and ids of what is none.
async fn found(client: &Client, query: &str) -> Vec<String> {
    let options = ListSchedulesOptions::builder().query(query.to_owned()).build();
    let listed: Vec<_> = client
        .list_schedules(options)
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    let prefix = id("");
    let mut names: Vec<String> = listed
        .iter()
        .map(|schedule| schedule.schedule_id())
        .map(|id| id.strip_prefix(&prefix).unwrap_or(id).to_owned())
        .collect();
    names.sort_unstable();
    names
}

/// Waits until visibility shows exactly these connections so: it is a second behind.
async fn wait_shown(client: &Client, expected: [(&str, Health, bool); 7]) {
    let schedules = ScheduleClient::new(client);
    let expected: BTreeMap<String, (Option<Health>, bool)> = expected
        .into_iter()
        .map(|(name, health, paused)| (id(name), (Some(health), paused)))
        .collect();
    let look = async {
        loop {
            let listed = schedules.list(&ScheduleFilter::default()).await.unwrap();
            let shown: BTreeMap<String, (Option<Health>, bool)> = listed
                .into_iter()
                .map(|one| (one.connection.to_string(), (one.attributes.health, one.paused)))
                .collect();
            if shown == expected {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("visibility catches up");
}

/// Applies connections, each with a list of its own of 40 members that has its name.
async fn apply(stage: &Stage, connections: [(&str, &str); 7]) {
    let mut definitions = String::new();
    for (name, when) in connections {
        stage.world().add_list(MAILCHIMP_KEY, name, name).unwrap();
        stage.world().seed(name, &Seed::of(40)).unwrap();
        definitions += &stage
            .definition(TOMBSTONE, "")
            .replace(stage.id(), &id(name))
            .replace(LIST, name)
            .replace(SELDOM, when);
    }
    let file = stage.folder().join("seven.toml");
    std::fs::write(&file, definitions).unwrap();
    stage.ask(["apply", file.to_str().unwrap()]).await.expect(0);
}

/// Runs a connection once; how it ends is its exit code.
async fn run(stage: &Stage, name: &str, code: i32) {
    stage.ask(["start", id(name).as_str(), "--wait"]).await.expect(code);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_the_readme_find_what_it_says() {
    // On a server of its own: they are about every connection of a namespace.
    let stage = Stage::on_own_temporal(PROGRAM, ACCOUNT, 1).await;
    let connections = [
        ("failing", SELDOM),
        ("held", SELDOM),
        ("late", OFTEN),
        ("paused", OFTEN),
        ("refused", SELDOM),
        ("unrun", SELDOM),
        ("well", SELDOM),
    ];
    apply(&stage, connections).await;
    let _worker = stage.worker(&[]);
    for name in ["well", "late", "paused", "held"] {
        run(&stage, name, 0).await;
    }
    stage.ask(["pause", id("paused").as_str(), "--reason", "they move"]).await.expect(0);
    stage.world().mutate_random("held", RandomKind::Archive, 25, 1).unwrap();
    run(&stage, "held", 4).await;
    let mut members = Vec::new();
    stage.world().each_member("refused", |member| members.push(member.contact_id())).unwrap();
    let refused = [format!("refused:{}", members[0])];
    stage.world().reject_when(RECORD_KEY, RejectRule::records(refused, 200)).unwrap();
    run(&stage, "refused", 4).await;
    stage.world().remove_list("failing").unwrap();
    run(&stage, "failing", 1).await;
    let client = stage.client().await;
    let shown = [
        ("failing", Health::Failing, false),
        ("held", Health::Held, false),
        ("late", Health::InStep, false),
        ("paused", Health::InStep, true),
        ("refused", Health::Rejecting, false),
        ("unrun", Health::New, false),
        ("well", Health::InStep, false),
    ];
    wait_shown(&client, shown).await;
    let in_an_hour = Timestamp::now() + SignedDuration::from_hours(1);
    let section = section();

    let written = written(&section);
    let [failing, waiting, late] = written.as_slice() else { panic!("{written:#?}") };
    assert_eq!(found(&client, failing).await, ["failing"]);
    assert_eq!(found(&client, waiting).await, ["held", "refused"]);
    assert_eq!(found(&client, &at(late, in_an_hour)).await, ["late"], "and not the paused one");

    let linked = linked(&section);
    let [(first, failing), (second, waiting), (third, due)] = linked.as_slice() else {
        panic!("{linked:#?}")
    };
    assert_eq!([first, second, third], ["failing", "held or refused", "due before 2100"]);
    assert_eq!(found(&client, failing).await, ["failing"]);
    assert_eq!(found(&client, waiting).await, ["held", "refused"]);
    assert_eq!(found(&client, due).await, connections.map(|(name, _)| name));
    assert_eq!(found(&client, &at(due, in_an_hour)).await, ["late", "paused"]);
}
