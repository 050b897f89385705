//! The `[[sink]]` tables: where notices go, and whose.

use std::collections::BTreeSet;

use tidemark_model::definition::tables::{
    self, Form, Reported, Section, checked, flag, one_of, secret_of, set, word,
};
use tidemark_model::definition::{Problems, SourceText};
use tidemark_model::ids::AccountId;
use tidemark_model::secret::SecretRef;

use super::address::{Address, AddressError, Place};

/// A `[[sink]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Tells it from the others, also after a restart: what it has got is remembered by it.
    pub name: String,
    /// The accounts that it is told of; `None`: all.
    pub accounts: Option<BTreeSet<AccountId>>,
    pub kind: SinkKind,
}

/// The kinds of sinks, with what each needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// JSON, signed with `secret`.
    Webhook { place: Place, secret: SecretRef },
    /// An incoming webhook of Slack, or one that takes the same. Its address is a secret.
    Slack { place: Place },
    /// Alertmanager; `/api/v2/alerts` is put behind its address.
    Alertmanager { place: Place },
    /// A line in the monitor's own log.
    Log,
}

/// The word for a kind.
#[derive(Clone, Copy)]
enum Word {
    Webhook,
    Slack,
    Alertmanager,
    Log,
}

/// Who reads the secrets, for hints.
const READER: &str = "the monitor";

/// Reads the `[[sink]]` tables of a file; the other tables and keys are somebody else's.
///
/// # Errors
/// Everything that is wrong in any of them.
pub fn sinks(file: &SourceText) -> Result<Vec<SinkConfig>, Problems> {
    let mut names = BTreeSet::new();
    tables::read(file, "sink", |section| sink(section, &mut names))
}

fn sink(section: &mut Section<'_>, names: &mut BTreeSet<String>) -> Result<SinkConfig, Reported> {
    let name = section
        .required("name", "write name = \"…\", a word that tells it from other sinks", word())
        .and_then(|name| unique(section, names, name));
    let word = section.required(
        "kind",
        "write kind = \"webhook\", \"slack\", \"alertmanager\" or \"log\"",
        one_of(&[
            ("webhook", Word::Webhook),
            ("slack", Word::Slack),
            ("alertmanager", Word::Alertmanager),
            ("log", Word::Log),
        ]),
    );
    let accounts = accounts(section);
    let kind = match word {
        Ok(word) => kind(section, word),
        // Whichever kind it is meant to be, its other keys are looked at.
        Err(reported) => {
            let url = section.optional("url", address()).map(drop);
            let secret = section.optional("secret", secret_of(READER)).map(drop);
            let plain_http = section.optional("plain_http", flag()).map(drop);
            url.and(secret).and(plain_http).and(Err(reported))
        }
    };
    Ok(SinkConfig { name: name?, accounts: accounts?, kind: kind? })
}

fn unique(
    section: &Section<'_>,
    names: &mut BTreeSet<String>,
    name: String,
) -> Result<String, Reported> {
    if names.insert(name.clone()) {
        return Ok(name);
    }
    let message = format!("`{name}` is that of another sink as well");
    Err(section.conflict("name", &message, "give one of the two another name"))
}

fn accounts(section: &mut Section<'_>) -> Result<Option<BTreeSet<AccountId>>, Reported> {
    let hint = "write accounts = [\"acme\"], each of a-z, 0-9 and `-`; without the key it is all";
    let account = checked::<AccountId>("text such as \"acme\"", hint);
    let accounts = section.optional("accounts", set(account))?;
    if accounts.as_ref().is_some_and(BTreeSet::is_empty) {
        let message = "is empty, so it would be told nothing";
        return Err(section.conflict("accounts", message, hint));
    }
    Ok(accounts)
}

fn kind(section: &mut Section<'_>, word: Word) -> Result<SinkKind, Reported> {
    match word {
        Word::Webhook => {
            let secret = section.required(
                "secret",
                "write secret = \"env:NAME\" or \"file:/path\": what is sent is signed with it",
                secret_of(READER),
            );
            let place = place(section);
            Ok(SinkKind::Webhook { place: place?, secret: secret? })
        }
        Word::Slack => {
            let reference = section.required(
                "url",
                "write url = \"env:NAME\" or \"file:/path\": the address is a secret",
                secret_of(READER),
            );
            let plain_http = section.or("plain_http", false, flag())?;
            Ok(SinkKind::Slack {
                place: Place { address: Address::Secret(reference?), plain_http },
            })
        }
        Word::Alertmanager => Ok(SinkKind::Alertmanager { place: place(section)? }),
        Word::Log => Ok(SinkKind::Log),
    }
}

fn place(section: &mut Section<'_>) -> Result<Place, Reported> {
    let hint = "write url = \"https://host/path\", or \"env:NAME\" or \"file:/path\"";
    let address = section.required("url", hint, address());
    let plain_http = section.or("plain_http", false, flag());
    let place = Place { address: address?, plain_http: plain_http? };
    place.checked().map_err(|error| section.conflict("url", &error.to_string(), error.hint()))
}

fn address() -> Form<Address> {
    checked("text such as \"https://host/path\"", AddressError::Form.hint())
}

#[cfg(test)]
mod tests;
