//! The requests that are made of the API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Method, Request, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tidemark_engine::port::{Clock, Slot};
use tidemark_model::{
    definition::{Definition, RecordApiDefinition},
    failure::{Failure, FailureKind, Side},
};

use super::refusal::Subject;
use crate::http::{Answer, Caller};

/// All that may stand in a path as it is (RFC 3986, unreserved characters).
const ID_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the id goes in the path of a removal.
const ID_PLACE: &str = "{id}";

/// Makes the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    caller: Caller,
    url: Url,
    header: (HeaderName, HeaderValue),
    pub(super) subject: Subject,
}

impl Client {
    pub(crate) fn new(
        caller: Caller,
        key: &SecretString,
        definition: &Definition,
        api: &RecordApiDefinition,
    ) -> Result<Self, Failure> {
        let subject = Subject { connection: definition.id().clone(), key: api.api_key().clone() };
        let unusable = |what: &str| {
            Failure::new(FailureKind::Invalid, Side::Destination, what)
                .hint(format!("correct it, then: tidemark start {}", definition.id()))
        };
        let name = HeaderName::try_from(api.header())
            .map_err(|_| unusable("the destination's `header` is not the name of a header"))?;
        let mut value = HeaderValue::from_str(key.expose_secret()).map_err(|_| {
            unusable(&format!("the key at `{}` cannot stand in a header", api.api_key()))
        })?;
        value.set_sensitive(true);
        Ok(Self { caller, url: api.url().clone(), header: (name, value), subject })
    }

    /// Waits for a place among the requests under way.
    pub(super) async fn slot(&self) -> Slot {
        self.caller.slot().await
    }

    /// Posts a JSON array.
    pub(super) async fn post(
        &self,
        slot: &mut Slot,
        body: String,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut request = self.request(Method::POST, self.url.clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        *request.body_mut() = Some(body.into());
        self.caller.call_in(slot, request, clock).await
    }

    /// Asks for what is at a path.
    pub(super) async fn get(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut url = self.url.clone();
        url.set_path(path);
        url.query_pairs_mut().extend_pairs(parameters);
        self.caller.call(self.request(Method::GET, url), clock).await
    }

    /// Deletes what is at a removal's address.
    pub(super) async fn delete(
        &self,
        slot: &mut Slot,
        url: Url,
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        self.caller.call_in(slot, self.request(Method::DELETE, url), clock).await
    }

    /// The address of one record. `None` for an id that cannot stand in a path (`..`).
    pub(super) fn address(&self, template: &str, id: &str) -> Option<Url> {
        let id = utf8_percent_encode(id, ID_IN_PATH).to_string();
        let path = template.replace(ID_PLACE, &id);
        let mut url = self.url.clone();
        url.set_path(&path);
        (url.path() == path).then_some(url)
    }

    fn request(&self, method: Method, url: Url) -> Request {
        let (name, value) = self.header.clone();
        let mut request = Request::new(method, url);
        request.headers_mut().insert(name, value);
        request
    }
}
