//! One member: look-up, and the calls that change it.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{JSON, parameters::Parameters, problem::Problem};
use crate::{
    clock::stamp,
    list::List,
    member::{Status, hex},
    render::{BASE, ListFacts, MemberWriter, link},
    roll::{Edit, Refusal, Roll},
    selection::Selection,
    user::User,
    world::World,
};

pub(super) async fn show(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
    uri: Uri,
) -> Result<Response, Problem> {
    let selection = Parameters::of(&uri).selection()?;
    let list = world.list_of(&user, &list)?;
    let roll = list.read(world.now());
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    render(&list, &roll, slot, &selection)
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path(list): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let list = world.list_of(&user, &list)?;
    let edit = edit(&list, &object(&body)?)?;
    let email = edit.email.clone().ok_or_else(|| missing("email_address"))?;
    if edit.status.is_none() {
        return Err(missing("status"));
    }
    let mut roll = list.write();
    let slot = roll.add(&email, &edit, world.now())?;
    render(&list, &roll, slot, &Selection::Everything)
}

pub(super) async fn upsert(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Problem> {
    let list = world.list_of(&user, &list)?;
    let body = object(&body)?;
    let mut edit = edit(&list, &body)?;
    let now = world.now();
    let mut roll = list.write();
    let slot = match roll.slot(&member) {
        Some(slot) => {
            check_compliance(&roll, slot, &edit)?;
            match roll.revive(slot, &edit, now) {
                Err(Refusal::NotArchived) => roll.change(slot, &edit, now)?,
                revived => revived?,
            }
            slot
        }
        None => {
            let email = edit.email.clone().ok_or_else(|| missing("email_address"))?;
            edit.status = status(&body, "status_if_new")?.or(edit.status);
            if edit.status.is_none() {
                return Err(missing("status_if_new"));
            }
            roll.add(&email, &edit, now)?
        }
    };
    render(&list, &roll, slot, &Selection::Everything)
}

pub(super) async fn update(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Problem> {
    let list = world.list_of(&user, &list)?;
    let edit = edit(&list, &object(&body)?)?;
    let mut roll = list.write();
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    check_compliance(&roll, slot, &edit)?;
    roll.change(slot, &edit, world.now())?;
    render(&list, &roll, slot, &Selection::Everything)
}

pub(super) async fn archive(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let list = world.list_of(&user, &list)?;
    let mut roll = list.write();
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    roll.archive(slot, world.now())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete_permanent(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let list = world.list_of(&user, &list)?;
    let mut roll = list.write();
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    roll.forget(slot, world.now())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tags(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let parameters = Parameters::of(&uri);
    let selection = parameters.selection()?;
    let list = world.list_of(&user, &list)?;
    let roll = list.read(world.now());
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    let member = roll.member(slot).ok_or_else(Problem::not_found)?;
    let held = member.extra.as_ref().map_or(&[][..], |extra| &extra.tags);
    let page = held.iter().skip(parameters.offset()?).take(parameters.count()?);
    let page = page.map(|t| json!({"id": t.id, "name": t.name, "date_added": stamp(t.added_at)}));
    let here = format!("{BASE}/lists/{}/members/{}/tags", list.id, hex(&member.hash));
    let answer = json!({
        "tags": page.collect::<Vec<_>>(),
        "total_items": held.len(),
        "_links": [link("self", &here, "GET", "Members/Tags/CollectionResponse")],
    });
    Ok(Json(selection.trim(answer)))
}

pub(super) async fn change_tags(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path((list, member)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let list = world.list_of(&user, &list)?;
    let body = object(&body)?;
    let given = body.get("tags").and_then(Value::as_array).ok_or_else(|| missing("tags"))?;
    let tags = given.iter().map(|tag| {
        let name = tag.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let active = match tag.get("status").and_then(Value::as_str) {
            None | Some("active") => true,
            Some("inactive") => false,
            Some(_) => return Err(field("status", "must be active or inactive")),
        };
        Ok((name.ok_or_else(|| missing("name"))?.to_owned(), active))
    });
    let tags = tags.collect::<Result<Vec<_>, Problem>>()?;
    let mut roll = list.write();
    let slot = roll.slot(&member).ok_or_else(Problem::not_found)?;
    roll.tag(slot, &tags, world.now())?;
    Ok(StatusCode::NO_CONTENT)
}

fn render(list: &List, roll: &Roll, slot: u32, selection: &Selection) -> Result<Response, Problem> {
    let layout = list.layout().clone();
    let facts = ListFacts::of(list, &layout);
    let member = roll.member(slot).ok_or_else(Problem::not_found)?;
    let mut body = Vec::new();
    MemberWriter::new(&facts, selection).write(&mut body, roll.web_id(slot), member);
    Ok(([(header::CONTENT_TYPE, JSON)], body).into_response())
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "JSON Parse Exception",
            "We encountered an unspecified JSON parsing error.",
        )
    })
}

fn edit(list: &List, body: &Map<String, Value>) -> Result<Edit, Problem> {
    let text = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(field(name, "Schema describes string, another type found instead")),
    };
    let flag = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(field(name, "Schema describes boolean, another type found instead")),
    };
    let email = text("email_address")?;
    if let Some(email) = &email
        && !looks_real(email)
    {
        return Err(Problem::invalid(
            &format!("{email} looks fake or invalid, please enter a real email address."),
            Vec::new(),
        ));
    }
    let html = match text("email_type")?.as_deref() {
        None => None,
        Some("html") => Some(true),
        Some("text") => Some(false),
        Some(_) => return Err(field("email_type", "must be html or text")),
    };
    let layout = list.layout().clone();
    Ok(Edit {
        email,
        status: status(body, "status")?,
        html,
        vip: flag("vip")?,
        language: text("language")?,
        merge_fields: merge_fields(&layout.merge_fields, body.get("merge_fields"))?,
        interests: interests(body.get("interests"))?,
    })
}

