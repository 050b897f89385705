//! The decisions to do without held removals: who took them, and why.

use tidemark_engine::run;
use tidemark_model::exception::{Decision, Verdict, Waiver};

use super::Book;
use crate::error::Error;

/// The decisions to do without held removals that were carried out, oldest first.
#[derive(Debug)]
pub(super) struct Waives(Vec<Decision>);

impl Waives {
    /// Reads those that the newest commit knows.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn load(book: &Book) -> Result<Self, Error> {
        let all = run::decisions(&book.folder, 0).await?;
        let (decided, stale) = book.manifest().map_or((0, &[][..]), |manifest| {
            (manifest.decided, manifest.stale_decisions.as_slice())
        });
        Ok(Self::among(all, decided, stale))
    }

    /// Leaves out those that wait for the next run, and those that were not carried out because
    /// the hold had moved on: neither did without anything.
    fn among(all: Vec<Decision>, decided: u64, stale: &[u64]) -> Self {
        let carried_out = |one: &Decision| one.number <= decided && !stale.contains(&one.number);
        let waives = |one: &Decision| matches!(one.verdict, Verdict::Waive { .. });
        Self(all.into_iter().filter(|one| carried_out(one) && waives(one)).collect())
    }

    /// The newest of them that can be about a record: a row may have returned since an older one.
    pub(super) fn about(&self, id: &str) -> Option<Waiver> {
        self.0.iter().rev().find_map(|decision| match &decision.verdict {
            Verdict::Waive { removals, why }
                if removals.ids.as_ref().is_none_or(|ids| ids.iter().any(|one| one == id)) =>
            {
                let (who, at) = (decision.who.clone(), decision.at);
                Some(Waiver { who, at, why: why.clone(), row: None })
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tidemark_model::entry::FileRef;
    use tidemark_model::exception::HeldRemovals;

    use super::*;

    fn waive(number: u64, ids: Option<&[&str]>) -> Decision {
        let (path, checksum) = ("changes/held.json".to_owned(), "00".to_owned());
        let hold = FileRef { path, bytes: 1, checksum, row_count: 1 };
        let ids = ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let verdict =
            Verdict::Waive { removals: HeldRemovals { hold, ids }, why: format!("why {number}") };
        let (who, at) = ("eve".to_owned(), Timestamp::UNIX_EPOCH);
        Decision { number, who, at, commit: None, verdict }
    }

    #[test]
    fn the_newest_that_was_carried_out_speaks() {
        let all = vec![
            waive(1, Some(&["a", "b"])),
            waive(2, Some(&["a"])),
            // Of a hold that had moved on.
            waive(3, None),
            // Waits for the next run.
            waive(4, None),
        ];
        let waives = Waives::among(all, 3, &[3]);
        let why = |id: &str| waives.about(id).map(|waiver| waiver.why);
        assert_eq!(why("a").as_deref(), Some("why 2"));
        assert_eq!(why("b").as_deref(), Some("why 1"));
        assert_eq!(why("c"), None);
    }
}
