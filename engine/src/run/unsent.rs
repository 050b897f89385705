//! Removals that are not sent, as files of the store: held, waived and kept ones.

use tidemark_model::entry::FileRef;

use crate::{
    diff::{BatchLimits, ChangeSet, Chosen, Parted},
    store::{Folder, StoreError},
};

/// Several files as one. No record may be in two of them.
pub(super) async fn joined<const N: usize>(
    folder: &Folder,
    files: [Option<FileRef>; N],
    name: &str,
) -> Result<Option<FileRef>, StoreError> {
    let mut files: Vec<FileRef> = files.into_iter().flatten().collect();
    if files.len() <= 1 {
        return Ok(files.pop());
    }
    let mut sets = Vec::new();
    for file in &files {
        sets.push(ChangeSet::open(folder, file).await?);
    }
    ChangeSet::join(folder, &sets, &format!("changes/{name}.json")).await
}

/// Removals with more of them, some of which may be among them already.
pub(super) async fn with(
    folder: &Folder,
    removals: Option<FileRef>,
    more: Option<FileRef>,
    limits: BatchLimits,
    name: &str,
) -> Result<Option<FileRef>, StoreError> {
    let others = match (removals, &more) {
        (Some(removals), Some(more)) => {
            let more = ChangeSet::open(folder, more).await?;
            without(folder, removals, &more, limits, &format!("{name}-before")).await?
        }
        (removals, _) => removals,
    };
    joined(folder, [others, more], name).await
}

/// Removals without those whose ids are in a change set. One that is not sent ends when its id is
/// written, or removed, in the run that commits.
pub(super) async fn without(
    folder: &Folder,
    removals: FileRef,
    sent: &ChangeSet,
    limits: BatchLimits,
    name: &str,
) -> Result<Option<FileRef>, StoreError> {
    let set = ChangeSet::open(folder, &removals).await?;
    let Parted { chosen, others } = set.part(&Chosen::In(sent.clone()), limits, name).await?;
    Ok(if chosen.is_none() { Some(removals) } else { others })
}
