//! The SDK's worker is made anew while a step is at work: nothing is lost, and nothing waits for long.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_engine::{
    definitions::{StoredDefinition, put},
    port::{
        Batch, BatchOutcome, Capabilities, Connectors, Destination, FoundRow, Host, Mirror,
        PageWriter, ReadBack, ReadRequest, Reading, Slot, Source,
    },
    store::Store,
};
use tidemark_model::{
    check::{DestinationCheck, SourceCheck},
    definition::{Definition, SourceText, parse},
    failure::{Failure, FailureKind, Side},
};
use tidemark_worker::{GraceExceeded, run};
use tokio::sync::Notify;

use crate::{World, address};

/// Both ends. Reading goes by a script: at first it ends in good order when it is asked to, then it
/// hears nothing, then it fails for good.
#[derive(Clone, Default)]
struct Script {
    first: usize,
    read_count: Arc<AtomicUsize>,
    deaf: Arc<Notify>,
}

impl Connectors for Script {
    fn source(&self, _: &Definition) -> Result<Arc<dyn Source>, Failure> {
        Ok(Arc::new(self.clone()))
    }

    fn destination(&self, _: &Definition) -> Result<Arc<dyn Destination>, Failure> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Source for Script {
    async fn check(&self) -> Result<SourceCheck, Failure> {
        unreachable!("nobody checks")
    }

    async fn read(
        &self,
        _: &ReadRequest,
        _: &dyn Mirror,
        _: &dyn PageWriter,
        host: &dyn Host,
    ) -> Result<Reading, Failure> {
        match self.first + self.read_count.fetch_add(1, Ordering::SeqCst) {
            0 => {
                host.stopped().await;
                host.check_stop()?;
                unreachable!("it was stopped")
            }
            1 => {
                self.deaf.notify_one();
                pending().await
            }
            _ => Err(Failure::new(FailureKind::Invalid, Side::Source, "the end of the script")),
        }
    }

    async fn find(&self, _: &str) -> Result<Option<FoundRow>, Failure> {
        unreachable!("nothing is looked up")
    }
}

#[async_trait]
impl Destination for Script {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            deletes: true,
            reads_back: false,
            batch_records: 1,
            removal_batch_records: 1,
            batch_bytes: 1,
            simultaneous_batches: 1,
            request_timeout: Duration::from_secs(1),
            settle: Duration::ZERO,
        }
    }

    async fn check(&self) -> Result<DestinationCheck, Failure> {
        unreachable!("nobody checks")
    }

    async fn slot(&self) -> Slot {
        unreachable!("nothing is sent")
    }

    async fn apply(&self, _: Slot, _: &Batch) -> Result<BatchOutcome, Failure> {
        unreachable!("nothing is sent")
    }

    async fn read_back(&self, _: &str) -> Result<ReadBack, Failure> {
        unreachable!("nothing is read back")
    }
}

const DEFINITION: &str = r#"
[[connection]]
id    = "acme/unknown"
every = "1h"
source      = { kind = "mailchimp", api_key = "env:KEY", list_id = "a1b2c3" }
destination = { kind = "record-api", url = "http://127.0.0.1/record", api_key = "env:KEY" }
record      = { id = "contact_id" }
policy      = { deletions = "keep" }
"#;

/// A world with a connection, whose worker is made anew after each activity.
async fn world() -> World {
    let mut world = World::ready().await;
    world.config.renew_after = 1;
    let file = SourceText { name: "a.toml".to_owned(), text: DEFINITION.to_owned() };
    let definition = parse(&[file], &[]).unwrap().remove(0);
    let folder = Store::make(&address(&world.folder)).unwrap().connection(definition.id());
    let version = StoredDefinition {
        version: 1,
        applied_at: Timestamp::UNIX_EPOCH,
        definition: Some(definition),
        same_destination: false,
    };
    put(&folder, version).await.unwrap();
    world
}

#[tokio::test]
async fn steps_end_in_order_or_are_given_up_after_the_grace_period_and_none_is_lost() {
    let mut world = world().await;
    world.config.grace_period = Duration::from_millis(300);
    let script = Script::default();

    let runs = world.fails("one run");
    let connectors = Arc::new(script.clone());
    run(world.config.clone(), world.client.clone(), connectors, runs).await.unwrap();

    assert_eq!(script.read_count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_while_it_is_made_anew_ends() {
    let mut world = world().await;
    world.config.grace_period = Duration::from_secs(1);
    let script = Script { first: 1, ..Script::default() };

    let asked = async {
        let started = world.fails("never finished");
        tokio::select! {
            () = started => unreachable!("nobody finishes it"),
            () = script.deaf.notified() => {}
        }
    };
    let connectors = Arc::new(script.clone());
    let ended = run(world.config.clone(), world.client.clone(), connectors, asked).await;

    let error = ended.expect_err("a step was still at work");
    assert!(error.downcast_ref::<GraceExceeded>().is_some(), "{error:#}");
}
