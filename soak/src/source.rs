//! Changes of the list: everything that a Mailchimp audience goes through, drawn by chance.

use std::sync::Arc;

use serde_json::{Value, json};
use tidemark_simulator::{Mutation, Seed, Status};

use crate::{
    chance::Chance,
    scene::{LIST, Scene},
    truth::{Member, Truth},
};

/// Few values: what changes is often changed back.
const VALUES: [&str; 3] = ["a", "b", "c"];

fn value(chance: &mut Chance) -> &'static str {
    let value: &&'static str = chance.pick(&VALUES);
    value
}

/// Fills the list.
pub(crate) fn begin(scene: &Scene) {
    scene.set_world_clock();
    let count = u32::try_from(scene.shape.rows).expect("a small list");
    if scene.shape.rows > 1_000 {
        scene.world.seed(LIST, &Seed::of(count)).expect("the list is there");
        observe(scene);
        return;
    }
    for _ in 0..count {
        let added = scene.chance(|chance| add(chance, scene.next_number()));
        play(scene, &added);
    }
}

/// One change, or a few in the same second.
pub(crate) fn change(scene: &Scene) {
    scene.set_world_clock();
    let burst = scene.chance(|chance| chance.permille(30));
    let count = if burst {
        scene.count("changes: more than a page in one second");
        scene.shape.page_size.min(20) * 2 + 1
    } else {
        1
    };
    if scene.shape.trouble.doomed > 0 && scene.strikes(250) {
        return break_or_delete(scene);
    }
    if scene.strikes(scene.shape.trouble.lost_keys) {
        return hide_contact_id(scene);
    }
    if scene.chance(|chance| chance.permille(20)) {
        return swap(scene);
    }
    if burst && scene.shape.rows > 1_000 {
        return flood(scene);
    }
    for _ in 0..count {
        let drawn = scene.chance(|chance| draw(chance, &scene.truth(), scene));
        if let Some(mutation) = drawn {
            play(scene, &mutation);
        }
    }
}

/// One of the members that the list shows, and what it is.
fn any_visible(scene: &Scene) -> Option<(String, Arc<Member>)> {
    scene.chance(|chance| {
        let truth = scene.truth();
        let visible: Vec<_> = truth.visible().collect();
        let (contact, member) = (!visible.is_empty()).then(|| *chance.pick(&visible))?;
        Some((contact.clone(), Arc::clone(member)))
    })
}

/// A member comes without its contact id, or with it again.
fn hide_contact_id(scene: &Scene) {
    let Some((member, shown)) = any_visible(scene) else { return };
    play(
        scene,
        &if shown.keyless {
            Mutation::RestoreContactId { member }
        } else {
            Mutation::RemoveContactId { member }
        },
    );
}

/// What makes a run look a row up, and what it misses if it then believes too much.
fn break_or_delete(scene: &Scene) {
    let Some((member, _)) = any_visible(scene) else { return };
    let deleted = scene.chance(|chance| chance.permille(500));
    play(
        scene,
        &if deleted {
            Mutation::DeleteForEver { member }
        } else {
            Mutation::SetRaw { member, field: "LNAME".to_owned(), value: json!({"addr1": "x"}) }
        },
    );
}

/// Whoever is looked up goes just before.
pub(crate) fn doom(scene: &Scene, member: &str) {
    scene.set_world_clock();
    let member = member.to_owned();
    let archived = scene.chance(|chance| chance.permille(500));
    play(
        scene,
        &if archived { Mutation::Archive { member } } else { Mutation::DeleteForEver { member } },
    );
}

/// Two members swap their addresses.
fn swap(scene: &Scene) {
    let visible: Vec<(String, String)> = scene
        .truth()
        .visible()
        .filter(|(_, member)| !member.email.is_empty())
        .map(|(contact, member)| (contact.clone(), member.email.clone()))
        .collect();
    let pair = scene.chance(|chance| {
        let mut one = || (!visible.is_empty()).then(|| chance.pick(&visible).clone());
        one().zip(one())
    });
    let Some(((one, first), (other, second))) = pair.filter(|(one, other)| one != other) else {
        return;
    };
    scene.count("changes: addresses swapped");
    let between = format!("between-{}@example.com", scene.next_number());
    for (member, email) in [(&one, between), (&other, first), (&one, second)] {
        play(scene, &Mutation::ChangeEmail { member: member.clone(), email });
    }
}

