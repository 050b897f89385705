use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use tidemark_model::{entry::FORMAT, ids::ConnectionId};

use super::{
    document::{decode, encode},
    *,
};

/// Stores that the same rules hold for.
fn stores() -> (tempfile::TempDir, Vec<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let address = Url::from_directory_path(folder.path()).unwrap();
    let stores = vec![Store::in_memory(), Store::open(address.as_str()).unwrap()];
    (folder, stores)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    format: u32,
    text: String,
}

fn note(text: &str) -> Note {
    Note { format: FORMAT, text: text.to_owned() }
}

/// As in a container whose operator set the region only.
#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let variables = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_ENDPOINT", ""),
        ("AWS_REGION", "eu-west-1"),
        ("HOME", "/home/tidemark"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options: Vec<_> = s3_options(variables.into_iter()).collect();
    assert_eq!(options, [("aws_region".to_owned(), "eu-west-1".to_owned())]);
}

#[tokio::test]
async fn an_object_is_created_once() {
    let (_kept, stores) = stores();
    for store in stores {
        let folder = store.root();
        let first = folder.create("a/b.json", Bytes::from_static(b"1")).await.unwrap();
        let second = folder.create("a/b.json", Bytes::from_static(b"2")).await.unwrap();
        assert_eq!((first, second), (Creation::Created, Creation::Exists), "{store:?}");
        assert_eq!(folder.get("a/b.json").await.unwrap().unwrap(), b"1".as_slice());
        assert!(folder.exists("a/b.json").await.unwrap());
        assert!(!folder.exists("a/c.json").await.unwrap());
        assert_eq!(folder.get("a/c.json").await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_a_reference_names_is_compared() {
    let (_kept, stores) = stores();
    for store in stores {
        let folder = store.root();
        let file = folder.write("x", Bytes::from_static(b"content"), 1).await.unwrap();
        assert_eq!(folder.read(&file).await.unwrap(), b"content".as_slice());
        folder.write("x", Bytes::from_static(b"contend"), 1).await.unwrap();
        assert!(matches!(folder.read(&file).await, Err(StoreError::Damaged { .. })));
        folder.write("x", Bytes::from_static(b"conten"), 1).await.unwrap();
        assert!(matches!(folder.read(&file).await, Err(StoreError::Damaged { .. })));
        folder.delete_all("").await.unwrap();
        assert!(matches!(folder.read(&file).await, Err(StoreError::Missing { .. })));
        let range = folder.get_range("x", 0..4).await;
        assert!(matches!(range, Err(StoreError::Missing { .. })));
    }
}

#[tokio::test]
async fn an_upload_appears_when_it_is_finished() {
    let (_kept, stores) = stores();
    for store in stores {
        let folder = store.root();
        let piece = vec![7; 5 * 1024 * 1024];
        let mut upload = folder.upload("big").await.unwrap();
        for _ in 0..3 {
            upload.write(&piece).await.unwrap();
        }
        assert!(!folder.exists("big").await.unwrap());
        let file = upload.finish(3).await.unwrap();
        assert_eq!(file.bytes, 15 * 1024 * 1024);
        assert_eq!(folder.read(&file).await.unwrap().len(), 15 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_listing_shows_one_level_sorted() {
    let (_kept, stores) = stores();
    for store in stores {
        let folder = store.connection(&ConnectionId::new("acme/news").unwrap());
        for path in ["b.json", "a/1", "a/2", "c/d/e"] {
            folder.create(path, Bytes::new()).await.unwrap();
        }
        assert_eq!(folder.list("").await.unwrap(), ["a/", "b.json", "c/"], "{store:?}");
        assert_eq!(folder.list("a").await.unwrap(), ["1", "2"]);
        assert_eq!(folder.list("nothing").await.unwrap(), [""; 0]);
        assert_eq!(folder.delete_all("a").await.unwrap(), 2);
        assert_eq!(folder.list("a").await.unwrap(), [""; 0]);
        assert_eq!(folder.list("c/d").await.unwrap(), ["e"]);
    }
}

#[tokio::test]
async fn what_was_established_first_stands() {
    let (_kept, stores) = stores();
    for store in stores {
        let folder = store.root();
        assert_eq!(folder.establish("n", &note("one")).await.unwrap(), note("one"));
        assert_eq!(folder.establish("n", &note("two")).await.unwrap(), note("one"));
        assert_eq!(folder.document::<Note>("n").await.unwrap(), Some(note("one")));
    }
}

#[tokio::test]
async fn a_newer_format_and_another_content_are_told_without_what_stands_there() {
    let folder = Store::in_memory().root();
    let newer = format!("{{\"format\":{},\"secret\":\"ada@example.org\"}}", FORMAT + 1);
    folder.create("newer", newer.into()).await.unwrap();
    let error = folder.document::<Note>("newer").await.unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { .. }));
    let wrong = serde_json::json!({ "format": FORMAT, "text": ["ada@example.org"] });
    folder.create("wrong", encode(&wrong)).await.unwrap();
    let error = folder.document::<Note>("wrong").await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }));
    assert!(!format!("{error} {error:?}").contains("ada"), "{error:?}");
}

/// Wherever it is cut, and whichever of its bytes is another one, even where it is JSON still.
#[test]
fn a_document_that_was_cut_or_changed_is_damaged() {
    let whole = encode(&note("4711"));
    assert_eq!(decode::<Note>("n", &whole).unwrap(), note("4711"));
    for at in 0..whole.len() {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        for content in [&whole[..at], &changed] {
            let error = decode::<Note>("n", content).unwrap_err();
            // The format may be what was changed.
            assert!(
                matches!(error, StoreError::Damaged { .. } | StoreError::NewerFormat { .. }),
                "{at}: {error}"
            );
        }
    }
}

#[test]
fn an_address_is_a_local_folder_or_a_bucket() {
    for (address, reason) in [
        ("nonsense", "relative URL"),
        ("file://host/folder", "file:///absolute/folder"),
        ("ftp://host/folder", "not ftp://"),
        ("s3://user:word@bucket", "credentials do not belong"),
    ] {
        let error = Store::open(address).unwrap_err().to_string();
        assert!(error.contains(reason), "{address}: {error}");
        assert!(!error.contains("word@"), "{error}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_no_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let address = Url::from_directory_path(folder.path().join("store")).unwrap();
    let error = Store::open(address.as_str()).unwrap_err();
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error}");
    assert!(!folder.path().join("store").exists());
    Store::make(address.as_str()).unwrap();
    Store::open(address.as_str()).unwrap();
}

#[test]
fn a_bucket_opens_with_its_prefix() {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let store = Store::open("s3://bucket/some/prefix").unwrap();
    assert!(store.objects.to_string().contains("AmazonS3"), "{}", store.objects);
    assert_eq!(store.root, Path::from("some/prefix"));
    let (_, path) = store.connection(&ConnectionId::new("acme/news").unwrap()).locate("log/x");
    assert_eq!(path.as_ref(), "some/prefix/connections/acme/news/log/x");
}

#[test]
fn a_store_over_another_keeps_its_address() {
    let store = Store::over(Arc::new(InMemory::new()), Path::default(), "memory:///x");
    assert_eq!(store.url(), "memory:///x");
}
