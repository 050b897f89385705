use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::rules::{Cause, Kind};

/// A sink that takes its time, and writes down what it took.
struct Slow {
    takes: Duration,
    taken: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Sink for Slow {
    async fn deliver(&self, notice: &Notice, _now: Timestamp) -> Result<(), SinkError> {
        tokio::time::sleep(self.takes).await;
        self.taken.lock().unwrap().push(notice.key.clone());
        Ok(())
    }
}

fn notice(key: &str) -> Notice {
    Notice {
        key: key.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        phase: Phase::Opened,
        subject: Subject::Connection {
            connection: format!("acme/{key}").parse().unwrap(),
            kind: Kind::Late,
            cause: Cause::NoRun,
            ending: None,
        },
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_gives_back_what_it_has_no_time_for_and_keeps_nobody() {
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let receiver = |name: &str, seconds| Receiver {
        name: name.to_owned(),
        accounts: None,
        sink: Box::new(Slow { takes: Duration::from_secs(seconds), taken: Arc::clone(&taken) }),
    };
    let sinks = Sinks(vec![receiver("slow", 9), receiver("quick", 0)]);
    let mut outbox = Outbox::default();
    let (now, minute) = (Timestamp::UNIX_EPOCH, SignedDuration::from_mins(1));
    let notices = (0..8).map(|n| notice(&format!("n{n}"))).collect();
    let handouts = sinks.hand_out(&mut outbox, notices, now, minute);
    let begun = Instant::now();
    let deliveries = sinks.deliver(handouts, now).await;
    // Far less than the minute after which another process would be given the rest.
    assert_eq!(begun.elapsed(), Duration::from_secs(18));
    assert_eq!(taken.lock().unwrap()[..8], (0..8).map(|n| format!("n{n}")).collect::<Vec<_>>());
    sinks.note(&mut outbox, &deliveries, now);
    let left = sinks.hand_out(&mut outbox, Vec::new(), now, minute);
    let left: Vec<&str> = left.iter().map(|handout| handout.notice.key.as_str()).collect();
    assert_eq!(left, ["n2", "n3", "n4", "n5", "n6", "n7"]);
    assert!(!outbox.rests("slow", now));
}