/// More rows change within a second than any page shows.
fn flood(scene: &Scene) {
    let visible: Vec<String> =
        scene.truth().visible().map(|(contact, _)| contact.clone()).collect();
    let value = scene.chance(value);
    for contact in &visible {
        scene.world.mutate(LIST, &Mutation::set(contact, "LNAME", value)).expect("it is there");
    }
    observe(scene);
    scene.note(&format!("list: LNAME of {} members is {value}", visible.len()));
    scene.count("changes: more than a thousand in one second");
}

/// Most of the list is archived at once.
pub(crate) fn purge(scene: &Scene) {
    scene.set_world_clock();
    scene.count("changes: most of the list archived");
    let visible: Vec<String> =
        scene.truth().visible().map(|(contact, _)| contact.clone()).collect();
    let spared = scene.chance(|chance| *chance.pick(&[0, 100, 300]));
    for member in visible {
        if !scene.chance(|chance| chance.permille(spared)) {
            play(scene, &Mutation::Archive { member });
        }
    }
}

/// Broken records are mended.
pub(crate) fn mend(scene: &Scene) {
    scene.set_world_clock();
    let broken: Vec<Mutation> = scene
        .truth()
        .visible()
        .flat_map(|(contact, member)| {
            let set = |field: &str, value: &Value| {
                value.is_object().then(|| Mutation::set(contact, field, "a"))
            };
            let address = member.email.is_empty().then(|| Mutation::ChangeEmail {
                member: contact.clone(),
                email: format!("mended-{}@example.com", scene.next_number()),
            });
            let key =
                member.keyless.then(|| Mutation::RestoreContactId { member: contact.clone() });
            [set("FNAME", &member.first), set("LNAME", &member.last), address, key]
        })
        .flatten()
        .collect();
    broken.iter().for_each(|mutation| play(scene, mutation));
}

fn play(scene: &Scene, mutation: &Mutation) {
    let played = scene.world.mutate(LIST, mutation);
    let (kind, what) = words(mutation);
    match played {
        Ok(ids) => {
            scene.count(kind);
            scene.note(&format!("list: {what} ({})", short(&ids.contact_id)));
            observe(scene);
        }
        Err(refused) => scene.note(&format!("list: {what}: {refused}")),
    }
}

fn observe(scene: &Scene) {
    scene.truth().observe(scene.now(), &scene.world, LIST);
}

/// The first characters of a contact's id: enough to tell a few dozen apart.
pub(crate) fn short(contact: &str) -> &str {
    contact.get(..6).unwrap_or(contact)
}

fn add(chance: &mut Chance, number: u64) -> Mutation {
    let status = *chance.pick(&[
        Status::Subscribed,
        Status::Subscribed,
        Status::Subscribed,
        Status::Unsubscribed,
        Status::Transactional,
    ]);
    Mutation::Add {
        email: format!("{number}@example.com"),
        first_name: value(chance).to_owned(),
        last_name: value(chance).to_owned(),
        status,
    }
}

