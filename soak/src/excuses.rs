//! What a commit itself says is not as mapped at the destination, read from its files without a
//! line of the engine: rejected records, invalid rows, removals that wait for an operator or that
//! none wants, and what is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use bytes::Bytes;
use futures::FutureExt;
use object_store::{ObjectStoreExt, path::Path};
use serde::Deserialize;
use tidemark_model::{
    entry::{FileRef, Manifest},
    exception::{Exception, ExceptionKind},
    receipt::Receipt,
};

use crate::scene::Scene;

/// The excused ids, and how many keys of each kind there are.
#[derive(Debug, Default)]
pub(crate) struct Excuses {
    pub(crate) named: Vec<Exception>,
    /// By record id, with the source's key.
    pub(crate) held: BTreeMap<String, String>,
    pub(crate) waived: BTreeMap<String, String>,
    /// What stays under `deletions = "keep"`; in no count.
    pub(crate) kept: BTreeMap<String, String>,
}

impl Excuses {
    pub(crate) fn of(scene: &Scene, manifest: &Manifest) -> Result<Self, String> {
        let named = exceptions(scene, manifest.exceptions.as_ref())?;
        let mut excuses = Self { named, ..Self::default() };
        if let Some(hold) = &manifest.hold {
            excuses.held = removals(scene, &hold.removals)?;
        }
        if let Some(file) = &manifest.waived_removals {
            excuses.waived = removals(scene, file)?;
        }
        if let Some(file) = &manifest.kept {
            excuses.kept = removals(scene, file)?;
        }
        Ok(excuses)
    }

    /// Whether something else than what is due may stand under an id.
    pub(crate) fn covers(&self, id: &str) -> bool {
        self.held.contains_key(id)
            || self.waived.contains_key(id)
            || self.named.iter().any(|exception| exception.id == id)
    }

    /// Whether the receipt counts exactly what is excused.
    pub(crate) fn check(&self, receipt: &Receipt) -> Result<(), String> {
        let keys = |kind: ExceptionKind, waived: bool| -> BTreeSet<&str> {
            let of_kind = self.named.iter().filter(|exception| exception.kind == kind);
            let found = of_kind.filter(|exception| exception.waiver.is_some() == waived);
            found.map(|exception| exception.key.as_str()).collect()
        };
        let mut invalid = keys(ExceptionKind::Invalid, false);
        let waived_invalid = keys(ExceptionKind::Invalid, true);
        let waived_rows = waived_invalid.len() as u64;
        let open_rows = invalid.len() as u64;
        invalid.extend(waived_invalid);
        let valid = |keys: BTreeSet<&str>| keys.difference(&invalid).count() as u64;
        let rejected = valid(keys(ExceptionKind::Rejected, false));
        let waived_records = valid(keys(ExceptionKind::Rejected, true));
        let held = self.held.len() as u64;
        let counts = [
            ("invalid rows", receipt.rows.invalid, open_rows + waived_rows),
            ("rejected records", receipt.rejected_count, rejected),
            ("held removals", receipt.held_count, held),
            ("exceptions", receipt.exception_count, rejected + open_rows + held),
            (
                "waived exceptions",
                receipt.waived_count,
                waived_records + waived_rows + self.waived.len() as u64,
            ),
        ];
        for (what, counted, named) in counts {
            if counted != named {
                return Err(format!("it counts {counted} {what}; its files name {named}"));
            }
        }
        Ok(())
    }
}

/// The exceptions that a file names, if there is one.
pub(crate) fn exceptions(scene: &Scene, file: Option<&FileRef>) -> Result<Vec<Exception>, String> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let content = object(scene, &file.path)?;
    let mut found = Vec::new();
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let exception = serde_json::from_slice(line);
        found.push(exception.map_err(|error| error.to_string())?);
    }
    Ok(found)
}

/// An object of the connection.
fn object(scene: &Scene, path: &str) -> Result<Bytes, String> {
    let full = Path::from(format!("connections/acme/newsletter/{path}"));
    let content = async { scene.objects.get(&full).await?.bytes().await };
    let content = content.now_or_never().ok_or("the store in memory does not answer")?;
    content.map_err(|error| format!("{path} cannot be read: {error}"))
}

/// The index of a change set, as far as removals are concerned.
#[derive(Deserialize)]
struct Index {
    files: Vec<FileRef>,
    batches: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    file: usize,
    offset: usize,
    length: usize,
    bytes: usize,
}

/// The removals of a change set: key by record id.
fn removals(scene: &Scene, index: &FileRef) -> Result<BTreeMap<String, String>, String> {
    let parsed = serde_json::from_slice(&object(scene, &index.path)?);
    let Index { files, batches } = parsed.map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for Part { file, offset, length, bytes } in batches {
        let file = files.get(file).ok_or("a batch of a hold is in no file")?;
        let content = object(scene, &file.path)?;
        let frame: Range<usize> = offset..offset + length;
        let frame = content.get(frame).ok_or("a batch of a hold is cut short")?;
        let texts = zstd::bulk::decompress(frame, bytes).map_err(|error| error.to_string())?;
        let mut rest = texts.as_slice();
        while !rest.is_empty() {
            let (key, id) = (text(&mut rest)?, text(&mut rest)?);
            if !text(&mut rest)?.is_empty() {
                return Err(format!("the held removal of {id} has a record"));
            }
            if found.insert(id.clone(), key).is_some() {
                return Err(format!("the removal of {id} is held twice"));
            }
        }
    }
    Ok(found)
}

/// A text with its length before it, seven bits a byte, the lowest first.
fn text(rest: &mut &[u8]) -> Result<String, String> {
    const CUT: &str = "a removal of a hold is cut short";
    let (mut length, mut shift) = (0_usize, 0_u32);
    loop {
        let (byte, others) = rest.split_first().ok_or(CUT)?;
        *rest = others;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (taken, others) = rest.split_at_checked(length).ok_or(CUT)?;
    *rest = others;
    String::from_utf8(taken.to_vec()).map_err(|error| error.to_string())
}
