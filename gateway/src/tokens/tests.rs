use std::{collections::BTreeMap, io, path::Path};

use super::*;

const LONG: &str = "0123456789abcdef-one";
const OTHER: &str = "0123456789abcdef-two";

struct Lookup(BTreeMap<&'static str, &'static str>);

impl SecretLookup for Lookup {
    fn env(&self, name: &str) -> Option<String> {
        self.0.get(name).map(ToString::to_string)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        let text = path.to_str().and_then(|path| self.0.get(path));
        text.map(ToString::to_string).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn resolve(text: &str) -> Result<Tokens, ConfigError> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        token: Vec<TokenSection>,
    }
    let known =
        [("ONE", LONG), ("SHORT", "0123456789abcde"), ("/run/two", OTHER), ("LINES", "a\nb")];
    let file: File = toml::from_str(text).unwrap();
    Tokens::resolve(&file.token, &Lookup(known.into()))
}

fn token(secret: &str) -> String {
    format!("[[token]]\nsecret = {secret}\naccounts = ['acme']\n")
}

#[test]
fn a_token_is_for_its_accounts() {
    let text = "[[token]]\nsecret = 'env:ONE'\naccounts = ['acme', 'globex']\n\
                [[token]]\nsecret = 'file:/run/two'\naccounts = ['acme']\n";
    let tokens = resolve(text).unwrap();
    let grants = |token: &str, account: &str| {
        tokens.grant(token).map(|grant| grant.account(account).is_some())
    };
    assert_eq!(grants(LONG, "globex"), Some(true));
    assert_eq!(grants(OTHER, "acme"), Some(true));
    assert_eq!(grants(OTHER, "globex"), Some(false));
    assert_eq!(grants(OTHER, ""), Some(false));
    for unknown in ["", "x", LONG.trim_end_matches("one"), &format!("{LONG} ")] {
        assert_eq!(grants(unknown, "acme"), None, "{unknown}");
    }
}

#[test]
fn one_secret_twice_is_for_the_accounts_of_both() {
    let one = token("'env:ONE'");
    let tokens = resolve(&format!("{one}{}", one.replace("acme", "globex"))).unwrap();
    let grant = tokens.grant(LONG).unwrap();
    assert!(grant.account("acme").is_some() && grant.account("globex").is_some());
}

#[test]
fn what_cannot_be_a_token_is_refused_and_not_repeated() {
    let none = token("'env:ONE'").replace("['acme']", "[]");
    let literal = "0123456789abcdef-literal";
    let cases = [
        String::new(),
        none,
        token(&format!("'{literal}'")),
        token("1234567890123456"),
        token("'env:SHORT'"),
        token("'env:NOT_SET'"),
        token("'file:/run/none'"),
        token("'env:LINES'"),
    ];
    let messages: Vec<String> =
        cases.iter().map(|text| resolve(text).err().expect("it is refused").to_string()).collect();
    let messages = messages.join("\n");
    assert!(!messages.contains(literal) && !messages.contains("1234567890123456"), "{messages}");
    insta::assert_snapshot!(messages);
}
