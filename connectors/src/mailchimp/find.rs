//! Looking one member up for a person: by its contact id or its e-mail address.

use md5::{Digest as _, Md5};
use tidemark_engine::port::{Clock, FoundRow};
use tidemark_model::failure::Failure;

use super::{client::Client, rows::Mapping};

/// Asks for a member as it is now. The listing shows every member that is not archived.
pub(super) async fn find(
    client: &Client,
    mapping: &Mapping,
    name: &str,
    clock: &dyn Clock,
) -> Result<Option<FoundRow>, Failure> {
    let slot = client.slot().await;
    let found = client.member(slot, &address(name), mapping, clock).await?;
    let Some(member) = found.member else {
        // Of a list that is not there no member is missing.
        client.list(clock).await?;
        return Ok(None);
    };
    Ok(Some(FoundRow { listed: !member.archived, status: member.status, row: member.row }))
}

/// Under what Mailchimp knows a member: a contact id is its own name, an e-mail address goes by
/// its hash, and so stands in no log.
fn address(name: &str) -> String {
    if !name.contains('@') {
        return name.to_owned();
    }
    let hash = Md5::digest(name.trim().to_lowercase().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_goes_by_the_hash_of_its_lower_case() {
        // The example of Mailchimp's own documentation.
        assert_eq!(address("Urist.McVankab@freddiesjokes.com"), "62eeb292278cc15f5817cb78f7790b08");
        assert_eq!(address("62eeb292278cc15f5817cb78f7790b08"), "62eeb292278cc15f5817cb78f7790b08");
    }
}
