//! `GET /lists` and `GET /lists/{id}`.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::Uri,
};
use serde_json::{Value, json};

use super::{parameters::Parameters, problem::Problem};
use crate::{
    clock::stamp,
    list::List,
    render::{BASE, link},
    user::User,
    world::World,
};

pub(super) async fn all(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let parameters = Parameters::of(&uri);
    let selection = parameters.selection()?;
    let created = parameters.window("date_created")?;
    let sent = parameters.window("campaign_last_sent")?;
    let email = parameters.text("email");
    let descending = match parameters.text("sort_field") {
        None => false,
        Some("date_created") => parameters.descending()?,
        Some(_) => return Err(Problem::bad_request("sort_field must be date_created.")),
    };
    let total_contacts = parameters.flag("include_total_contacts");
    let has_store = parameters.flag("has_ecommerce_store");

    let now = world.now();
    let mut lists = world.lists_of(&user);
    let list_count = lists.len();
    lists.retain(|list| {
        let sent_at = list.layout().campaign_sent_at;
        !has_store
            && created.holds(list.created_at)
            && (sent.is_open() || sent_at.is_some_and(|at| sent.holds(at)))
            && email.is_none_or(|email| list.read(now).slot(email).is_some())
    });
    lists.sort_by_key(|list| (list.created_at, list.ordinal));
    if descending {
        lists.reverse();
    }
    let total_items = lists.len();
    let page = lists.iter().skip(parameters.offset()?).take(parameters.count()?);
    let answer = json!({
        "lists": page.map(|list| object(list, now, total_contacts)).collect::<Vec<_>>(),
        "total_items": total_items,
        "constraints": {"may_create": true, "max_instances": 100, "current_total_instances": list_count},
        "_links": [link("self", &format!("{BASE}/lists"), "GET", "CollectionResponse")],
    });
    Ok(Json(selection.trim(answer)))
}

pub(super) async fn one(
    State(world): State<Arc<World>>,
    Extension(user): Extension<Arc<User>>,
    Path(list): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let parameters = Parameters::of(&uri);
    let selection = parameters.selection()?;
    let list = world.list_of(&user, &list)?;
    let answer = object(&list, world.now(), parameters.flag("include_total_contacts"));
    Ok(Json(selection.trim(answer)))
}

fn object(list: &List, now: i64, total_contacts: bool) -> Value {
    let stats = list.stats(now);
    let layout = list.layout().clone();
    let date = |at: Option<i64>| at.map_or_else(String::new, stamp);
    let here = format!("{BASE}/lists/{}", list.id);
    let mut object = json!({
        "id": list.id,
        "web_id": list.ordinal,
        "name": list.name,
        "contact": {"company": "", "address1": "", "address2": "", "city": "", "state": "",
            "zip": "", "country": "", "phone": ""},
        "permission_reminder": "You signed up on our site.",
        "use_archive_bar": true,
        "campaign_defaults": {"from_name": "", "from_email": "", "subject": "", "language": "en"},
        "notify_on_subscribe": "",
        "notify_on_unsubscribe": "",
        "date_created": stamp(list.created_at),
        "list_rating": 0,
        "email_type_option": false,
        "subscribe_url_short": "",
        "subscribe_url_long": "",
        "beamer_address": "",
        "visibility": "prv",
        "double_optin": false,
        "has_welcome": false,
        "marketing_permissions": false,
        "modules": [],
        "stats": {
            "member_count": stats.subscribed_count,
            "unsubscribe_count": stats.unsubscribed_count,
            "cleaned_count": stats.cleaned_count,
            "member_count_since_send": stats.subscribed_count,
            "unsubscribe_count_since_send": stats.unsubscribed_count,
            "cleaned_count_since_send": stats.cleaned_count,
            "campaign_count": u8::from(layout.campaign_sent_at.is_some()),
            "campaign_last_sent": date(layout.campaign_sent_at),
            "merge_field_count": layout.merge_fields.len(),
            "avg_sub_rate": 0,
            "avg_unsub_rate": 0,
            "target_sub_rate": 0,
            "open_rate": 0,
            "click_rate": 0,
            "last_sub_date": date(stats.last_subscribed_at),
            "last_unsub_date": date(stats.last_unsubscribed_at),
        },
        "_links": [
            link("self", &here, "GET", "Response"),
            link("members", &format!("{here}/members"), "GET", "Members/CollectionResponse"),
        ],
    });
    if total_contacts && let Some(stats_object) = object.get_mut("stats") {
        stats_object["total_contacts"] = stats.contact_count.into();
    }
    object
}
