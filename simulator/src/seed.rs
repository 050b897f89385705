//! A made-up list: deterministic, of any size, with the shapes that real lists have (one second that
//! holds an import of many rows, some members that left).

use serde::{Deserialize, Serialize};

use crate::{
    chance::Chance,
    member::{Hash, Member, Status},
};

const FIRST_NAMES: [&str; 24] = [
    "Ada",
    "Amir",
    "Anneliese",
    "Björn",
    "Chloé",
    "Dorothy",
    "Emeka",
    "Fatima",
    "Giulia",
    "Hana",
    "Ines",
    "Jamal",
    "Kenji",
    "Lucía",
    "Mateusz",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Søren",
    "Tomás",
    "Uma",
    "Zoë",
];
const LAST_NAMES: [&str; 24] = [
    "Adeyemi",
    "Bauer",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Nakamura",
    "O'Brien",
    "Patel",
    "Quispe",
    "Rossi",
    "Sato",
    "Tremblay",
    "Usman",
    "Virtanen",
    "Weiß",
    "Zhang",
];

/// What to fill a list with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// Members to add.
    pub count: u32,
    /// The same seed makes the same members, as long as the clock says the same.
    pub seed: u64,
    /// Seconds over which `last_changed` is spread, back from `until`.
    pub span: u64,
    /// The newest second that `last_changed` may have; default: one second before the clock's now.
    pub until: Option<i64>,
    /// So many of the members share one second, in the middle of the span, as after an import.
    pub ties: u32,
    /// How many of each status, as weights.
    pub statuses: StatusMix,
}

impl Default for Seed {
    /// A thousand subscribers, changed over the last 30 days.
    fn default() -> Self {
        Self {
            count: 1_000,
            seed: 1,
            span: 30 * 24 * 3_600,
            until: None,
            ties: 0,
            statuses: StatusMix::default(),
        }
    }
}

impl Seed {
    /// `count` subscribers, the rest by default.
    pub fn of(count: u32) -> Self {
        Self { count, ..Self::default() }
    }
}

/// Weights: `{subscribed: 9, unsubscribed: 1}` makes one in ten unsubscribed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the names of the statuses say it")]
pub struct StatusMix {
    pub subscribed: u32,
    pub unsubscribed: u32,
    pub cleaned: u32,
    pub pending: u32,
    pub transactional: u32,
    pub archived: u32,
}

impl Default for StatusMix {
    fn default() -> Self {
        Self {
            subscribed: 1,
            unsubscribed: 0,
            cleaned: 0,
            pending: 0,
            transactional: 0,
            archived: 0,
        }
    }
}

impl StatusMix {
    fn weights(&self) -> [(Status, u64); 6] {
        [
            (Status::Subscribed, self.subscribed.into()),
            (Status::Unsubscribed, self.unsubscribed.into()),
            (Status::Cleaned, self.cleaned.into()),
            (Status::Pending, self.pending.into()),
            (Status::Transactional, self.transactional.into()),
            (Status::Archived, self.archived.into()),
        ]
    }

    fn draw(&self, chance: &mut Chance) -> Status {
        let weights = self.weights();
        let mut at = chance.below(weights.iter().map(|(_, weight)| weight).sum());
        for (status, weight) in weights {
            if at < weight {
                return status;
            }
            at -= weight;
        }
        Status::Subscribed
    }
}

/// Makes the members of a seed, one after the other.
pub(crate) struct Sowing<'a> {
    seed: &'a Seed,
    chance: Chance,
    until: i64,
    left: u64,
    ties_left: u64,
}

impl<'a> Sowing<'a> {
    pub(crate) fn new(seed: &'a Seed, now: i64) -> Self {
        Self {
            seed,
            chance: Chance::new(seed.seed),
            until: seed.until.unwrap_or(now - 1),
            left: seed.count.into(),
            ties_left: seed.ties.min(seed.count).into(),
        }
    }

    /// `number` keeps addresses apart; the rest comes from the seed.
    pub(crate) fn member(&mut self, number: u32, contact_id: Hash) -> Member {
        let chance = &mut self.chance;
        // Ties are spread over the whole list: each row still to come is as likely one of them.
        let tied = chance.below(self.left) < self.ties_left;
        self.left = self.left.saturating_sub(1);
        self.ties_left -= u64::from(tied);
        let drawn = chance.below(self.seed.span.max(1));
        let ago = if tied { self.seed.span / 2 } else { drawn };
        let changed = self.until.saturating_sub_unsigned(ago);
        let first = pick(&FIRST_NAMES, chance);
        let last = pick(&LAST_NAMES, chance);
        let email = format!("{}.{}.{number}@example.com", ascii(first), ascii(last));
        let status = self.seed.statuses.draw(chance);
        let mut member = Member::new(&email, contact_id, status, changed);
        member.first_name = first.into();
        member.last_name = last.into();
        member.rating = u8::try_from(1 + chance.below(5)).unwrap_or(1);
        member.opted_in_at =
            changed.saturating_sub_unsigned(chance.below(2) * chance.below(86_400));
        member
    }
}

/// A name for a new or changed member.
pub(crate) fn first_name(chance: &mut Chance) -> &'static str {
    pick(&FIRST_NAMES, chance)
}

/// A family name for a new or changed member.
pub(crate) fn last_name(chance: &mut Chance) -> &'static str {
    pick(&LAST_NAMES, chance)
}

fn pick(names: &[&'static str; 24], chance: &mut Chance) -> &'static str {
    let place = usize::try_from(chance.below(24)).unwrap_or(0);
    names.get(place).copied().unwrap_or("Ada")
}

fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
}
