//! Where the demo is played: a Temporal server, a simulator, a store, and a worker.

use std::path::PathBuf;

use tempfile::TempDir;
use tidemark_devserver::TemporalServer;
use tidemark_simulator::{Seed, Simulator, World};

use super::DemoError;
use super::program::{Program, WorkerProcess};
use crate::ui::Ui;

/// A connection of the demo. Ids and keys are made up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) id: &'static str,
    pub(super) list: &'static str,
    pub(super) list_name: &'static str,
    pub(super) source_key: &'static str,
    pub(super) source_variable: &'static str,
    pub(super) record_key: &'static str,
    pub(super) record_variable: &'static str,
    /// Members, as a share of the largest list.
    share: f64,
}

/// Three connections of two accounts; the first list is the largest.
pub(super) const SCENES: [Scene; 3] = [
    Scene {
        id: "acme/newsletter",
        list: "a1b2c3",
        list_name: "Newsletter",
        source_key: "acme-demo-key-us1",
        source_variable: "ACME_MAILCHIMP_KEY",
        record_key: "acme-record-key",
        record_variable: "ACME_RECORD_KEY",
        share: 1.0,
    },
    Scene {
        id: "acme/customers",
        list: "d4e5f6",
        list_name: "Customers",
        source_key: "acme-demo-key-us1",
        source_variable: "ACME_MAILCHIMP_KEY",
        record_key: "acme-record-key",
        record_variable: "ACME_RECORD_KEY",
        share: 0.1,
    },
    Scene {
        id: "globex/members",
        list: "0f9e8d",
        list_name: "Members",
        source_key: "globex-demo-key-us2",
        source_variable: "GLOBEX_MAILCHIMP_KEY",
        record_key: "globex-record-key",
        record_variable: "GLOBEX_RECORD_KEY",
        share: 0.25,
    },
];

/// Everything that the demo started. It ends when this value goes.
pub(super) struct Places {
    // In this order things end: who asks before who answers.
    worker: Option<WorkerProcess>,
    temporal: TemporalServer,
    simulator: Simulator,
    program: Program,
    folder: TempDir,
}

impl Places {
    /// Starts the parts, makes the lists, and applies the definitions.
    pub(super) async fn open(ui: Ui, members: u32) -> Result<Self, DemoError> {
        let folder = TempDir::with_prefix("tidemark-demo-")?;
        let cli = tidemark_devserver::find(&|line| ui.note(line)).await?;
        let temporal = TemporalServer::options(cli)
            .folder(folder.path().join("temporal"))
            .ui(true)
            .start()
            .await?;
        let simulator =
            Simulator::start(([127, 0, 0, 1], 0).into()).await.map_err(DemoError::Simulator)?;
        fill(simulator.world(), members)?;

        let program = Program::new(folder.path(), &temporal)?;
        let mut places = Self { worker: None, temporal, simulator, program, folder };
        ui.note(&format!("Temporal   {}", places.temporal.address()));
        ui.note(&format!("Web UI     {}", places.web_ui()));
        ui.note(&format!("simulator  {}", places.simulator.url()));
        let definitions = places.write_definitions()?;
        places.program.show(ui, &["setup"]).await?;
        places.start_worker()?;
        places.program.show(ui, &["apply", &definitions.to_string_lossy()]).await?;
        Ok(places)
    }

    pub(super) fn world(&self) -> &World {
        self.simulator.world()
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// Starts a worker, after another one was killed.
    pub(super) fn start_worker(&mut self) -> Result<(), DemoError> {
        self.worker = Some(self.program.worker()?);
        Ok(())
    }

    /// SIGKILL: the worker gets no chance to say anything.
    pub(super) fn kill_worker(&mut self) {
        self.worker = None;
    }

    /// Ends everything in good order.
    pub(super) async fn close(mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
        self.temporal.stop().await;
        self.simulator.shutdown().await;
    }

    pub(super) fn farewell(&self, in_step: bool) -> String {
        let end = if in_step {
            "All three connections are in step."
        } else {
            "NOT everything is in step: see the lines above."
        };
        format!(
            "\n{end}\n\nOpen the Web UI at {}\n  schedules  {0}/namespaces/default/schedules\n  \
             the worker's log is {}\nCtrl-C ends the demo and removes its folder.",
            self.web_ui(),
            self.folder.path().join("worker.log").display(),
        )
    }

    fn web_ui(&self) -> String {
        self.temporal.ui_url().unwrap_or_default()
    }

    fn write_definitions(&self) -> Result<PathBuf, DemoError> {
        let url = self.simulator.url();
        let mut text = format!(
            "[defaults]\nevery = \"1h\"\n\n[defaults.source]\nkind     = \"mailchimp\"\n\
             base_url = \"{url}\"\nsettle   = \"0s\"\n\n[defaults.destination]\n\
             kind   = \"record-api\"\nurl    = \"{url}/record\"\n\
             delete = {{ tombstone = \"deleted\" }}\n\n[defaults.record]\n\
             id        = \"contact_id\"\nfirstname = \"merge_fields.FNAME\"\n\
             lastname  = \"merge_fields.LNAME\"\nemail     = \"email_address\"\n\n\
             [defaults.policy]\ndeletions = \"propagate\"\n"
        );
        for scene in SCENES {
            text += &format!(
                "\n[[connection]]\nid = \"{}\"\nsource = {{ api_key = \"env:{}\", list_id = \"{}\" }}\n\
                 destination = {{ api_key = \"env:{}\" }}\n",
                scene.id, scene.source_variable, scene.list, scene.record_variable
            );
        }
        let path = self.folder.path().join("demo.toml");
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn fill(world: &World, members: u32) -> Result<(), DemoError> {
    for scene in SCENES {
        world.add_account(scene.source_key);
        world.add_list(scene.source_key, scene.list, scene.list_name)?;
        world.add_destination(scene.record_key);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a u32 is a u32"
        )]
        let count = (f64::from(members) * scene.share) as u32;
        world.seed(scene.list, &Seed { seed: u64::from(count), ..Seed::of(count) })?;
    }
    Ok(())
}
