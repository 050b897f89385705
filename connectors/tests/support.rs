//! A simulator with one list, the source that reads it, and what the list holds in truth.

use std::{collections::BTreeMap, sync::Arc, sync::OnceLock};

use async_trait::async_trait;
use jiff::Timestamp;
use tidemark_connectors::{
    HttpConnectors, Transport,
    conformance::{MemoryReading, MemorySnapshot, Seconds, SourceSubject, TestHost, read_through},
};
use tidemark_engine::port::{Connectors, ReadRequest, Reading, Source};
use tidemark_model::{
    definition::{Definition, SourceText, parse},
    entry::Coverage,
    failure::Failure,
    secret::SecretLookup,
};
use tidemark_simulator::{Ledger, Mutation, Operation, RandomKind, Seed, Simulator, Status, World};

pub(crate) const LIST: &str = "a1b2c3";
pub(crate) const KEY: &str = "secret-key-us1";
pub(crate) const RECORD_KEY: &str = "record-key";

/// When the tests take place: any time in our past.
const BEGIN: i64 = 1_700_000_000;

/// Installs the TLS provider that a `main` installs, once.
pub(crate) fn connectors() -> HttpConnectors {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        rustls::crypto::ring::default_provider().install_default().expect("nobody else does");
    });
    HttpConnectors::new(Secrets).expect("a client without certificates can be set up")
}

/// Over another transport than the network.
pub(crate) fn connectors_over(transport: Arc<dyn Transport>) -> HttpConnectors {
    HttpConnectors::over(transport, Secrets)
}

struct Secrets;

impl SecretLookup for Secrets {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "KEY" => Some(KEY.to_owned()),
            "RECORD_KEY" => Some(RECORD_KEY.to_owned()),
            "OTHER_KEY" => Some("other-us1".to_owned()),
            _ => None,
        }
    }

    fn file(&self, _path: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// The definition of a test, with lines that are added to its tables.
pub(crate) struct Lines {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) record: String,
    pub(crate) policy: String,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            source: "settle = \"0s\"".to_owned(),
            destination: "delete = { tombstone = \"deleted\" }".to_owned(),
            record: "firstname = \"merge_fields.FNAME\"\nlastname = \"merge_fields.LNAME\"\n\
                     email = \"email_address\""
                .to_owned(),
            policy: String::new(),
        }
    }
}

pub(crate) fn definition(url: &str, lines: &Lines) -> Definition {
    let Lines { source, destination, record, policy } = lines;
    let list = if source.contains("list_id") { "" } else { "list_id = \"a1b2c3\"" };
    let key = if source.contains("api_key") { "" } else { "api_key = \"env:KEY\"" };
    let text = format!(
        "[[connection]]\nid = \"acme/newsletter\"\nevery = \"1h\"\n\
         [connection.source]\nkind = \"mailchimp\"\n{key}\n{list}\nbase_url = \"{url}\"\n{source}\n\
         [connection.destination]\nkind = \"record-api\"\nurl = \"{url}/record\"\n\
         api_key = \"env:RECORD_KEY\"\n{destination}\n\
         [connection.record]\nid = \"contact_id\"\n{record}\n\
         [connection.policy]\ndeletions = \"keep\"\ninvalid_records = \"quarantine\"\n{policy}\n"
    );
    let file = SourceText { name: "test.toml".to_owned(), text: text.clone() };
    match parse(&[file], &[]) {
        Ok(mut definitions) => definitions.remove(0),
        Err(problems) => panic!("{problems:?}\n{text}"),
    }
}

/// The simulator's clock is the clock of a test.
struct WorldSeconds(Arc<World>);

impl Seconds for WorldSeconds {
    fn now(&self) -> i64 {
        self.0.now()
    }

    fn advance(&self, seconds: i64) {
        self.0.advance(seconds);
    }
}

/// A list on a simulator whose clock stands still unless it is told to move.
pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) host: TestHost,
    pub(crate) definition: Definition,
    draws: std::sync::atomic::AtomicU64,
}

/// What a commit leaves to the next reading.
#[derive(Clone, Default)]
pub(crate) struct Committed {
    pub(crate) rows: MemorySnapshot,
    pub(crate) since: Option<Timestamp>,
}

/// A reading that ended well.
pub(crate) struct Read {
    pub(crate) reading: Reading,
    pub(crate) pages: MemoryReading,
    pub(crate) committed: Committed,
    /// The calls that it took.
    pub(crate) ledger: Ledger,
}

impl Bench {
    pub(crate) async fn new(seed: &Seed) -> Self {
        Self::with(seed, &Lines::default()).await
    }

    /// `source` are further lines of the source's table.
    pub(crate) async fn with_source(seed: &Seed, source: &str) -> Self {
        let lines = Lines { source: source.to_owned(), ..Lines::default() };
        Self::with(seed, &lines).await
    }

