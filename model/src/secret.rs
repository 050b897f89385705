//! References to secrets. A definition holds where a secret is, never the secret itself.
//!
//! Reading one is I/O and belongs to the caller, behind [`SecretLookup`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where a secret is: `env:NAME` or `file:/path`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// An environment variable of the worker, read when the worker starts.
    Env(String),
    /// A file on the worker's machine, read at each run.
    File(PathBuf),
}

/// What was given is not a reference. The text is not repeated: it may be the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is given as a reference, `env:NAME` or `file:/path`; a literal one is refused")]
pub struct LiteralSecret;

impl FromStr for SecretRef {
    type Err = LiteralSecret;

    fn from_str(text: &str) -> Result<Self, LiteralSecret> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable_name(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if is_file_path(path) => Ok(Self::File(PathBuf::from(path))),
            _ => Err(LiteralSecret),
        }
    }
}

/// Names that a shell can set; anything else behind `env:` is more likely a pasted key.
fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Absolute, since the working directory of a worker is nobody's business.
fn is_file_path(path: &str) -> bool {
    path.len() > 1 && path.starts_with('/') && !path.chars().any(char::is_control)
}

impl TryFrom<String> for SecretRef {
    type Error = LiteralSecret;

    fn try_from(text: String) -> Result<Self, LiteralSecret> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

/// Where secrets are read from: the process's environment and files, or a test's.
pub trait SecretLookup {
    /// The variable `name` as it was when the worker started; `None` if it was not set.
    fn env(&self, name: &str) -> Option<String>;

    /// The whole text of the file at `path`, read now.
    fn file(&self, path: &Path) -> io::Result<String>;
}

impl SecretRef {
    /// Reads the secret. White space around it (the newline at the end of a file) is dropped.
    ///
    /// # Errors
    /// The variable is not set, the file cannot be read, or what is there cannot be a key: it is
    /// empty, or holds a line break or another control character.
    pub fn resolve(&self, lookup: &dyn SecretLookup) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::Env(name) => {
                lookup.env(name).ok_or_else(|| SecretError::Unset { name: name.clone() })?
            }
            Self::File(path) => lookup
                .file(path)
                .map_err(|source| SecretError::Unreadable { path: path.clone(), source })?,
        };
        let secret = text.trim();
        if secret.is_empty() {
            return Err(SecretError::Empty { reference: self.clone() });
        }
        if secret.chars().any(char::is_control) {
            return Err(SecretError::NotOneLine { reference: self.clone() });
        }
        Ok(SecretString::from(secret))
    }
}

/// Why a secret is not at hand. Names the reference, never what was found there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    #[error(
        "the environment variable `{name}` is not set; `env:` secrets are read when a worker \
         starts: set it where the worker runs and restart the worker"
    )]
    Unset { name: String },
    #[error(
        "the secret file `{}` cannot be read; `file:` secrets are read at each run: put the file \
         in place on the worker's machine, and the next run finds it", path.display()
    )]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the secret at `{reference}` is empty; {}", reference.when_read())]
    Empty { reference: SecretRef },
    #[error(
        "the secret at `{reference}` holds a line break or another control character, so it \
         cannot be a key; {}", reference.when_read()
    )]
    NotOneLine { reference: SecretRef },
}

impl SecretRef {
    fn when_read(&self) -> &'static str {
        match self {
            Self::Env(_) => {
                "`env:` secrets are read when a worker starts: correct it and restart the worker"
            }
            Self::File(_) => {
                "`file:` secrets are read at each run: correct it, and the next run finds it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret;

    use super::*;

    #[derive(Default)]
    struct Lookup {
        variables: BTreeMap<&'static str, &'static str>,
        files: BTreeMap<&'static str, &'static str>,
    }

    impl SecretLookup for Lookup {
        fn env(&self, name: &str) -> Option<String> {
            self.variables.get(name).map(ToString::to_string)
        }

        fn file(&self, path: &Path) -> io::Result<String> {
            let text = path.to_str().and_then(|path| self.files.get(path));
            text.map(ToString::to_string).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    fn reference(text: &str) -> SecretRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_reference_shows_itself() {
        for text in ["env:ACME_KEY", "env:_x1", "file:/run/secrets/acme key"] {
            assert_eq!(reference(text).to_string(), text);
            assert_eq!(format!("{:?}", reference(text)), format!("SecretRef({text})"));
            let json = serde_json::to_string(&reference(text)).unwrap();
            assert_eq!(serde_json::from_str::<SecretRef>(&json).unwrap(), reference(text));
        }
    }

    #[test]
    fn anything_else_is_refused_without_an_echo() {
        for text in [
            "",
            "sk-live-123",
            "env:",
            "env:sk-live-123",
            "env:1",
            "file:",
            "file:/",
            "file:relative",
            "ENV:NAME",
            " env:NAME",
            "vault:NAME",
        ] {
            let error = text.parse::<SecretRef>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sk-live-123"), "{error}");
            assert_eq!(
                error.to_string(),
                "a secret is given as a reference, `env:NAME` or `file:/path`; a literal one is \
                 refused"
            );
        }
        let error = serde_json::from_str::<SecretRef>(r#""sk-live-123""#).unwrap_err();
        assert!(!error.to_string().contains("sk-live-123"), "{error}");
    }

    #[test]
    fn a_secret_is_read_and_trimmed() {
        let lookup = Lookup {
            variables: [("KEY", "abc-us1")].into(),
            files: [("/run/key", "abc-us2\n")].into(),
        };
        let resolve =
            |text| reference(text).resolve(&lookup).map(|secret| secret.expose_secret().to_owned());
        assert_eq!(resolve("env:KEY").unwrap(), "abc-us1");
        assert_eq!(resolve("file:/run/key").unwrap(), "abc-us2");
    }

    #[test]
    fn what_is_missing_or_odd_is_named_but_never_shown() {
        let lookup = Lookup {
            variables: [("BLANK", "  "), ("TWO", "sk-live-123\nsk-live-123")].into(),
            files: [("/run/blank", "\n")].into(),
        };
        let errors: Vec<String> =
            ["env:NONE", "env:BLANK", "env:TWO", "file:/run/none", "file:/run/blank"]
                .map(|text| reference(text).resolve(&lookup).unwrap_err().to_string())
                .into();
        assert!(!errors.concat().contains("sk-live-123"));
        insta::assert_snapshot!(errors.join("\n"), @r"
        the environment variable `NONE` is not set; `env:` secrets are read when a worker starts: set it where the worker runs and restart the worker
        the secret at `env:BLANK` is empty; `env:` secrets are read when a worker starts: correct it and restart the worker
        the secret at `env:TWO` holds a line break or another control character, so it cannot be a key; `env:` secrets are read when a worker starts: correct it and restart the worker
        the secret file `/run/none` cannot be read; `file:` secrets are read at each run: put the file in place on the worker's machine, and the next run finds it
        the secret at `file:/run/blank` is empty; `file:` secrets are read at each run: correct it, and the next run finds it
        ");
    }
}
