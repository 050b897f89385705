//! A seed from begin to end: changes, edits and runs in an order drawn by chance, and two quiet runs
//! at the end, which must bring everything in step.

use std::{cell::Cell, panic::AssertUnwindSafe, sync::Arc};

use tidemark_engine::{
    definitions::{self, StoredDefinition},
    inline,
};
use tidemark_model::{
    defect::{self, Defect},
    definition::{SourceText, parse},
    failure::FailureKind,
};
use tidemark_simulator::RejectRule;
use tokio::task::JoinHandle;

use crate::{
    chance::Chance,
    operator,
    run::{End, Run, connection},
    scene::{LIST, Scene},
    shape::Shape,
    source, sweeper,
    tally::Tally,
    terms::{Edit, Mapped, Terms, space},
};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Played {
    pub seed: u64,
    /// What must never be, if it was.
    pub fault: Option<String>,
    /// Of everything that happened, in order.
    pub hash: String,
    /// The event log, if it was asked for.
    pub log: Vec<String>,
    pub tally: Tally,
}

thread_local! {
    /// Whether this thread is inside a seed's history.
    static PLAYS: Cell<bool> = const { Cell::new(false) };
}

/// From now on, a panic inside a seed's history is told as the fault of the seed only. Any other
/// is a mistake of the simulation itself, and told as always.
pub fn tell_panics_with_their_seeds() {
    let as_always = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !PLAYS.get() {
            as_always(panic);
        }
    }));
}

/// Plays a seed on this thread, with one rule switched off if asked to.
#[must_use]
pub fn play(seed: u64, keep_log: bool, without: Option<Defect>) -> Played {
    inline::turn_on();
    defect::set(without);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without a driver of the system");
    let scene = {
        let _inside = runtime.enter();
        let mut chance = Chance::new(seed);
        let shape = Shape::draw(&mut chance);
        Scene::new(shape, chance, keep_log)
    };
    let history = history(Arc::clone(&scene));
    PLAYS.set(true);
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(history)));
    PLAYS.set(false);
    if let Err(panic) = ended {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let _inside = runtime.enter();
        scene.fault(format!("panic: {}", text.unwrap_or("without a text")));
    }
    // What is left of tasks ends with the runtime, before the books are closed.
    drop(runtime);
    defect::set(None);
    let (hash, log) = scene.take_journal().finish();
    let fault = scene.books().first_fault.clone();
    let tally = scene.tally().clone();
    Played { seed, fault, hash, log, tally }
}

async fn history(scene: Arc<Scene>) {
    scene.note(&format!("{:?}", scene.shape));
    source::begin(&scene);
    scene.world.set_lag(LIST, u32::try_from(scene.shape.lag).unwrap_or(0)).expect("the list");
    apply(&scene, Terms::first(&scene.shape)).await;
    let mut under_way = Vec::new();
    let mut at_once = false;
    for _ in 0..scene.shape.runs {
        if scene.has_failed() {
            return;
        }
        between_runs(&scene, at_once).await;
        let run = begin(&scene);
        if scene.strikes(scene.shape.trouble.overlap) {
            scene.count("trouble: two runs at once");
            under_way.push(run);
            scene.pass(scene.chance(|chance| chance.below(40 * SECOND))).await;
        } else {
            // Whoever ends a run often starts another: while the old one's requests are at work.
            let terminated = matches!(ended(run).await, End::Terminated);
            at_once = terminated && scene.chance(|chance| chance.permille(600));
        }
    }
    for run in under_way {
        ended(run).await;
    }
    in_the_end(&scene).await;
}

async fn between_runs(scene: &Arc<Scene>, at_once: bool) {
    let changes = scene.chance(|chance| *chance.pick(&[0, 0, 1, 2, 3, 5]));
    for _ in 0..changes {
        source::change(scene);
        if !at_once && scene.chance(|chance| chance.permille(500)) {
            scene.pass(scene.chance(|chance| chance.below(5 * SECOND))).await;
        }
    }
    let pause = [0, SECOND, 20 * SECOND, 130 * SECOND, HOUR, HOUR];
    if !at_once {
        scene.pass(scene.chance(|chance| *chance.pick(&pause))).await;
    }
    if scene.strikes(scene.shape.trouble.edit) {
        let edit = scene.chance(|chance| *chance.pick(&Edit::ALL));
        scene.note(&format!("edit: {edit:?}"));
        scene.count("trouble: definition edited");
        let newest = scene.books().terms.last().cloned().expect("one was applied");
        apply(scene, newest.edited(edit)).await;
    }
    if scene.strikes(scene.shape.trouble.refuse) {
        refuse(scene);
    }
    if scene.strikes(scene.shape.trouble.purge) {
        source::purge(scene);
    }
    if scene.strikes(scene.shape.trouble.silence) {
        scene.pass(30 * HOUR).await;
    }
    if scene.strikes(scene.shape.trouble.decide) {
        operator::act(scene).await;
    }
}

