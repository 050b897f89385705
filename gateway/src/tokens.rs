//! Bearer tokens, and the accounts that each may ask about.

use std::collections::BTreeSet;

use secrecy::ExposeSecret as _;
use tidemark_model::{
    ids::AccountId,
    secret::{SecretError, SecretLookup, SecretRef},
};
use tidemark_process::ConfigError;

use crate::config::TokenSection;

/// A token with fewer characters could be guessed.
const SHORTEST: usize = 16;

/// The tokens that are known. What is kept of each is its digest.
pub struct Tokens(Vec<Token>);

struct Token {
    digest: blake3::Hash,
    accounts: BTreeSet<AccountId>,
}

/// The accounts that whoever asks may ask about.
pub(crate) struct Grant<'a>(Vec<&'a BTreeSet<AccountId>>);

impl Tokens {
    /// Reads the secrets of all tokens, once.
    ///
    /// # Errors
    /// There is no token, one that is no reference, is not at hand, is too short, or is for no
    /// account. No error repeats a secret.
    pub fn resolve(
        sections: &[TokenSection],
        lookup: &dyn SecretLookup,
    ) -> Result<Self, ConfigError> {
        if sections.is_empty() {
            return Err(refused(
                "there is no [[token]] in the file, so nobody could ask anything: add one with \
                 `secret = \"env:NAME\"` and `accounts = [\"…\"]`, and name the file with --config"
                    .to_owned(),
            ));
        }
        sections
            .iter()
            .map(|section| Token::resolve(section, lookup))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What a token is for; `None` for an unknown one. It takes the same time whichever token it is,
    /// and however much of it is right: digests are compared, all of them, each in constant time.
    pub(crate) fn grant(&self, presented: &str) -> Option<Grant<'_>> {
        let digest = blake3::hash(presented.as_bytes());
        let mut accounts = Vec::with_capacity(self.0.len());
        accounts.extend(
            self.0.iter().filter(|token| token.digest == digest).map(|token| &token.accounts),
        );
        if accounts.is_empty() { None } else { Some(Grant(accounts)) }
    }
}

impl Grant<'_> {
    /// The account of that name, if it is among them.
    pub(crate) fn account(&self, name: &str) -> Option<AccountId> {
        let all = self.0.iter().copied().flatten();
        all.into_iter().find(|account| account.as_str() == name).cloned()
    }
}

impl Token {
    fn resolve(section: &TokenSection, lookup: &dyn SecretLookup) -> Result<Self, ConfigError> {
        let reference: SecretRef = section
            .secret
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|literal| refused(format!("`secret` in [[token]]: {literal}")))?;
        let secret = reference.resolve(lookup).map_err(|error| refused(not_at_hand(&error)))?;
        let secret = secret.expose_secret();
        if secret.chars().count() < SHORTEST {
            return Err(refused(format!(
                "the token at `{reference}` has fewer than {SHORTEST} characters and could be \
                 guessed: make one with `openssl rand -hex 24`"
            )));
        }
        if section.accounts.is_empty() {
            return Err(refused(format!(
                "the token at `{reference}` is for no account: name some in `accounts`"
            )));
        }
        let accounts = section.accounts.iter().cloned().collect();
        Ok(Self { digest: blake3::hash(secret.as_bytes()), accounts })
    }
}

/// Why a token is not at hand. Unlike a worker's, it is read when the gateway starts, wherever it is.
fn not_at_hand(error: &SecretError) -> String {
    match error {
        SecretError::Unset { name } => {
            format!("the token at `env:{name}` is not there: the variable is not set")
        }
        SecretError::Unreadable { path, source } => {
            format!("the token at `file:{}` cannot be read: {source}", path.display())
        }
        SecretError::Empty { reference } => format!("the token at `{reference}` is empty"),
        SecretError::NotOneLine { reference } => {
            format!("the token at `{reference}` holds a line break or another control character")
        }
        other => other.to_string(),
    }
}

fn refused(reason: String) -> ConfigError {
    ConfigError::Refused(reason)
}

#[cfg(test)]
mod tests;
