//! A stage: everything that a story of one test needs, and nothing that another one sees.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde_json::Value;
use tempfile::TempDir;
use temporalio_client::{Client, WorkflowHistory};
use tidemark_devserver::TemporalServer;
use tidemark_simulator::{Seed, Simulator, World};
use tokio::process::Command;

use crate::{
    child::{Answer, Role, ask},
    objects::Objects,
    temporal,
};

/// The secrets of a stage: none of them may ever be seen anywhere but in requests.
pub const MAILCHIMP_KEY: &str = "8d1c0ffee5ecret-us1";
/// See [`MAILCHIMP_KEY`].
pub const RECORD_KEY: &str = "r3c0rd-ap1-5ecret";
/// What the notices of a [monitor](Stage::monitor) are signed with.
pub const HOOK_SECRET: &str = "h00k-5ecret-0f-the-stage";
/// The list of a stage.
pub const LIST: &str = "a1b2c3";
/// When the schedule of a stage's connection ticks: once a year, so that nothing runs that the test
/// did not start. A moment of every hour would fall into some test on some day.
pub const SELDOM: &str = "every = \"365d\"";

/// The times by which attempts and runs keep apart, in the order of the real ones: a test waits
/// for them.
const TIMES: [(&str, &str); 5] = [
    ("TIDEMARK_HEARTBEAT_TIMEOUT", "5s"),
    ("TIDEMARK_HEARTBEAT_INTERVAL", "500ms"),
    ("TIDEMARK_HEARTBEAT_PATIENCE", "3s"),
    ("TIDEMARK_LOOK_MAX_AGE", "2s"),
    ("TIDEMARK_SUPERSEDED_WAIT", "2s"),
];

/// A Temporal server, a simulator, a store and a task queue.
pub struct Stage {
    program: &'static str,
    temporal: Arc<TemporalServer>,
    simulator: Simulator,
    folder: TempDir,
    /// Where state is kept, and how it is reached.
    store: Vec<(&'static str, String)>,
    /// All stages share a namespace, so each has an id of its own in it.
    id: String,
    task_queue: String,
}

impl Stage {
    /// Sets the stage: one account with one list of `count` members, one record space, a store in a
    /// folder, on the Temporal server that all stages share.
    ///
    /// # Panics
    /// When something cannot be started.
    pub async fn new(program: &'static str, name: &str, count: u32) -> Self {
        Self::set(program, name, count, temporal::server().await, None).await
    }

    /// As [`new`](Self::new), with its state in `objects`.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn on_objects(
        program: &'static str,
        name: &str,
        count: u32,
        objects: &Objects,
    ) -> Self {
        let store = Some(objects.environment());
        Self::set(program, name, count, temporal::server().await, store).await
    }

