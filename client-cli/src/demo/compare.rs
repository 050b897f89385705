//! Whether both sides are equal: the demo looks into the simulator, past everything that it shows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemark_simulator::World;

use super::DemoError;
use super::places::Scene;

/// What both sides hold of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) member_count: usize,
    pub(super) record_count: usize,
    pub(super) equal: bool,
}

/// Compares the visible members of a list, mapped, with the records that the connection wrote.
pub(super) fn compare(world: &World, scene: &Scene) -> Result<Comparison, DemoError> {
    let (_, name) = scene.id.split_once('/').unwrap_or(("", scene.id));
    let prefix = format!("{name}:");
    let mut members = BTreeMap::new();
    world.each_member(scene.list, |member| {
        let id = format!("{prefix}{}", member.contact_id());
        let record = json!({
            "id": id,
            "firstname": member.merge_field("FNAME"),
            "lastname": member.merge_field("LNAME"),
            "email": member.email(),
            "deleted": false,
        });
        members.insert(id, record);
    })?;
    let mut records: BTreeMap<String, Value> = world.live_records(scene.record_key, "deleted")?;
    records.retain(|id, _| id.starts_with(&prefix));
    Ok(Comparison {
        member_count: members.len(),
        record_count: records.len(),
        equal: members == records,
    })
}