    pub(crate) async fn with(seed: &Seed, lines: &Lines) -> Self {
        let simulator = Simulator::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let world = simulator.world();
        world.set_clock(Some(BEGIN));
        world.add_account(KEY);
        world.add_list(KEY, LIST, "Newsletter").unwrap();
        world.seed(LIST, seed).unwrap();
        world.add_destination(RECORD_KEY);
        // Nothing is younger than what a first reading reaches back to.
        world.advance(1_000);
        let host = TestHost::new(Arc::new(WorldSeconds(Arc::clone(world))));
        let definition = definition(&simulator.url(), lines);
        Self { simulator, host, definition, draws: std::sync::atomic::AtomicU64::new(1) }
    }

    pub(crate) fn world(&self) -> &World {
        self.simulator.world()
    }

    /// The source as a new process makes it.
    pub(crate) fn fresh_source(&self) -> Arc<dyn Source> {
        connectors().source(&self.definition).expect("the definition is fine")
    }

    /// Reads over a commit; time passes by itself where the source waits.
    pub(crate) async fn read(&self, committed: &Committed) -> Read {
        self.try_read(committed, Vec::new()).await.unwrap_or_else(|failure| {
            panic!("{failure} ({:?}, {:?})", failure.kind, failure.causes)
        })
    }

    pub(crate) async fn try_read(
        &self,
        committed: &Committed,
        must_see: Vec<String>,
    ) -> Result<Read, Failure> {
        let coverage = if committed.since.is_some() { Coverage::Changes } else { Coverage::Full };
        let request = ReadRequest { coverage, since: committed.since, must_see };
        let pages = MemoryReading::over(committed.rows.clone());
        self.read_on(&request, pages).await
    }

    /// Reads over pages that may be there already.
    pub(crate) async fn read_on(
        &self,
        request: &ReadRequest,
        pages: MemoryReading,
    ) -> Result<Read, Failure> {
        let mark = self.world().ledger().mark;
        let source = self.fresh_source();
        let reading = read_through(source.as_ref(), request, &pages, &self.host).await?;
        let committed =
            Committed { rows: pages.commit(&reading), since: Some(reading.complete_as_of) };
        let ledger = self.world().ledger_since(mark);
        Ok(Read { reading, pages, committed, ledger })
    }

    /// A first reading, an hour ago.
    pub(crate) async fn first_read(&self) -> Committed {
        let read = self.read(&Committed::default()).await;
        assert_eq!(self.truth(), sent(&read.committed.rows));
        self.world().advance(3_600);
        read.committed
    }

    pub(crate) fn mutate(&self, mutation: &Mutation) -> String {
        self.world().mutate(LIST, mutation).expect("the list takes the change").contact_id
    }

    /// Plays a kind of change on members that are drawn.
    pub(crate) fn draw(&self, kind: RandomKind, count: usize) -> Vec<String> {
        let seed = self.draws.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let changed =
            self.world().mutate_random(LIST, kind, count, seed).expect("there are enough");
        changed.into_iter().map(|ids| ids.contact_id).collect()
    }

    /// The records that the list has to be mapped to, by contact id.
    pub(crate) fn truth(&self) -> BTreeMap<String, String> {
        let mut truth = BTreeMap::new();
        self.world()
            .each_member(LIST, |member| {
                if member.status() != Status::Archived {
                    truth.insert(member.contact_id(), record(member));
                }
            })
            .unwrap();
        truth
    }

    /// Asserts that a commit is what the list is.
    #[track_caller]
    pub(crate) fn assert_in_step(&self, committed: &Committed) {
        let (truth, held) = (self.truth(), sent(&committed.rows));
        let differing: Vec<_> = truth
            .iter()
            .filter(|(key, record)| held.get(*key) != Some(record))
            .chain(held.iter().filter(|(key, _)| !truth.contains_key(*key)))
            .take(3)
            .collect();
        assert!(differing.is_empty(), "{} rows, differs in {differing:?}", held.len());
    }
}

/// What a member has to be mapped to; made here without the code under test.
pub(crate) fn record(member: &tidemark_simulator::MemberView<'_>) -> String {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    // Fields stand in the order of their names, the id first.
    serde_json::json!({
        "id": format!("newsletter:{}", member.contact_id()),
        "email": member.email(),
        "firstname": text(member.merge_field("FNAME")),
        "lastname": text(member.merge_field("LNAME")),
    })
    .to_string()
}

/// The records of a commit, by key.
pub(crate) fn sent(rows: &MemorySnapshot) -> BTreeMap<String, String> {
    rows.values().map(|row| (row.key.clone(), row.record.clone())).collect()
}

/// The pages of members that were asked for.
pub(crate) fn pages(ledger: &Ledger) -> u64 {
    ledger.count(Operation::Page)
}

#[async_trait]
impl SourceSubject for Bench {
    fn source(&self) -> Arc<dyn Source> {
        self.fresh_source()
    }

    fn host(&self) -> &TestHost {
        &self.host
    }

    fn add(&self, count: usize) {
        self.draw(RandomKind::Add, count);
    }

    fn change(&self, count: usize) {
        self.draw(RandomKind::Change, count);
    }

    fn remove(&self, count: usize) {
        self.draw(RandomKind::DeleteForEver, count);
    }

    fn records(&self) -> BTreeMap<String, String> {
        self.truth()
            .into_iter()
            .map(|(key, record)| (format!("newsletter:{key}"), record))
            .collect()
    }
}
