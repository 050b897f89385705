//! The kinds of sources and destinations: which table it is that stands there.

use super::destination::RecordApiDefinition;
use super::form;
use super::section::{Reported, Section};
use super::source::MailchimpDefinition;

/// All of them.
pub(super) const KINDS: [&str; 2] = [MailchimpDefinition::KIND, RecordApiDefinition::KIND];

/// Reads a table that can be of one kind only, so that what stands beside a wrong word can be held
/// against it.
///
/// # Errors
/// Its kind is another, or something in it is wrong.
pub(super) fn only<T>(
    mut section: Section<'_>,
    kind: &'static str,
    read: impl FnOnce(Section<'_>) -> Result<T, Reported>,
) -> Result<T, Reported> {
    let hint = format!("write kind = \"{kind}\"");
    let told = section.required("kind", &hint, form::one_of(&[(kind, ())]));
    if section.is_empty() {
        told?;
    }
    let read = read(section);
    told?;
    read
}
