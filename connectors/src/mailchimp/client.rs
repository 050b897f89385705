//! The requests that are made about one list.

use jiff::Timestamp;
use reqwest::StatusCode;
use tidemark_engine::port::{Clock, Slot};
use tidemark_model::{
    failure::{Failure, FailureKind, Side},
    receipt::Cost,
};
use tracing::Span;

use super::{
    account::{Account, read},
    listing::Listing,
    refusal::{undated, unreadable},
    rows::{Malformed, MappedMember, MappedPage, Mapping},
    wire::{List, Lists},
};
use crate::http::Answer;

/// The longest body that is mapped where it arrives: that takes a fraction of a millisecond.
const MAPPED_AT_ONCE: usize = 64 * 1024;

/// How many lists a failure names.
const NAMED_LISTS: usize = 20;

/// Makes the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    account: Account,
    list_id: String,
}

/// A listing's answer.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) answer: Answer,
    /// When the request began, by Mailchimp's clock.
    pub(super) requested_at: Timestamp,
    pub(super) page: MappedPage,
}

/// A look-up's answer.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub(super) answer: Answer,
    pub(super) requested_at: Timestamp,
    /// `None` if the list has no such member.
    pub(super) member: Option<MappedMember>,
}

impl Client {
    pub(crate) fn new(account: Account, list_id: &str) -> Self {
        Self { account, list_id: list_id.to_owned() }
    }

    /// Waits for a place among the requests under way.
    pub(super) async fn slot(&self) -> Slot {
        self.account.slot().await
    }

    /// Asks the listing, and maps what it shows.
    pub(super) async fn listing(
        &self,
        slot: Slot,
        listing: &Listing,
        mapping: &Mapping,
        clock: &dyn Clock,
    ) -> Result<Shown, Failure> {
        let mut parameters = listing.parameters();
        parameters.push(("fields", mapping.listing_fields()));
        let answer = self.members(slot, &parameters, clock).await?;
        let requested_at = answer.requested_at().ok_or_else(undated)?;
        let page = self.mapped(&answer, mapping, Mapping::page).await?;
        Ok(Shown { answer, requested_at, page })
    }

    /// Asks the listing for whole members.
    pub(super) async fn whole_members(
        &self,
        listing: &Listing,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut parameters = listing.parameters();
        parameters.push(("exclude_fields", "members._links,_links".to_owned()));
        self.members(self.slot().await, &parameters, clock).await
    }

    /// Looks one member up.
    pub(super) async fn member(
        &self,
        slot: Slot,
        contact_id: &str,
        mapping: &Mapping,
        clock: &dyn Clock,
    ) -> Result<LookedUp, Failure> {
        let path = ["lists", &self.list_id, "members", contact_id];
        let parameters = [("fields", mapping.member_fields())];
        let answer = self.account.get_in(slot, &path, &parameters, clock).await?;
        let requested_at = answer.requested_at().ok_or_else(undated)?;
        let member = match answer.status() {
            StatusCode::NOT_FOUND => None,
            status if status.is_success() => {
                Some(self.mapped(&answer, mapping, Mapping::member).await?)
            }
            _ => return Err(self.account.subject().refusal(&answer)),
        };
        Ok(LookedUp { answer, requested_at, member })
    }

    /// The list's name.
    pub(super) async fn list(&self, clock: &dyn Clock) -> Result<(List, Cost), Failure> {
        let path = ["lists", &self.list_id];
        let answer = self.account.get(&path, &[("fields", "id,name".to_owned())], clock).await?;
        if !answer.status().is_success() {
            return Err(self.list_refusal(&answer, clock).await);
        }
        Ok((read(&answer)?, answer.cost()))
    }

    async fn members(
        &self,
        slot: Slot,
        parameters: &[(&str, String)],
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let path = ["lists", &self.list_id, "members"];
        let answer = self.account.get_in(slot, &path, parameters, clock).await?;
        if !answer.status().is_success() {
            return Err(self.list_refusal(&answer, clock).await);
        }
        Ok(answer)
    }

    /// Mapping a large page takes milliseconds: windows side by side must not wait for one another.
    async fn mapped<T: Send + 'static>(
        &self,
        answer: &Answer,
        mapping: &Mapping,
        map: fn(&Mapping, &[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Failure> {
        if answer.body().len() <= MAPPED_AT_ONCE {
            return map(mapping, answer.body()).map_err(|malformed| unreadable(&malformed));
        }
        let (mapping, body) = (mapping.clone(), answer.body().clone());
        // What is said there names the step as well.
        let span = Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| map(&mapping, &body)))
            .await
            .map_err(|_| {
                // A panic's own text may hold what was read, so it stays in the log.
                let message = "mapping a page came to no end";
                Failure::new(FailureKind::Bug, Side::Platform, message)
                    .hint("look into the log at this time, and report what it says")
            })?
            .map_err(|malformed| unreadable(&malformed))
    }

    /// A refusal of something about the list. An unknown list is an error that helps, never an
    /// empty list.
    async fn list_refusal(&self, answer: &Answer, clock: &dyn Clock) -> Failure {
        let refusal = self.account.subject().refusal(answer);
        if refusal.kind != FailureKind::Gone {
            return refusal;
        }
        let Ok(visible) = self.account.lists(clock).await else { return refusal };
        let list_id = &self.list_id;
        if visible.lists.iter().any(|list| list.id == *list_id) {
            let message = format!("Mailchimp knows the list `{list_id}`, but not its members: 404");
            return Failure::new(FailureKind::Transient, Side::Source, message);
        }
        let message = format!(
            "the key at `{}` cannot see a list `{list_id}`; it can see {}",
            self.account.subject().key,
            names(&visible)
        );
        Failure::new(FailureKind::Gone, Side::Source, message)
            .hint("set `list_id` to a list that the key can see, then: tidemark apply FILE")
    }
}

/// The lists with id and name.
fn names(visible: &Lists) -> String {
    let named: Vec<String> = visible
        .lists
        .iter()
        .take(NAMED_LISTS)
        .map(|list| format!("{} ({})", list.id, list.name))
        .collect();
    let others = visible.total_items.saturating_sub(named.len() as u64);
    match (named.is_empty(), others) {
        (true, _) => "no list at all".to_owned(),
        (false, 0) => named.join(", "),
        (false, others) => format!("{}, and {others} others", named.join(", ")),
    }
}
