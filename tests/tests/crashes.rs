//! A run is disturbed at each place where it makes something durable, before and after: by kill -9 of
//! its worker, and by a store that refuses. Another attempt brings it to the same end.
//!
//! The last place of a step after it took effect is a step that was done and could not say so: so
//! each of them is run twice.

use futures::future::join_all;
use tidemark_simulator::RandomKind;
use tidemark_tests::{LIST, Moment, Objects, Role, Stage};

use crate::{PROGRAM, TOMBSTONE};

/// Where a run that has something to do makes something durable: a step, and parts of the keys of
/// what it writes, in their order. `{}` is the run's number, and `*` stands for anything.
const PLACES: [(&str, &[&str]); 4] = [
    ("read", &["/start.json", "/pages/", "/reading.json"]),
    ("compute", &["/changes/", "/index.json", "/snapshots/", "{}.prepared"]),
    ("push", &["/acks/{}/*/attempt-", "/acks/{}/*/00000001.json", "/acks/{}/*/00000004.json"]),
    ("commit", &["{}.committed"]),
];

/// One batch at a time: so at most one has no acknowledgement when a worker dies.
const LIMITS: &str = "batch_records = 10\nsimultaneous_batches = 1";

/// A stage whose state is in an object store of its own, and whose connection is in step.
struct Scene {
    objects: Objects,
    stage: Stage,
    worker: Option<Role>,
    /// Of the newest run.
    number: u64,
}

/// How many requests each side saw.
#[derive(Debug, Clone, Copy)]
struct Cost {
    source: u64,
    destination: u64,
}

impl Scene {
    async fn set(name: &str) -> Self {
        let objects = Objects::start().await;
        let stage = Stage::on_objects(PROGRAM, name, 1_500, &objects).await;
        stage.apply_with(TOMBSTONE, LIMITS).await;
        let mut scene = Self { worker: Some(stage.worker(&[])), objects, stage, number: 0 };
        scene.run().await;
        scene
    }

    /// A run that must end in step, and what it cost.
    async fn run(&mut self) -> Cost {
        let mark = self.stage.world().ledger().mark;
        self.stage.ask(["start", self.stage.id(), "--wait"]).await.expect(0);
        self.ended(mark)
    }

    fn ended(&mut self, mark: usize) -> Cost {
        self.stage.assert_in_step();
        assert_eq!(self.objects.pending(), [""; 0], "every fault has struck");
        self.number += 1;
        let ledger = self.stage.world().ledger_since(mark);
        Cost { source: ledger.source.call_count, destination: ledger.destination.call_count }
    }

    /// Something happens to the list: five batches, and as many source requests each time.
    fn change(&self, seed: u64) {
        let world = self.stage.world();
        world.mutate_random(LIST, RandomKind::Change, 40, seed).unwrap();
        world.mutate_random(LIST, RandomKind::Archive, 2, seed).unwrap();
    }

    /// The keys of the next run at a place.
    fn place(&self, place: &str) -> String {
        place.replace("{}", &format!("{:012}", self.number + 1))
    }

    /// The next run's worker is killed at a place, and another one finishes it.
    async fn kill_at(&mut self, moment: Moment, place: &str, count: usize) -> Cost {
        self.objects.hold(moment, &self.place(place));
        let mark = self.stage.world().ledger().mark;
        let start = self.stage.ask(["start", self.stage.id(), "--wait"]);
        let kill = async {
            self.objects.wait_held(count).await;
            self.worker.take().expect("one is at work").kill().await;
            self.worker = Some(self.stage.worker(&[]));
        };
        let (answer, ()) = tokio::join!(start, kill);
        answer.expect(0);
        self.ended(mark)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_place_a_run_is_finished_by_another_worker() {
    join_all(PLACES.map(async |(step, places)| {
        let mut scene = Scene::set(&format!("killed-{step}")).await;
        scene.change(0);
        let undisturbed = scene.run().await;
        assert!(undisturbed.destination >= 5, "{undisturbed:?}");
        let mut count = 0;
        for moment in Moment::ALL {
            for place in places {
                count += 1;
                scene.change(count as u64);
                let cost = scene.kill_at(moment, place, count).await;
                let at = format!("{moment:?} {place}: {cost:?}, undisturbed {undisturbed:?}");
                // A page of each question that is open at once: what changed, and what was archived.
                assert!(cost.source <= undisturbed.source + 2, "{at}");
                assert!(cost.destination <= undisturbed.destination + 1, "{at}");
            }
        }
        // An unchanged run is one object, and nothing is owed.
        let cost = scene.kill_at(Moment::Before, "{}.prepared", count + 1).await;
        assert_eq!(cost.destination, 0);
        let cost = scene.kill_at(Moment::After, "{}.prepared", count + 2).await;
        assert_eq!(cost.destination, 0);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_at_each_place_a_run_goes_on_by_itself() {
    join_all(PLACES.map(async |(step, places)| {
        let mut scene = Scene::set(&format!("refused-{step}")).await;
        for (seed, moment) in (0..).zip(Moment::ALL) {
            // All places of a step in one run: each costs an attempt.
            scene.change(seed);
            for place in places {
                scene.objects.refuse(moment, &scene.place(place));
            }
            scene.run().await;
        }
    }))
    .await;
}
