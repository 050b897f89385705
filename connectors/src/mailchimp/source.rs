//! A Mailchimp list as a source.

use std::time::Duration;

use async_trait::async_trait;
use tidemark_engine::port::{
    FoundRow, Host, Mirror, PageWriter, ReadRequest, Reading, Source, SystemClock,
};
use tidemark_model::{check::SourceCheck, definition::MailchimpDefinition, failure::Failure};

use super::{Client, Mapping, check, find, reading};

/// The members of a Mailchimp list, without the archived ones.
#[derive(Clone, Debug)]
pub struct MailchimpSource {
    client: Client,
    mapping: Mapping,
    limits: Limits,
}

/// What the definition says about the manner of reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Rows of a page.
    pub(super) page_size: u32,
    pub(super) simultaneous_requests: usize,
    /// How late a changed row may become visible in the listing.
    pub(super) settle: Duration,
}

impl MailchimpSource {
    pub(crate) fn new(client: Client, mapping: Mapping, mailchimp: &MailchimpDefinition) -> Self {
        let limits = Limits {
            // A page that holds less than the row it begins with again would never end.
            page_size: mailchimp.page_size().max(2),
            simultaneous_requests: mailchimp.simultaneous_requests().max(1) as usize,
            settle: mailchimp.settle(),
        };
        Self { client, mapping, limits }
    }
}

#[async_trait]
impl Source for MailchimpSource {
    async fn check(&self) -> Result<SourceCheck, Failure> {
        let clock = SystemClock::default();
        check::check(&self.client, &self.mapping, self.limits.page_size, &clock).await
    }

    async fn read(
        &self,
        request: &ReadRequest,
        mirror: &dyn Mirror,
        pages: &dyn PageWriter,
        host: &dyn Host,
    ) -> Result<Reading, Failure> {
        let desk = reading::Desk {
            client: &self.client,
            mapping: &self.mapping,
            limits: self.limits,
            request,
            mirror,
            pages,
            host,
        };
        reading::read(desk).await
    }

    async fn find(&self, name: &str) -> Result<Option<FoundRow>, Failure> {
        find::find(&self.client, &self.mapping, name, &SystemClock::default()).await
    }
}
