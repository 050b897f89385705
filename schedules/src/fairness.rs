//! Whose tasks share the workers with whose: each account has its part of them, however long
//! another one's backlog is. Steps take over the key of their run.

use temporalio_common::protos::temporal::api::common::v1::Priority;
use tidemark_model::ids::AccountId;

/// The most bytes that Temporal takes as a fairness key.
const KEY_BYTES: usize = 64;

/// The place of an account's runs among all that wait.
pub(crate) fn priority(account: &AccountId) -> Priority {
    Priority { fairness_key: key(account), ..Priority::default() }
}

/// The account, or its hash if it is too long: cut, two accounts could share a part.
fn key(account: &AccountId) -> String {
    let account = account.as_str();
    if account.len() <= KEY_BYTES {
        return account.to_owned();
    }
    blake3::hash(account.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_account_has_a_key_of_its_own_that_temporal_takes() {
        let account = |text: &str| AccountId::new(text).unwrap();
        let longest = "a".repeat(KEY_BYTES);
        assert_eq!(key(&account("acme")), "acme");
        assert_eq!(key(&account(&longest)), longest);
        let (one, other) =
            (key(&account(&format!("{longest}b"))), key(&account(&format!("{longest}c"))));
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (KEY_BYTES, KEY_BYTES));
    }
}
