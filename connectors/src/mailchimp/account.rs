//! The requests that are made of one account, with one key.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Method, Request, Url,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tidemark_engine::port::{Clock, Slot};
use tidemark_model::failure::{Failure, FailureKind, Side};

use super::{
    refusal::{Subject, unreadable},
    wire::Lists,
};
use crate::http::{Answer, Caller};

/// When Mailchimp itself ends a request. Until then one that was given up here takes one of the
/// user's ten places.
pub(crate) const SERVER_GIVES_UP_AFTER: Duration = Duration::from_secs(120);

/// The most lists of one page.
const MOST_LISTS: usize = 1_000;

/// Makes requests with a key.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    caller: Caller,
    base: Url,
    key: SecretString,
    subject: Subject,
}

impl Account {
    /// `base` is the API's address; without one, it is that of the key's data centre.
    pub(crate) fn new(
        caller: Caller,
        key: SecretString,
        subject: Subject,
        base: Option<&Url>,
    ) -> Result<Self, Failure> {
        let base = match base {
            Some(base) => base.clone(),
            None => data_centre(&key, &subject)?,
        };
        Ok(Self { caller, base, key, subject })
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The lists that the key can see.
    pub(crate) async fn lists(&self, clock: &dyn Clock) -> Result<Lists, Failure> {
        let mut seen = self.lists_from(0, clock).await?;
        while (seen.lists.len() as u64) < seen.total_items {
            let page = self.lists_from(seen.lists.len(), clock).await?;
            // A list was deleted meanwhile: there are fewer than the first page said.
            if page.lists.is_empty() {
                break;
            }
            seen.total_items = page.total_items;
            seen.lists.extend(page.lists);
        }
        Ok(seen)
    }

    /// A page of the lists, the oldest first, so that a new one moves none to another page.
    async fn lists_from(&self, offset: usize, clock: &dyn Clock) -> Result<Lists, Failure> {
        let parameters = [
            ("fields", "lists.id,lists.name,total_items".to_owned()),
            ("sort_field", "date_created".to_owned()),
            ("sort_dir", "ASC".to_owned()),
            ("count", MOST_LISTS.to_string()),
            ("offset", offset.to_string()),
        ];
        let answer = self.get(&["lists"], &parameters, clock).await?;
        if !answer.status().is_success() {
            return Err(self.subject.refusal(&answer));
        }
        read(&answer)
    }

    /// Waits for a place among the requests under way.
    pub(super) async fn slot(&self) -> Slot {
        self.caller.slot().await
    }

    /// Waits for a place and asks for what is at a path of the API, whatever the status of the
    /// answer.
    pub(super) async fn get(
        &self,
        path: &[&str],
        parameters: &[(&str, String)],
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let slot = self.slot().await;
        self.get_in(slot, path, parameters, clock).await
    }

    /// As [`get`](Self::get), in a place that was taken before and is given up with the answer.
    pub(super) async fn get_in(
        &self,
        mut slot: Slot,
        path: &[&str],
        parameters: &[(&str, String)],
        clock: &dyn Clock,
    ) -> Result<Answer, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            segments.push("3.0").extend(path);
        }
        url.query_pairs_mut().extend_pairs(parameters);
        let mut request = Request::new(Method::GET, url);
        request.headers_mut().insert(AUTHORIZATION, basic(&self.key));
        self.caller.call_in(&mut slot, request, clock).await
    }
}

/// What says who asks: any user, and the key.
fn basic(key: &SecretString) -> HeaderValue {
    let pair = BASE64_STANDARD.encode(format!("tidemark:{}", key.expose_secret()));
    let mut value =
        HeaderValue::try_from(format!("Basic {pair}")).expect("base64 may stand in a header");
    value.set_sensitive(true);
    value
}

/// The address that the end of a key names (`…-us6`).
fn data_centre(key: &SecretString, subject: &Subject) -> Result<Url, Failure> {
    let key = key.expose_secret();
    let name = key.rsplit_once('-').map(|(_, name)| name).filter(|name| {
        !name.is_empty() && name.len() <= 10 && name.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    name.and_then(|name| format!("https://{name}.api.mailchimp.com").parse().ok()).ok_or_else(
        || {
            let Subject { key, connection } = subject;
            let message =
                format!("the API key at `{key}` does not end with a data centre, such as `-us6`");
            Failure::new(FailureKind::Invalid, Side::Source, message).hint(format!(
                "put the whole key there, or give `base_url`, then: tidemark start {connection}"
            ))
        },
    )
}

/// Reads a successful answer.
pub(super) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    serde_json::from_slice(answer.body()).map_err(|error| unreadable(&error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_key_names_its_data_centre_and_nothing_else() {
        let subject = Subject {
            connection: "acme/newsletter".parse().unwrap(),
            key: "env:KEY".parse().unwrap(),
        };
        let address = |key: &str| data_centre(&SecretString::from(key), &subject);
        assert_eq!(address("abc-us6").unwrap().as_str(), "https://us6.api.mailchimp.com/");
        for key in ["abc", "abc-", "abc-evil.example/", "-us6@evil", "abc-us6#"] {
            let failure = address(key).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Invalid, "{key}");
            assert!(!failure.message.contains("abc"), "{failure}");
        }
    }
}
