//! The daily sweep of the store, beside runs and beside another sweep. It may die anywhere.

use std::sync::Arc;

use object_store::{ObjectStore, path::Path};
use tidemark_engine::{run::sweep, store::Store};
use tidemark_model::failure::FailureKind;

use crate::{
    attempt::Attempt,
    journal::plain,
    run::{Run, connection},
    scene::Scene,
    store::AttemptStore,
};

/// Sweeps once, and is not waited for.
pub(crate) fn begin(scene: &Arc<Scene>) {
    let run = Arc::new(Run::new(format!("sweep-{}", scene.next_number()), true));
    let attempt = Attempt::begin(scene, &run, scene.next_number());
    let scene = Arc::clone(scene);
    scene.count("sweeps");
    tokio::spawn(async move {
        scene.note(&format!("{} begins", attempt.name()));
        let objects: Arc<dyn ObjectStore> = Arc::new(AttemptStore::new(&attempt));
        let store = Store::over(objects, Path::default(), "memory:///");
        match sweep(&store.connection(&connection()), scene.worker_time()).await {
            Ok(swept) => {
                let total = swept.total();
                scene.tally().add("objects swept", total.objects);
                scene.note(&format!("{} ends: {} objects", attempt.name(), total.objects));
            }
            Err(failure) => {
                scene.note(&format!("{} ends: {}", attempt.name(), plain(&failure.message)));
                if failure.kind == FailureKind::Corrupt && !attempt.is_dead() {
                    scene.fault(format!("{}: {}", attempt.name(), failure.message));
                }
            }
        }
    });
}