    /// As [`new`](Self::new), on a Temporal server of its own.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn on_own_temporal(program: &'static str, name: &str, count: u32) -> Self {
        Self::set(program, name, count, Arc::new(temporal::start().await), None).await
    }

    async fn set(
        program: &'static str,
        name: &str,
        count: u32,
        temporal: Arc<TemporalServer>,
        store: Option<Vec<(&'static str, String)>>,
    ) -> Self {
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await.expect("a port is free");
        let world = simulator.world();
        world.add_account(MAILCHIMP_KEY);
        world.add_list(MAILCHIMP_KEY, LIST, "Newsletter").expect("a new list");
        world.seed(LIST, &Seed::of(count)).expect("the list is there");
        world.add_destination(RECORD_KEY);
        let folder = TempDir::new().expect("a temporary folder");
        let local = || format!("file://{}/store", folder.path().display());
        let stage = Self {
            program,
            temporal,
            simulator,
            store: store.unwrap_or_else(|| vec![("TIDEMARK_STORE", local())]),
            folder,
            id: format!("{name}/newsletter"),
            task_queue: format!("{name}-{}", std::process::id()),
        };
        stage.ask(["setup"]).await.expect(0);
        stage
    }

    /// The simulated systems.
    #[must_use]
    pub fn world(&self) -> &World {
        self.simulator.world()
    }

    /// The folder for the files of a test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The id of the stage's connection.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The Temporal server of a stage that has its own.
    ///
    /// # Panics
    /// When it is shared with others.
    pub fn own_temporal(&mut self) -> &mut TemporalServer {
        Arc::get_mut(&mut self.temporal).expect("the server is the stage's own")
    }

    /// Host and port of the Temporal server.
    #[must_use]
    pub fn temporal_address(&self) -> String {
        self.temporal.address()
    }

    /// Where the Web UI is.
    #[must_use]
    pub fn web_ui(&self) -> String {
        self.temporal.ui_url().expect("it is served")
    }

    /// A client of the Temporal server.
    pub async fn client(&self) -> Client {
        temporal::client(&self.temporal).await
    }

    /// The history of a workflow's newest run.
    pub async fn history(&self, workflow_id: &str) -> WorkflowHistory {
        temporal::history(&self.client().await, workflow_id)
    }

    /// A definition of the stage's connection, with a rule for deletions, and further lines for its
    /// destination.
    #[must_use]
    pub fn definition(&self, delete: &str, destination: &str) -> String {
        let (id, url) = (&self.id, self.simulator.url());
        format!(
            r#"
[[connection]]
id = "{id}"
{SELDOM}

[connection.source]
kind     = "mailchimp"
api_key  = "env:ACME_MAILCHIMP_KEY"
list_id  = "{LIST}"
base_url = "{url}"
settle   = "0s"

[connection.destination]
kind    = "record-api"
url     = "{url}/record"
api_key = "env:RECORD_API_KEY"
delete  = {delete}
request_timeout = "5s"
{destination}

[connection.record]
id        = "contact_id"
firstname = "merge_fields.FNAME"
lastname  = "merge_fields.LNAME"
email     = "email_address"

[connection.policy]
deletions = "propagate"
"#
        )
    }

    /// Applies the stage's connection with a rule for deletions.
    pub async fn apply(&self, delete: &str) {
        self.apply_with(delete, "").await;
    }

    /// Applies the stage's connection with further lines for its destination.
    pub async fn apply_with(&self, delete: &str, destination: &str) {
        let file = self.folder().join("connection.toml");
        let definition = self.definition(delete, destination);
        std::fs::write(&file, definition).expect("the folder can be written");
        self.ask(["apply", file.to_str().expect("a plain path")]).await.expect(0);
    }

    /// Calls the program and waits for its end.
    pub async fn ask<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Answer {
        let mut command = self.command();
        command.args(arguments);
        ask(command).await
    }

    /// Starts a worker. Its spill folder and its log are its own.
    #[must_use]
    pub fn worker(&self, arguments: &[&str]) -> Role {
        let mut command = self.command();
        command.arg("worker").args(arguments);
        Role::spawn(command)
    }

    /// Starts a monitor with a file of its own, and passes that follow each other at once.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn monitor(&self, file: &str) -> Role {
        let path = self.folder().join("monitor.toml");
        std::fs::write(&path, file).expect("the folder can be written");
        let mut command = self.command();
        command
            .args(["monitor", "--pass-every", "200ms", "--clock-skew", "0s", "--config"])
            .arg(path);
        command.env("HOOK_SECRET", HOOK_SECRET);
        Role::spawn(command)
    }

    /// The program with this stage's environment, and nothing of the shell's.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .env("HOME", self.folder())
            .env("NO_COLOR", "1")
            .env("TEMPORAL_ADDRESS", format!("http://{}", self.temporal.address()))
            .env("TEMPORAL_NAMESPACE", self.temporal.namespace())
            .envs(self.store.iter().map(|(name, value)| (name, value)))
            .envs(TIMES)
            .env("TIDEMARK_TASK_QUEUE", &self.task_queue)
            .env("TIDEMARK_WEB_UI", "http://127.0.0.1:8080")
            .env("ACME_MAILCHIMP_KEY", MAILCHIMP_KEY)
            .env("RECORD_API_KEY", RECORD_KEY);
        command
    }

    /// What the destination should hold: the visible members, mapped.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<String, Value> {
        let mut expected = BTreeMap::new();
        self.world()
            .each_member(LIST, |member| {
                let id = format!("newsletter:{}", member.contact_id());
                let record = serde_json::json!({
                    "id": id,
                    "firstname": member.merge_field("FNAME"),
                    "lastname": member.merge_field("LNAME"),
                    "email": member.email(),
                });
                expected.insert(id, record);
            })
            .expect("the list is there");
        expected
    }

    /// What the destination holds, without tombstones and without their field.
    #[must_use]
    pub fn held(&self) -> BTreeMap<String, Value> {
        let mut held =
            self.world().live_records(RECORD_KEY, "deleted").expect("the space is there");
        for record in held.values_mut() {
            if let Some(record) = record.as_object_mut() {
                record.remove("deleted");
            }
        }
        held
    }

    /// Insists that both sides are equal.
    ///
    /// # Panics
    /// When they are not.
    pub fn assert_in_step(&self) {
        let (expected, held) = (self.expected(), self.held());
        let missing: Vec<_> =
            expected.keys().filter(|id| !held.contains_key(*id)).take(3).collect();
        let extra: Vec<_> = held.keys().filter(|id| !expected.contains_key(*id)).take(3).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{} expected, {} held; missing {missing:?}, extra {extra:?}",
            expected.len(),
            held.len()
        );
        for (id, record) in &expected {
            assert_eq!(held.get(id), Some(record));
        }
    }
}
