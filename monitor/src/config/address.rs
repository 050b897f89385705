//! Where a sink is: an address that anybody may read, or a reference to one that nobody may.

use std::str::FromStr;

use secrecy::ExposeSecret as _;
use tidemark_model::secret::{SecretError, SecretLookup, SecretRef};
use url::{Host, Url};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub address: Address,
    /// Whether what is sent may cross a network in the clear. To this machine it always may.
    pub plain_http: bool,
}

/// An address as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Holds nothing that could be a secret.
    Literal(Url),
    /// The whole address is a secret.
    Secret(SecretRef),
}

/// Why an address cannot be used. Never repeats any of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("is not an address")]
    Form,
    #[error("has to begin with https:// or http://")]
    Scheme,
    #[error("is longer than 500 bytes")]
    TooLong,
    #[error("is refused: it holds a user or a password, and only a reference may lead to those")]
    UserInfo,
    #[error("is refused: it holds `?` or `#`, and only a reference may lead to those")]
    Query,
    #[error("is refused: a part of it looks like a token, and only a reference may lead to those")]
    Token,
    #[error("is refused: without TLS everybody on the way could read and change what is sent")]
    PlainHttp,
    #[error("leads nowhere: {0}")]
    Secret(String),
}

impl AddressError {
    /// What to write into the file instead.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::PlainHttp => "use https://, or write plain_http = true if the network is yours",
            Self::Form
            | Self::Scheme
            | Self::TooLong
            | Self::UserInfo
            | Self::Query
            | Self::Token
            | Self::Secret(_) => {
                "write \"https://host/path\"; put an address that holds a secret into a variable or \
                 a file of the monitor as a whole, and write \"env:NAME\" or \"file:/path\" here"
            }
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(reference) = text.parse() {
            return Ok(Self::Secret(reference));
        }
        let url = parse(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            Err(AddressError::UserInfo)
        } else if url.query().is_some() || url.fragment().is_some() {
            Err(AddressError::Query)
        } else if looks_secret(&url) {
            Err(AddressError::Token)
        } else {
            Ok(Self::Literal(url))
        }
    }
}

impl Place {
    /// What can be said of it before secrets are at hand.
    ///
    /// # Errors
    /// It would send in the clear over a network.
    pub(super) fn checked(self) -> Result<Self, AddressError> {
        if let Address::Literal(url) = &self.address {
            check_transport(url, self.plain_http)?;
        }
        Ok(self)
    }

    /// The address itself.
    ///
    /// # Errors
    /// It is not at hand, no address, or would send in the clear over a network.
    pub(crate) fn resolve(&self, secrets: &dyn SecretLookup) -> Result<Url, AddressError> {
        match &self.address {
            Address::Literal(url) => Ok(url.clone()),
            Address::Secret(reference) => {
                let secret = reference
                    .resolve(secrets)
                    .map_err(|error| AddressError::Secret(not_at_hand(&error)))?;
                let url = parse(secret.expose_secret())?;
                check_transport(&url, self.plain_http)?;
                Ok(url)
            }
        }
    }
}

/// Why a secret is not at hand. Unlike a worker's, it is read when the monitor starts, wherever it
/// is.
pub(crate) fn not_at_hand(error: &SecretError) -> String {
    match error {
        SecretError::Unset { name } => format!("the variable `{name}` is not set"),
        SecretError::Unreadable { path, source } => {
            format!("the file `{}` cannot be read: {source}", path.display())
        }
        SecretError::Empty { reference } => format!("the secret at `{reference}` is empty"),
        SecretError::NotOneLine { reference } => {
            format!("the secret at `{reference}` holds a line break or another control character")
        }
        other => other.to_string(),
    }
}

fn parse(text: &str) -> Result<Url, AddressError> {
    if text.len() > 500 {
        return Err(AddressError::TooLong);
    }
    let url: Url = text.parse().map_err(|_| AddressError::Form)?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(AddressError::Scheme) }
}

fn check_transport(url: &Url, plain_http: bool) -> Result<(), AddressError> {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || here || plain_http {
        Ok(())
    } else {
        Err(AddressError::PlainHttp)
    }
}

/// Whether a part of the host or of the path is more likely a token than a name. A name that is
/// mistaken for one costs its owner a reference; the other mistake shows a secret to everybody.
fn looks_secret(url: &Url) -> bool {
    let host = match url.host() {
        Some(Host::Domain(name)) => name,
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => "",
    };
    host.split('.').chain(url.path().split('/')).any(looks_like_token)
}

fn looks_like_token(part: &str) -> bool {
    let has = |part: &str, one: fn(&char) -> bool| part.chars().any(|c| one(&c));
    let mixed = has(part, char::is_ascii_digit)
        && has(part, char::is_ascii_lowercase)
        && has(part, char::is_ascii_uppercase);
    let hexadecimal = part.chars().filter(char::is_ascii_hexdigit).count();
    let is_id = hexadecimal >= 32 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let run = |word: &str| {
        let digits = has(word, char::is_ascii_digit);
        word.len() >= 20 || (word.len() >= 12 && digits)
    };
    part.contains('=')
        || is_id
        || (part.len() >= 16 && mixed)
        || part.split(|c: char| !c.is_ascii_alphanumeric()).any(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match text.parse::<Address>() {
            Ok(Address::Literal(url)) => format!("ok {url}"),
            Ok(Address::Secret(reference)) => format!("ok {reference}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_are_addresses() {
        for text in [
            "https://alerts.example.com/hooks/tidemark-notices-2026",
            "https://alertmanager.monitoring.svc.cluster.local:9093/",
            "http://127.0.0.1:9093/am",
            "https://hooks.example.com/tidemark",
        ] {
            assert_eq!(refusal(text), format!("ok {text}"));
        }
        assert_eq!(refusal("env:HOOK"), "ok env:HOOK");
        assert_eq!(refusal("file:/run/hook"), "ok file:/run/hook");
    }

    #[test]
    fn what_may_be_a_secret_is_refused_without_an_echo() {
        for text in [
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://discord.com/api/webhooks/123456789012345678/abcdef",
            "https://example.com/v1/9f86d081884c7d659a2feaa0c55ad015",
            "https://example.com/1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "https://1b4e28ba2fa111d2.example.com/",
            "https://example.com/aB3_dE5-gH7_jK9-",
            "https://example.com/token=x1",
            "https://me:pw-secret@example.com/",
            "https://me@example.com/",
            "https://example.com/?key=x1",
            "https://example.com/#x1",
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with("is refused: "), "{text}: {refusal}");
            assert!(text.split('/').all(|part| part.len() < 4 || !refusal.contains(part)));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(refusal("hooks"), "is not an address");
        assert_eq!(refusal("env:not-a-name"), "has to begin with https:// or http://");
        assert_eq!(refusal("ftp://example.com/"), "has to begin with https:// or http://");
        assert_eq!(refusal(&format!("https://a/{}", "b/".repeat(300))), "is longer than 500 bytes");
    }

    #[test]
    fn what_is_sent_in_the_clear_stays_on_this_machine() {
        let checked = |text: &str, plain_http| {
            Place { address: text.parse().unwrap(), plain_http }.checked().map(|_| ())
        };
        for here in ["http://127.0.0.1:1/", "http://[::1]/", "http://localhost/", "https://a.b/"] {
            checked(here, false).unwrap();
        }
        for away in ["http://alertmanager:9093/", "http://10.0.0.1/", "http://127.evil.example/"] {
            assert!(matches!(checked(away, false), Err(AddressError::PlainHttp)), "{away}");
            checked(away, true).unwrap();
        }
    }
}