/// Unknown fields are ignored; an object is only right for an address.
fn merge_fields(known: &[String], given: Option<&Value>) -> Result<Map<String, Value>, Problem> {
    let invalid = |tag: &str, message: &str| {
        let errors = vec![(tag.to_owned(), message.to_owned())];
        Problem::invalid("Your merge fields were invalid.", errors)
    };
    let given = match given {
        None => return Ok(Map::new()),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(invalid("merge_fields", "This should be an object.")),
    };
    let mut taken = Map::new();
    for (tag, value) in given.iter().filter(|(tag, _)| known.contains(tag)) {
        match value {
            Value::String(_) | Value::Number(_) => {}
            Value::Object(_) if tag == "ADDRESS" => {}
            _ => return Err(invalid(tag, "The value is not valid for this field.")),
        }
        taken.insert(tag.clone(), value.clone());
    }
    Ok(taken)
}

fn interests(given: Option<&Value>) -> Result<Vec<(String, bool)>, Problem> {
    let given = match given {
        None => return Ok(Vec::new()),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(field("interests", "This should be an object.")),
    };
    let read = given.iter().map(|(id, on)| match on {
        Value::Bool(on) => Ok((id.clone(), *on)),
        _ => Err(field("interests", "Schema describes boolean, another type found instead")),
    });
    read.collect()
}

fn status(body: &Map<String, Value>, name: &str) -> Result<Option<Status>, Problem> {
    let Some(given) = body.get(name) else { return Ok(None) };
    match given.as_str().and_then(Status::parse) {
        Some(Status::Archived) | None => Err(field(name, "This is not a status to set.")),
        known => Ok(known),
    }
}

/// A bounced address cannot be subscribed again by the API.
fn check_compliance(roll: &Roll, slot: u32, edit: &Edit) -> Result<(), Problem> {
    let bounced = roll.member(slot).is_some_and(|member| member.status == Status::Cleaned);
    if bounced && edit.status == Some(Status::Subscribed) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "Member In Compliance State",
            "The address is in a compliance state due to unsubscribe, bounce, or compliance \
             review and cannot be subscribed.",
        ));
    }
    Ok(())
}

fn looks_real(email: &str) -> bool {
    email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !host.contains('@') && !email.contains(' ')
    })
}

fn missing(name: &str) -> Problem {
    field(name, "This value should not be blank.")
}

fn field(name: &str, message: &str) -> Problem {
    let errors = vec![(name.to_owned(), message.to_owned())];
    Problem::invalid("The resource submitted could not be validated.", errors)
}