/// The destination refuses a record from now on, or nothing any more.
fn refuse(scene: &Scene) {
    let terms = scene.books().terms.last().cloned().expect("one was applied");
    let key = space(terms.address);
    let ids: Vec<String> = scene
        .truth()
        .visible()
        .filter_map(|(contact, member)| match terms.map(contact, member) {
            Mapped::Record { id, .. } => Some(id),
            Mapped::Filtered | Mapped::Invalid => None,
        })
        .collect();
    if ids.is_empty() || scene.chance(|chance| chance.permille(400)) {
        scene.note("the destination refuses nothing any more");
        scene.world.clear_rejects(&key).expect("the destination is there");
        return;
    }
    let (id, manner) = scene.chance(|chance| (chance.pick(&ids).clone(), chance.below(3)));
    scene.note(&format!("the destination refuses {id}, in manner {manner}"));
    scene.count("trouble: record refused");
    let rule = match manner {
        0 => RejectRule::batches_with([id]),
        1 => RejectRule::records([id], 200),
        _ => RejectRule::records([id], 207),
    };
    scene.world.reject_when(&key, rule).expect("the destination is there");
}

/// The next version of the definition.
async fn apply(scene: &Scene, terms: Terms) {
    scene.world.add_destination(&space(terms.address));
    let text = terms.toml(&scene.shape);
    let text = SourceText { name: "soak.toml".to_owned(), text };
    let definition = match parse(&[text], &[]) {
        Ok(mut definitions) => definitions.remove(0),
        Err(problems) => unreachable!("the definition is valid: {problems:?}"),
    };
    let version = {
        let mut books = scene.books();
        books.terms.push(terms);
        u32::try_from(books.terms.len()).expect("a few versions")
    };
    let stored = StoredDefinition {
        version,
        applied_at: scene.worker_time(),
        definition: Some(definition),
        same_destination: false,
    };
    definitions::put(&scene.plain_store().connection(&connection()), stored)
        .await
        .expect("a store in memory");
}

fn begin(scene: &Arc<Scene>) -> JoinHandle<End> {
    let stormy = scene.chance(|chance| chance.permille(600));
    let run = Run::begin(scene, stormy);
    if scene.strikes(scene.shape.trouble.sweep) {
        later(scene, |scene| async move { sweeper::begin(&scene) });
    }
    if scene.strikes(scene.shape.trouble.decide) {
        later(scene, |scene| async move { operator::act(&scene).await });
    }
    if stormy && scene.strikes(scene.shape.trouble.terminate) {
        let (run, scene) = (Arc::clone(&run), Arc::clone(scene));
        let reach = scene.chance(|chance| *chance.pick(&[500, 3 * SECOND, 30 * SECOND]));
        let after = scene.chance(|chance| chance.below(reach));
        let cancels = scene.chance(|chance| chance.permille(250));
        tokio::spawn(async move {
            scene.pass(after).await;
            if cancels {
                scene.note(&format!("{} is cancelled", run.id));
                scene.count("trouble: run cancelled");
                run.cancel();
            } else {
                scene.note(&format!("{} is terminated", run.id));
                scene.count("trouble: run terminated");
                run.terminate();
            }
        });
    }
    tokio::spawn(run.drive(Arc::clone(scene)))
}

/// While a run is at work, as a rule.
fn later<F: Future<Output = ()> + Send + 'static>(
    scene: &Arc<Scene>,
    what: impl FnOnce(Arc<Scene>) -> F + Send + 'static,
) {
    let reach = scene.chance(|chance| *chance.pick(&[500, 3 * SECOND, 30 * SECOND]));
    let after = scene.chance(|chance| chance.below(reach));
    let scene = Arc::clone(scene);
    tokio::spawn(async move {
        scene.pass(after).await;
        what(scene).await;
    });
}

async fn ended(run: JoinHandle<End>) -> End {
    match run.await {
        Ok(end) => end,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

/// Without any trouble, once nothing of before is at work any more, the next runs must be green.
async fn in_the_end(scene: &Arc<Scene>) {
    scene.calm_down();
    scene.note("from here on nothing goes wrong");
    scene.pass(2 * HOUR).await;
    let addresses: Vec<u32> = scene.books().terms.iter().map(|terms| terms.address).collect();
    for address in addresses {
        scene.world.clear_rejects(&space(address)).expect("the destination is there");
    }
    source::mend(scene);
    for round in 0..4 {
        if scene.has_failed() {
            return;
        }
        if round < 2 {
            source::change(scene);
        }
        source::mend(scene);
        operator::settle(scene).await;
        scene.pass(HOUR).await;
        match quiet_run(scene).await {
            End::Committed(receipt) if round == 3 && receipt.exception_count > 0 => {
                scene.fault(format!("{} exceptions are never settled", receipt.exception_count));
            }
            End::Committed(_) => {}
            other => scene.fault(format!("a quiet run does not end green: {other:?}")),
        }
    }
}

/// A decision to send exactly what a preview showed fails a run that finds something else.
async fn quiet_run(scene: &Arc<Scene>) -> End {
    loop {
        match ended(begin(scene)).await {
            End::Failed(failure)
                if failure.kind == FailureKind::Invalid && failure.message.contains("preview") => {}
            end => return end,
        }
    }
}
