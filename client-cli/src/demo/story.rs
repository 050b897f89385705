//! What is played: each scene changes a list, starts a run, and compares both sides.

use std::time::Instant;

use tidemark_simulator::{Fault, FaultAction, Mutation, RandomKind, Side};

use super::DemoError;
use super::compare::compare;
use super::places::{Places, SCENES, Scene};
use crate::ui::Ui;

/// Records that are changed before the worker is killed: several batches.
const CHANGED_BEFORE_THE_KILL: usize = 3_000;

/// The call at which the worker is killed waits under this name.
const HELD: &str = "kill";

/// The story on its stage.
pub(super) struct Story<'a> {
    ui: Ui,
    places: &'a mut Places,
    in_step: bool,
}

impl<'a> Story<'a> {
    pub(super) fn new(ui: Ui, places: &'a mut Places) -> Self {
        Self { ui, places, in_step: true }
    }

    /// Plays all of it; whether both sides were equal after every run.
    pub(super) async fn play(mut self) -> Result<bool, DemoError> {
        let [newsletter, customers, members] = &SCENES;
        self.ui.note("\nThe first sync of all three:");
        let mark = self.mark();
        let began_at = Instant::now();
        self.places.program().show(self.ui, &["start", "--all", "--yes", "--wait"]).await?;
        self.heading();
        let mut mark = Some((mark, began_at));
        for scene in &SCENES {
            self.line("first sync", scene, mark.take())?;
        }

        let world = self.places.world();
        world.mutate(customers.list, &Mutation::add("ada@example.com", "Ada", "Lovelace"))?;
        self.run("one addition", customers).await?;
        self.places.world().mutate_random(members.list, RandomKind::Archive, 1, 1)?;
        self.run("one deletion", members).await?;
        self.places.world().mutate_random(newsletter.list, RandomKind::Change, 1, 1)?;
        self.run("one change", newsletter).await?;
        self.run("nothing", newsletter).await?;
        self.kill(newsletter).await?;

        self.places.program().show(self.ui, &["list"]).await?;
        Ok(self.in_step)
    }

    /// One run of a connection after something happened to its list.
    async fn run(&mut self, what: &str, scene: &Scene) -> Result<(), DemoError> {
        let (mark, began_at) = (self.mark(), Instant::now());
        self.places.program().call(&["start", scene.id, "--wait"]).await?;
        self.line(what, scene, Some((mark, began_at)))
    }

    /// A run whose worker is killed while a batch is on its way, and finished by another worker.
    async fn kill(&mut self, scene: &Scene) -> Result<(), DemoError> {
        let world = self.places.world();
        world.mutate_random(scene.list, RandomKind::Change, CHANGED_BEFORE_THE_KILL, 2)?;
        let hold = FaultAction::ApplyThenHold { id: HELD.to_owned() };
        world.add_fault(Fault::next(Side::Destination, hold).after(1));
        let (mark, began_at) = (self.mark(), Instant::now());
        let mut run = self.places.program().begin(&["start", scene.id, "--wait"])?;
        self.places.world().wait_held(HELD, 1).await;
        self.places.kill_worker();
        self.places.world().release(HELD);
        self.ui.note(
            "\nThe worker was killed (SIGKILL) while batches were on their way. Another one starts;\n\
             Temporal hands the step over when the heartbeats have been missing for 20 seconds.",
        );
        self.places.start_worker()?;
        let status = run.wait().await?;
        if !status.success() {
            return Err(DemoError::Verb {
                verb: format!("start {} --wait", scene.id),
                code: status.to_string(),
            });
        }
        self.heading();
        self.line("worker killed", scene, Some((mark, began_at)))
    }

    fn mark(&self) -> usize {
        self.places.world().ledger().mark
    }

    fn heading(&self) {
        self.ui.note(&format!(
            "\n{:<14} {:<16} {:>8} {:>12} {:>10} {:>10}  {:<9} {:>8}",
            "played", "connection", "source", "destination", "members", "records", "", "seconds"
        ));
    }

    /// Says what a run cost on both sides, if it is known, and whether they are equal.
    fn line(
        &mut self,
        what: &str,
        scene: &Scene,
        since: Option<(usize, Instant)>,
    ) -> Result<(), DemoError> {
        let world = self.places.world();
        let both = compare(world, scene)?;
        self.in_step &= both.equal;
        let (source, destination, seconds) = match since {
            Some((mark, began_at)) => {
                let ledger = world.ledger_since(mark);
                (
                    ledger.source.call_count.to_string(),
                    ledger.destination.call_count.to_string(),
                    format!("{:.1}", began_at.elapsed().as_secs_f64()),
                )
            }
            None => ("\u{2033}".to_owned(), "\u{2033}".to_owned(), String::new()),
        };
        self.ui.data(&format!(
            "{what:<14} {:<16} {source:>8} {destination:>12} {:>10} {:>10}  {:<9} {seconds:>8}\n",
            scene.id,
            both.member_count,
            both.record_count,
            if both.equal { "in step" } else { "NOT EQUAL" },
        ))
        .map_err(|error| DemoError::Process(std::io::Error::other(error.to_string())))
    }
}
