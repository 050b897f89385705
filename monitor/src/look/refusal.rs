//! A definite refusal by the store: it answered, and does not let whoever asks have an object.

use std::{error::Error, io, iter};

use tidemark_engine::store::StoreError;
use tidemark_model::failure::{Failure, FailureKind, Side};

/// How a local folder names itself in errors.
const LOCAL: &str = "LocalFileSystem";

/// Whether the store refused access. That it does not answer is no refusal.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    reason(error).is_some()
}

/// The failure to read an object that is refused; `None` if it was not. The store's own words may
/// quote a whole answer.
pub(super) fn failure(error: &StoreError) -> Option<Failure> {
    let why = reason(error)?;
    // The rights may be given back at any time, and it is nobody else's credential.
    Some(Failure::new(FailureKind::Transient, Side::Platform, format!("{error}: {why}")))
}

fn reason(error: &StoreError) -> Option<&'static str> {
    let StoreError::Access { source, .. } = error else { return None };
    match source {
        object_store::Error::PermissionDenied { .. } => {
            Some("access is refused to the credentials that are used")
        }
        object_store::Error::Unauthenticated { .. } => {
            Some("the credentials that are used are not accepted for it")
        }
        // Of other stores this may be a firewall on the way.
        object_store::Error::Generic { store: LOCAL, .. } if is_denied(source) => {
            Some("permission is denied to the user of this process")
        }
        _ => None,
    }
}

/// Whether an error of the operating system among the sources denies permission.
fn is_denied(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |&error| error.source()).any(|error| {
        error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(source: object_store::Error) -> StoreError {
        StoreError::Access { operation: "read", path: "log/1".to_owned(), source }
    }

    fn io_error(kind: io::ErrorKind) -> Box<dyn Error + Send + Sync> {
        #[derive(Debug, thiserror::Error)]
        #[error("unable to open the file")]
        struct Open(#[source] io::Error);

        Box::new(Open(kind.into()))
    }

    #[test]
    fn only_a_definite_refusal_is_one() {
        let path = || "connections/acme/news/log/1".to_owned();
        let denied = || io_error(io::ErrorKind::PermissionDenied);
        let refusals = [
            object_store::Error::PermissionDenied { path: path(), source: "403".into() },
            object_store::Error::Unauthenticated { path: path(), source: "401".into() },
            object_store::Error::Generic { store: LOCAL, source: denied() },
        ];
        for refusal in refusals {
            let error = access(refusal);
            assert!(is_refusal(&error), "{error:?}");
        }
        let others = [
            object_store::Error::Generic { store: "S3", source: denied() },
            object_store::Error::Generic {
                store: LOCAL,
                source: io_error(io::ErrorKind::StorageFull),
            },
            object_store::Error::NotFound { path: path(), source: "404".into() },
        ];
        for other in others {
            let error = access(other);
            assert!(!is_refusal(&error), "{error:?}");
        }
        let missing = StoreError::Missing { path: path() };
        assert!(!is_refusal(&missing));
    }

    #[test]
    fn the_failure_says_why_without_the_answer() {
        let source = "403 Forbidden: <Error>a key</Error>".into();
        let refusal = object_store::Error::PermissionDenied { path: String::new(), source };
        assert_eq!(
            failure(&access(refusal)).unwrap().message,
            "the store failed to read log/1: access is refused to the credentials that are used"
        );
    }
}
