//! The source side of a definition.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::form::{self, Form, MAX_SETTLE, REQUEST_TIMEOUTS, Refusal};
use super::kind;
use super::section::{Reported, Section};
use super::tree::Value;
use crate::schedule::duration::serde_text;
use crate::secret::SecretRef;

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SourceDefinition {
    /// The members of a Mailchimp list.
    Mailchimp(MailchimpDefinition),
}

impl SourceDefinition {
    /// The word for it in a definition.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mailchimp(_) => MailchimpDefinition::KIND,
        }
    }
}

/// The members of a Mailchimp list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailchimpDefinition {
    pub(super) api_key: SecretRef,
    pub(super) list_id: String,
    pub(super) statuses: Option<BTreeSet<MemberStatus>>,
    pub(super) base_url: Option<Url>,
    #[serde(with = "serde_text")]
    pub(super) settle: Duration,
    pub(super) page_size: u32,
    pub(super) simultaneous_requests: u32,
    #[serde(with = "serde_text")]
    pub(super) request_timeout: Duration,
}

impl MailchimpDefinition {
    pub(super) const KIND: &'static str = "mailchimp";
    /// A list endpoint is read-after-write only after some seconds.
    pub(super) const DEFAULT_SETTLE: Duration = Duration::from_secs(30);
    /// Mailchimp clamps greater pages to this.
    pub(super) const MAX_PAGE_SIZE: u32 = 1_000;
    /// Mailchimp allows ten per user; the rest is left to whoever else uses the account.
    pub(super) const DEFAULT_SIMULTANEOUS_REQUESTS: u32 = 8;
    pub(super) const MAX_SIMULTANEOUS_REQUESTS: u32 = 10;
    /// Mailchimp itself gives up after this time.
    pub(super) const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

    /// Where the API key is; its part after the last `-` names the data centre.
    pub fn api_key(&self) -> &SecretRef {
        &self.api_key
    }

    /// The list (audience) whose members are read.
    pub fn list_id(&self) -> &str {
        &self.list_id
    }

    /// The statuses that are sent; `None` for every one that the listing shows.
    pub fn statuses(&self) -> Option<&BTreeSet<MemberStatus>> {
        self.statuses.as_ref()
    }

    /// Whether members of this status are sent. A status that this version does not know is sent
    /// unless the definition lists some.
    pub fn sends(&self, status: &str) -> bool {
        self.statuses
            .as_ref()
            .is_none_or(|statuses| statuses.iter().any(|sent| sent.as_str() == status))
    }

    /// The API's address; `None` for the one of the key's data centre.
    pub fn base_url(&self) -> Option<&Url> {
        self.base_url.as_ref()
    }

    /// How late a changed row may become visible in the listing.
    pub fn settle(&self) -> Duration {
        self.settle
    }

    /// Rows per request, 1 to 1,000.
    pub fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Requests at once, 1 to 10.
    pub fn simultaneous_requests(&self) -> u32 {
        self.simultaneous_requests
    }

    /// When a request without an answer is given up.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }
}

/// A status that the member listing shows. Archived members are not in it: for the listing they
/// have vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberStatus {
    Cleaned,
    Pending,
    Subscribed,
    Transactional,
    Unsubscribed,
}

impl MemberStatus {
    pub(super) const ALL: [Self; 5] =
        [Self::Cleaned, Self::Pending, Self::Subscribed, Self::Transactional, Self::Unsubscribed];

    /// The word that Mailchimp uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cleaned => "cleaned",
            Self::Pending => "pending",
            Self::Subscribed => "subscribed",
            Self::Transactional => "transactional",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl fmt::Display for MemberStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads `[connection.source]`.
pub(super) fn read(section: Section<'_>) -> Result<SourceDefinition, Reported> {
    kind::only(section, MailchimpDefinition::KIND, mailchimp).map(SourceDefinition::Mailchimp)
}

fn mailchimp(mut section: Section<'_>) -> Result<MailchimpDefinition, Reported> {
    use MailchimpDefinition as M;
    let api_key = section.required(
        "api_key",
        "write api_key = \"env:NAME\" or \"file:/path\"",
        form::secret(),
    );
    let list_id = section.required(
        "list_id",
        "the id of the list, as the settings of the audience show it",
        form::word(),
    );
    let statuses = section.optional("statuses", statuses());
    let base_url = section.optional("base_url", form::address());
    let settle =
        section.or("settle", M::DEFAULT_SETTLE, form::duration(Duration::ZERO..=MAX_SETTLE));
    let page_size = section.or("page_size", M::MAX_PAGE_SIZE, form::count(1..=M::MAX_PAGE_SIZE));
    let simultaneous_requests = section.or(
        "simultaneous_requests",
        M::DEFAULT_SIMULTANEOUS_REQUESTS,
        form::count(1..=M::MAX_SIMULTANEOUS_REQUESTS),
    );
    let request_timeout =
        section.or("request_timeout", M::DEFAULT_REQUEST_TIMEOUT, form::duration(REQUEST_TIMEOUTS));
    section.finish();
    Ok(MailchimpDefinition {
        api_key: api_key?,
        list_id: list_id?,
        statuses: statuses?,
        base_url: base_url?,
        settle: settle?,
        page_size: page_size?,
        simultaneous_requests: simultaneous_requests?,
        request_timeout: request_timeout?,
    })
}

fn statuses() -> Form<BTreeSet<MemberStatus>> {
    let words = MemberStatus::ALL.map(|status| (status.as_str(), status));
    let status = form::one_of(&words);
    let shape = form::one_of(&words).into_shape();
    let visible = Form::new(shape, move |value| match value {
        Value::Text(text) if text == "archived" => Err(Refusal::new("names `archived`")
            .hint("archived members are not in the listing: they count as deleted")),
        other => status.read(other),
    });
    form::set(visible).then(|statuses| {
        if statuses.is_empty() {
            return Err(Refusal::new("is empty, so nothing would be sent")
                .hint("without it, members of every status are sent"));
        }
        Ok(statuses)
    })
}
