//! Who is told what.

use tidemark_monitor::rules::{Notice, Part, Phase, Subject};
use tidemark_monitor::sinks::Outbox;

use crate::notices::{failing, group, late, now, outage};
use crate::receiver::{Receiver, connect, webhook};

const RESEND_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// Three webhooks: of `acme`, of both, of all.
struct Three {
    acme: Receiver,
    both: Receiver,
    all: Receiver,
    sinks: tidemark_monitor::sinks::Sinks,
}

impl Three {
    async fn start() -> Self {
        let (acme, both, all) =
            (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let file = [
            webhook("acme", &acme, "accounts = ['acme']"),
            webhook("both", &both, "accounts = ['acme', 'globex']"),
            webhook("all", &all, ""),
        ];
        let sinks = connect(&file.concat(), &[]);
        Self { acme, both, all, sinks }
    }

    /// What each got of a notice, as texts of JSON.
    async fn tell(&self, notice: Notice) -> [Vec<String>; 3] {
        let mut outbox = Outbox::default();
        let handouts = self.sinks.hand_out(&mut outbox, vec![notice], now(), RESEND_AFTER);
        let deliveries = self.sinks.deliver(handouts, now()).await;
        self.sinks.note(&mut outbox, &deliveries, now());
        assert!(outbox.states().is_empty());
        [&self.acme, &self.both, &self.all]
            .map(|receiver| receiver.take().into_iter().map(|request| request.body).collect())
    }
}

fn counts(got: [Vec<String>; 3]) -> [usize; 3] {
    got.map(|bodies| bodies.len())
}

#[tokio::test]
async fn a_connection_is_told_to_those_of_its_account() {
    let three = Three::start().await;
    assert_eq!(counts(three.tell(late("acme/news", failing("x"))).await), [1, 1, 1]);
    assert_eq!(counts(three.tell(late("globex/news", failing("x"))).await), [0, 1, 1]);
    assert_eq!(counts(three.tell(late("initech/news", failing("x"))).await), [0, 0, 1]);
}

#[tokio::test]
async fn of_a_group_each_is_told_of_its_own_members() {
    let three = Three::start().await;
    let [acme, both, all] = three.tell(group("x")).await;
    let [acme, both, all] = [&acme[0], &both[0], &all[0]];
    assert!(!acme.contains("globex"), "{acme}");
    let acme: serde_json::Value = serde_json::from_str(acme).unwrap();
    assert_eq!(acme["counts"], serde_json::json!({ "acme": 2 }));
    assert!(acme["text"].as_str().unwrap().starts_with("2 connections: late"));
    assert_eq!(both, all);
    assert!(all.contains(r#""counts":{"acme":2,"globex":3}"#), "{all}");
}

#[tokio::test]
async fn of_an_account_that_joins_a_group_those_are_told_who_may_not_see_the_others() {
    let three = Three::start().await;
    let mut notice = group("x").for_accounts(&|account| account.as_str() == "acme").unwrap();
    let Subject::Group { joining, .. } = &mut notice.subject else { panic!() };
    *joining = true;
    assert_eq!(counts(three.tell(notice).await), [1, 1, 0]);
}

#[tokio::test]
async fn an_outage_is_everybodys() {
    let three = Three::start().await;
    let outage = outage(Part::Workers, None, Phase::Opened);
    assert_eq!(counts(three.tell(outage).await), [1, 1, 1]);
}

#[tokio::test]
async fn of_a_sink_those_are_told_who_see_all_that_it_sees() {
    let three = Three::start().await;
    let trouble = |name: &str| Notice {
        key: format!("sink/{name}"),
        at: now(),
        phase: Phase::Opened,
        subject: Subject::Sink {
            name: name.to_owned(),
            since: now(),
            until: None,
            error: "it does not work".to_owned(),
            given_up: 0,
        },
    };
    assert_eq!(counts(three.tell(trouble("acme")).await), [0, 1, 1]);
    assert_eq!(counts(three.tell(trouble("both")).await), [0, 0, 1]);
    assert_eq!(counts(three.tell(trouble("all")).await), [0, 0, 0]);
}

#[tokio::test]
async fn a_sink_that_is_not_told_of_an_account_any_more_owes_it_nothing() {
    let receiver = Receiver::start().await;
    let before = connect(&webhook("hook", &receiver, ""), &[]);
    let after = connect(&webhook("hook", &receiver, "accounts = ['acme']"), &[]);
    let mut outbox = Outbox::default();
    let notices = vec![late("globex/news", failing("x")), late("acme/news", failing("x"))];
    // Handed out, and its process died.
    let _ = before.hand_out(&mut outbox, notices, now(), RESEND_AFTER);
    let later = now() + RESEND_AFTER;
    let handouts = after.hand_out(&mut outbox, Vec::new(), later, RESEND_AFTER);
    let deliveries = after.deliver(handouts, later).await;
    after.note(&mut outbox, &deliveries, later);
    assert_eq!(receiver.keys(), ["late/acme/news/7"]);
    assert!(outbox.states().is_empty());
}
