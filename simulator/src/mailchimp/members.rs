//! `GET /lists/{id}/members`: the listing with all its filters, orders and trimming.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::{Uri, header},
    response::IntoResponse,
};

use super::{JSON, parameters::Parameters, problem::Problem};
use crate::{
    list::{Layout, List},
    listing::{Condition, Query, Sort},
    member::{self, Member, Status},
    render::{BASE, ListFacts, MemberWriter, link, push_text, push_value},
    selection::Selection,
    user::User,
    world::World,
};

pub(super) async fn page(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path(list): Path<String>,
    uri: Uri,
) -> Result<impl IntoResponse, Problem> {
    let list = world.list_of(&user, &list)?;
    let parameters = Parameters::of(&uri);
    let selection = parameters.selection()?;
    let layout = list.layout().clone();
    let query = query(&parameters, &layout)?;
    let body = render(&list, &layout, &query, &selection, world.now());
    Ok(([(header::CONTENT_TYPE, JSON)], body))
}

fn query(parameters: &Parameters, layout: &Layout) -> Result<Query, Problem> {
    let status = parameters
        .text("status")
        .map(|name| {
            Status::parse(name).ok_or_else(|| Problem::bad_request("status is not a known status."))
        })
        .transpose()?;
    let sort = match parameters.text("sort_field") {
        None => Sort::WebId,
        Some("last_changed") => Sort::LastChanged,
        Some("timestamp_opt") => Sort::TimestampOpt,
        Some("timestamp_signup") => Sort::TimestampSignup,
        Some(_) => {
            return Err(Problem::bad_request(
                "sort_field must be timestamp_opt, timestamp_signup, or last_changed.",
            ));
        }
    };
    let mut query = Query {
        status,
        changed: parameters.window("last_changed")?,
        opted_in: parameters.window("timestamp_opt")?,
        conditions: conditions(parameters, layout, status)?,
        sort,
        // A direction without a field turns nothing around.
        descending: parameters.descending()? && sort != Sort::WebId,
        offset: parameters.offset()?,
        count: parameters.count()?,
    };
    if parameters.text("unsubscribed_since").is_some() {
        query.status = Some(Status::Unsubscribed);
    }
    Ok(query)
}

fn conditions(
    parameters: &Parameters,
    layout: &Layout,
    status: Option<Status>,
) -> Result<Vec<Condition>, Problem> {
    let mut conditions: Vec<Condition> = Vec::new();
    match parameters.text("email_type") {
        None => {}
        Some(kind @ ("html" | "text")) => {
            let html = kind == "html";
            conditions.push(Box::new(move |member| member.html == html));
        }
        Some(_) => return Err(Problem::bad_request("email_type must be html or text.")),
    }
    if let Some(id) = parameters.text("unique_email_id").map(str::to_owned) {
        conditions.push(Box::new(move |m| member::unique_email_id(&m.hash) == id));
    }
    if parameters.flag("vip_only") {
        conditions.push(Box::new(|member| member.vip));
    }
    if parameters.flag("since_last_campaign") {
        if status.is_none() {
            return Err(Problem::bad_request("since_last_campaign requires a status."));
        }
        let sent_at = layout.campaign_sent_at;
        conditions.push(Box::new(move |m| sent_at.is_none_or(|at| m.last_changed > at)));
    }
    if let Some(since) = parameters.time("unsubscribed_since")? {
        if status.is_some_and(|status| status != Status::Unsubscribed) {
            return Err(Problem::bad_request(
                "unsubscribed_since can only be used with the status unsubscribed.",
            ));
        }
        conditions.push(Box::new(move |member| member.unsubscribed_at() > since));
    }
    conditions.extend(interests(parameters, layout)?);
    Ok(conditions)
}

fn interests(parameters: &Parameters, layout: &Layout) -> Result<Option<Condition>, Problem> {
    let given = ["interest_category_id", "interest_ids", "interest_match"];
    let (category, ids, rule) = match given.map(|name| parameters.text(name)) {
        [None, None, None] => return Ok(None),
        [Some(category), Some(ids), Some(rule)] => (category, ids, rule),
        _ => {
            return Err(Problem::bad_request(
                "interest_category_id, interest_ids, and interest_match must be used together.",
            ));
        }
    };
    let Some(known) = layout.interests.get(category) else {
        return Err(Problem::bad_request("interest_category_id is not a category of this list."));
    };
    let ids: Vec<String> = ids.split(',').map(|id| id.trim().to_owned()).collect();
    if ids.iter().any(|id| !known.contains(id)) {
        return Err(Problem::bad_request("interest_ids must all belong to the category."));
    }
    let has = |member: &Member, id: &String| {
        member.extra.as_ref().is_some_and(|extra| extra.interests.contains(id))
    };
    Ok(Some(match rule {
        "any" => Box::new(move |member| ids.iter().any(|id| has(member, id))),
        "all" => Box::new(move |member| ids.iter().all(|id| has(member, id))),
        "none" => Box::new(move |member| !ids.iter().any(|id| has(member, id))),
        _ => return Err(Problem::bad_request("interest_match must be any, all, or none.")),
    }))
}

/// Rows and total come from one look at the list, as from one response of the live API.
fn render(list: &List, layout: &Layout, query: &Query, selection: &Selection, now: i64) -> Vec<u8> {
    let facts = ListFacts::of(list, layout);
    let roll = list.read(now);
    let found = roll.find(query);
    let mut out = Vec::with_capacity(256 + found.slots.len() * 512);
    let name = |out: &mut Vec<u8>, name: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_text(out, name);
        out.push(b':');
    };
    if let Some(wanted) = selection.child("members") {
        name(&mut out, "members");
        let writer = MemberWriter::new(&facts, &wanted);
        out.push(b'[');
        let rows = found.slots.iter().filter_map(|slot| Some((*slot, roll.shown(*slot)?)));
        for (row, (slot, member)) in rows.enumerate() {
            if row > 0 {
                out.push(b',');
            }
            writer.write(&mut out, roll.web_id(slot), member);
        }
        out.push(b']');
    }
    drop(roll);
    if selection.child("list_id").is_some() {
        name(&mut out, "list_id");
        push_text(&mut out, &list.id);
    }
    if selection.child("total_items").is_some() {
        name(&mut out, "total_items");
        push_value(&mut out, &found.total.into());
    }
    if let Some(wanted) = selection.child("_links") {
        name(&mut out, "_links");
        let here = format!("{BASE}/lists/{}", list.id);
        let members = format!("{here}/members");
        let links = [
            link("self", &members, "GET", "Members/CollectionResponse"),
            link("parent", &here, "GET", "Response"),
            link("create", &members, "POST", "Members/Response"),
        ];
        push_value(&mut out, &wanted.trim(links.into_iter().collect()));
    }
    out.extend_from_slice(if out.is_empty() { b"{}" } else { b"}" });
    out
}
