//! What an edited definition makes a run send again, and whether it must read in full for it.

use tidemark_model::{
    definition::{Definition, DestinationDefinition},
    entry::{Committed, DefinitionRef, Manifest},
};

use crate::{
    definitions,
    diff::Resend,
    store::{Folder, StoreError},
};

/// What is different since the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) resend: Resend,
    /// Records get other ids: only a full reading maps every row anew.
    pub(super) new_ids: bool,
    /// The records are sent to another system: what is held or was refused at the old one is no
    /// longer this connection's.
    pub(super) moved: bool,
}

impl Edit {
    const NONE: Self = Self { resend: Resend::Nothing, new_ids: false, moved: false };

    /// Compares a definition with the one that the base was committed under.
    pub(crate) async fn since(
        folder: &Folder,
        base: Option<&Committed>,
        definition: &Definition,
        version: u32,
    ) -> Result<Self, StoreError> {
        match base {
            Some(base) => {
                Self::between(folder, &base.manifest.definition, definition, version).await
            }
            None => Ok(Self::NONE),
        }
    }

    async fn between(
        folder: &Folder,
        base: &DefinitionRef,
        definition: &Definition,
        version: u32,
    ) -> Result<Self, StoreError> {
        if base.destination_hash == definition.destination_hash() {
            return Ok(Self::NONE);
        }
        let old = definition_at(folder, base.version).await?;
        // Another one under the same number: the store lost the one that the base knew.
        let old = old.filter(|old| old.destination_hash() == base.destination_hash);
        let Some(old) = old else {
            let resend = Resend::Everything { remove_old_ids: false };
            return Ok(Self { resend, new_ids: true, moved: false });
        };
        let same_system = same_system(folder, base, version).await?;
        let new_ids = has_new_ids(&old, definition);
        let stays = same_system || has_same_address(&old, definition);
        let resend = if same_system && !new_ids {
            Resend::Nothing
        } else {
            Resend::Everything { remove_old_ids: stays }
        };
        Ok(Self { resend, new_ids, moved: !stays })
    }

    /// The same with every record sent again, if an operator asked for it: to the same system, where
    /// a row that gets another id in this run must not leave its old record behind.
    pub(super) fn again(self, send_again: bool) -> Self {
        match self.resend {
            Resend::Nothing if send_again => {
                Self { resend: Resend::Everything { remove_old_ids: true }, ..self }
            }
            _ => self,
        }
    }
}

/// Whether what was sent under another definition since the base surely went to another system than
/// `definition`'s. A new address of the old system is told in one direction only, so where one was
/// applied since the base nothing is sure.
pub(super) async fn sent_elsewhere(
    folder: &Folder,
    base: Option<&Manifest>,
    then: &DefinitionRef,
    definition: &Definition,
    version: u32,
) -> Result<bool, StoreError> {
    let first = base.map_or(1, |base| base.definition.version.saturating_add(1));
    for version in first..=version {
        let stored = definitions::at(folder, version).await?;
        if stored.is_none_or(|stored| stored.same_destination) {
            return Ok(false);
        }
    }
    Ok(Edit::between(folder, then, definition, version).await?.moved)
}

/// Whether every version that moved the destination was applied as a new address of the old system.
async fn same_system(
    folder: &Folder,
    base: &DefinitionRef,
    version: u32,
) -> Result<bool, StoreError> {
    let mut known = base.destination_hash.clone();
    for version in base.version.saturating_add(1)..=version {
        let Some(stored) = definitions::at(folder, version).await? else { return Ok(false) };
        let Some(definition) = stored.definition else { continue };
        let next = definition.destination_hash();
        if next != known && !stored.same_destination {
            return Ok(false);
        }
        known = next;
    }
    Ok(true)
}

async fn definition_at(folder: &Folder, version: u32) -> Result<Option<Definition>, StoreError> {
    Ok(definitions::at(folder, version).await?.and_then(|stored| stored.definition))
}

fn has_new_ids(old: &Definition, new: &Definition) -> bool {
    let (old, new) = (old.record(), new.record());
    (old.id_prefix(), old.id_path()) != (new.id_prefix(), new.id_path())
}

fn has_same_address(old: &Definition, new: &Definition) -> bool {
    let DestinationDefinition::RecordApi(old) = old.destination();
    let DestinationDefinition::RecordApi(new) = new.destination();
    old.url() == new.url()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_to_the_same_system_leaves_no_old_ids() {
        let again = Edit::NONE.again(true);
        assert_eq!(again.resend, Resend::Everything { remove_old_ids: true });
        assert_eq!(Edit::NONE.again(false), Edit::NONE);
        // An edit that moves the records decides about old ids itself.
        let moved = Edit {
            resend: Resend::Everything { remove_old_ids: false },
            new_ids: true,
            moved: true,
        };
        assert_eq!(moved.again(true), moved);
    }
}