fn draw(chance: &mut Chance, truth: &Truth, scene: &Scene) -> Option<Mutation> {
    let visible: Vec<_> = truth.visible().collect();
    let hidden: Vec<_> = truth.hidden().collect();
    if visible.is_empty() {
        return Some(add(chance, scene.next_number()));
    }
    let some = |chance: &mut Chance| {
        // The same few rows again and again: that is where histories cross.
        let reach = if chance.permille(500) { 3 } else { visible.len() as u64 };
        let index = chance.below(reach.min(visible.len() as u64));
        visible[usize::try_from(index).expect("an index")].0.clone()
    };
    let gone = |chance: &mut Chance| (!hidden.is_empty()).then(|| chance.pick(&hidden).0.clone());
    let field = |chance: &mut Chance| (*chance.pick(&["FNAME", "LNAME"])).to_owned();
    // add, set, back, status, touch, archive, unarchive, delete, new address, taken address, break, mend
    let weights = [10, 22, 12, 6, 8, 12, 12, 6, 5, 3, 3, 4];
    Some(match chance.weighted(&weights) {
        0 => add(chance, scene.next_number()),
        1 => Mutation::set(&some(chance), &field(chance), value(chance)),
        2 => {
            // Back to what it was some time ago.
            let member = some(chance);
            let states = truth.contacts().find(|(contact, _)| **contact == member)?.1;
            let before = states.iter().rev().skip(1).find_map(|(_, state)| state.clone())?;
            let first = before.first.as_str().unwrap_or("a");
            Mutation::set(&member, "FNAME", first)
        }
        3 => Mutation::Change {
            member: some(chance),
            merge_fields: serde_json::Map::new(),
            status: Some(*chance.pick(&[Status::Subscribed, Status::Unsubscribed])),
        },
        4 => Mutation::Touch { member: some(chance) },
        5 => Mutation::Archive { member: some(chance) },
        6 => Mutation::Unarchive { member: gone(chance)? },
        7 => {
            let member = if chance.permille(300) { gone(chance) } else { None }
                .unwrap_or_else(|| some(chance));
            Mutation::DeleteForEver { member }
        }
        8 => Mutation::ChangeEmail {
            member: some(chance),
            email: format!("moved-{}@example.com", scene.next_number()),
        },
        9 => {
            // An address that an archived member has.
            let taken = gone(chance)?;
            let states = truth.contacts().find(|(contact, _)| **contact == taken)?.1;
            let last = states.iter().rev().find_map(|(_, state)| state.as_ref())?;
            Mutation::ChangeEmail { member: some(chance), email: last.email.clone() }
        }
        10 if chance.permille(300) => Mutation::RemoveEmail { member: some(chance) },
        10 => Mutation::SetRaw {
            member: some(chance),
            field: field(chance),
            value: json!({"addr1": "x"}),
        },
        _ => {
            let broken = |value: &Value| value.is_object();
            let found = visible.iter().find_map(|(contact, member)| {
                let field = if broken(&member.first) {
                    "FNAME"
                } else if broken(&member.last) {
                    "LNAME"
                } else {
                    return None;
                };
                Some((*contact, field))
            })?;
            Mutation::set(found.0, found.1, value(chance))
        }
    })
}

fn words(mutation: &Mutation) -> (&'static str, String) {
    match mutation {
        Mutation::Add { email, first_name, last_name, status } => {
            ("changes: added", format!("add {email} {first_name}/{last_name} {status:?}"))
        }
        Mutation::Change { member, merge_fields, status } => {
            let fields = Value::from(merge_fields.clone());
            let status = status.map(|status| format!(" {status:?}")).unwrap_or_default();
            ("changes: changed", format!("change {} {fields}{status}", short(member)))
        }
        Mutation::Archive { member } => ("changes: archived", format!("archive {}", short(member))),
        Mutation::Unarchive { member } => {
            ("changes: unarchived", format!("unarchive {}", short(member)))
        }
        Mutation::DeleteForEver { member } => {
            ("changes: deleted for ever", format!("delete {} for ever", short(member)))
        }
        Mutation::ChangeEmail { member, email } => {
            ("changes: address changed", format!("address of {} is {email}", short(member)))
        }
        Mutation::Touch { member } => ("changes: touched", format!("touch {}", short(member))),
        Mutation::SetRaw { member, field, .. } => {
            ("changes: broken", format!("break {field} of {}", short(member)))
        }
        Mutation::NullMergeFields { member } => {
            ("changes: broken", format!("null fields of {}", short(member)))
        }
        Mutation::RemoveEmail { member } => {
            ("changes: broken", format!("no address of {}", short(member)))
        }
        Mutation::RemoveContactId { member } => {
            ("changes: key lost", format!("no contact id of {}", short(member)))
        }
        Mutation::RestoreContactId { member } => {
            ("changes: key found", format!("contact id of {} again", short(member)))
        }
    }
}
