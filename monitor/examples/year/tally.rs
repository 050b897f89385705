//! What the truth says of the watch, counted.

use std::collections::BTreeMap;

use tidemark_monitor::rules::Kind;

/// Samples that are kept of each way of going wrong.
const SAMPLES: usize = 3;

/// The counts of one kind of trouble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// How often there was trouble, and how often it was told.
    pub(crate) cases: u64,
    pub(crate) told: u64,
    /// Told though there was none, or told that it was over though it was not.
    pub(crate) lies: u64,
    pub(crate) missed: u64,
    pub(crate) twice: u64,
    /// Told, but never that it was over.
    pub(crate) unclosed: u64,
    /// Seconds after which it was told, at most: of what visibility shows, and of the rest.
    pub(crate) latest: i64,
    pub(crate) latest_audited: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kinds: BTreeMap<Kind, Counts>,
    /// Of outages: those that there were, and those that were told.
    pub(crate) outages: Counts,
    /// Notices, reminders included, and connections that they were about.
    pub(crate) notices: u64,
    /// The most bytes of what the watches had to remember.
    pub(crate) memory_size: usize,
    pub(crate) wrong: Vec<String>,
}

impl Tally {
    fn of(&mut self, kind: Kind) -> &mut Counts {
        self.kinds.entry(kind).or_default()
    }

    pub(crate) fn sample(&mut self, what: &str, text: String) {
        if self.wrong.iter().filter(|wrong| wrong.starts_with(what)).count() < SAMPLES {
            self.wrong.push(format!("{what}: {text}"));
        }
    }

    pub(crate) fn begun(&mut self, kind: Kind) {
        self.of(kind).cases += 1;
    }

    pub(crate) fn told(&mut self, kind: Kind, late: i64, soon: bool) {
        let counts = self.of(kind);
        counts.told += 1;
        let latest = if soon { &mut counts.latest } else { &mut counts.latest_audited };
        *latest = late.max(*latest);
    }

    pub(crate) fn lied(&mut self, kind: Kind, text: String) {
        self.of(kind).lies += 1;
        self.sample("false", text);
    }

    pub(crate) fn closed_early(&mut self, kind: Kind, text: String) {
        self.of(kind).lies += 1;
        self.sample("closed early", text);
    }

    pub(crate) fn missed(&mut self, kind: Kind, text: String) {
        self.of(kind).missed += 1;
        self.sample("missed", text);
    }

    pub(crate) fn twice(&mut self, kind: Kind, text: String) {
        self.of(kind).twice += 1;
        self.sample("told twice", text);
    }

    pub(crate) fn unclosed(&mut self, kind: Kind, text: String) {
        self.of(kind).unclosed += 1;
        self.sample("never told that it is over", text);
    }

    /// Whether everybody was told in time, once, and nothing else.
    pub(crate) fn flawless(&self) -> bool {
        self.kinds.values().chain([&self.outages]).all(|counts| {
            (counts.lies, counts.missed, counts.twice, counts.unclosed) == (0, 0, 0, 0)
        })
    }

    /// Adds another month.
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, counts) in &other.kinds {
            self.of(*kind).add(counts);
        }
        self.outages.add(&other.outages);
        self.notices += other.notices;
        self.memory_size = self.memory_size.max(other.memory_size);
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.told += other.told;
        self.lies += other.lies;
        self.missed += other.missed;
        self.twice += other.twice;
        self.unclosed += other.unclosed;
        self.latest = self.latest.max(other.latest);
        self.latest_audited = self.latest_audited.max(other.latest_audited);
    }
}
