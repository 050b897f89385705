//! Members as JSON text, written straight into a buffer: a page of a thousand takes about a millisecond.

use std::io::Write;

use serde_json::{Value, json};

use crate::{
    clock::stamp,
    list::{Layout, List},
    member::{self, Member, Status},
    selection::Selection,
};

/// Where the links of the answers point.
pub(crate) const BASE: &str = "https://us1.api.mailchimp.com/3.0";
const SCHEMA: &str = "https://us1.api.mailchimp.com/schema/3.0";

/// What is not simulated is as for a member who never opened anything.
const STATS: &[u8] = br#"{"avg_open_rate":0,"avg_click_rate":0}"#;
const LOCATION: &[u8] = br#"{"latitude":0,"longitude":0,"gmtoff":0,"dstoff":0,"country_code":"","timezone":"","region":""}"#;

/// What the rendering of a member needs to know about its list.
pub(crate) struct ListFacts<'a> {
    list_id: &'a str,
    merge_fields: &'a [String],
    interests: Vec<&'a str>,
}

impl<'a> ListFacts<'a> {
    pub(crate) fn of(list: &'a List, layout: &'a Layout) -> Self {
        Self {
            list_id: &list.id,
            merge_fields: &layout.merge_fields,
            interests: layout.interests.values().flatten().map(String::as_str).collect(),
        }
    }
}

/// The keys of a member in the recorded order.
const KEYS: [&str; 31] = [
    "id",
    "email_address",
    "unique_email_id",
    "contact_id",
    "full_name",
    "web_id",
    "email_type",
    "status",
    "unsubscribe_reason",
    "consents_to_one_to_one_messaging",
    "sms_phone_number",
    "sms_subscription_status",
    "sms_subscription_last_updated",
    "merge_fields",
    "interests",
    "stats",
    "ip_signup",
    "timestamp_signup",
    "ip_opt",
    "timestamp_opt",
    "member_rating",
    "last_changed",
    "language",
    "vip",
    "email_client",
    "location",
    "source",
    "tags_count",
    "tags",
    "list_id",
    "_links",
];

/// Writes members, all with the same keys.
pub(crate) struct MemberWriter<'a> {
    facts: &'a ListFacts<'a>,
    keys: Vec<(&'static str, Selection)>,
    /// Which merge fields of the list are wanted.
    merge_fields: Vec<&'a str>,
}

impl<'a> MemberWriter<'a> {
    pub(crate) fn new(facts: &'a ListFacts<'a>, wanted: &Selection) -> Self {
        let keys: Vec<_> =
            KEYS.into_iter().filter_map(|key| Some((key, wanted.child(key)?))).collect();
        let wanted_of_merge_fields = wanted.child("merge_fields");
        let merge_fields = facts.merge_fields.iter().map(String::as_str);
        let merge_fields = merge_fields
            .filter(|tag| wanted_of_merge_fields.as_ref().is_some_and(|w| w.child(tag).is_some()))
            .collect();
        Self { facts, keys, merge_fields }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, web_id: u64, member: &Member) {
        out.push(b'{');
        let mut first = true;
        for (key, wanted) in &self.keys {
            let absent = match *key {
                "unsubscribe_reason" => member.status != Status::Unsubscribed,
                "interests" => self.facts.interests.is_empty(),
                "contact_id" => member.extra.as_ref().is_some_and(|extra| extra.no_contact_id),
                _ => false,
            };
            if absent {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            push_text(out, key);
            out.push(b':');
            self.write_value(out, key, wanted, web_id, member);
        }
        out.push(b'}');
    }

    fn write_value(
        &self,
        out: &mut Vec<u8>,
        key: &str,
        wanted: &Selection,
        web_id: u64,
        member: &Member,
    ) {
        match key {
            "id" => push_hash(out, &member.hash),
            "email_address" => push_text(out, &member.email),
            "unique_email_id" => push_text(out, &member::unique_email_id(&member.hash)),
            "contact_id" => push_hash(out, &member.contact_id),
            "full_name" => push_text(out, &full_name(member)),
            "web_id" => push_number(out, web_id),
            "email_type" => push_text(out, if member.html { "html" } else { "text" }),
            "status" => push_text(out, member.status.name()),
            "unsubscribe_reason" => push_text(out, "N/A (Unsubscribed by admin)"),
            "consents_to_one_to_one_messaging" => out.extend_from_slice(b"true"),
            "merge_fields" => self.write_merge_fields(out, wanted, member),
            "interests" => {
                let on = |id: &str| {
                    member.extra.as_ref().is_some_and(|e| e.interests.iter().any(|i| i == id))
                };
                let all = self.facts.interests.iter();
                let all = all.map(|id| ((*id).to_owned(), Value::from(on(id)))).collect();
                push_value(out, &wanted.trim(all));
            }
            "stats" => push_part(out, wanted, |out| out.extend_from_slice(STATS)),
            "timestamp_signup" => push_stamp(out, member.signed_up_at),
            "timestamp_opt" => push_stamp(out, member.opted_in_at),
            "member_rating" => push_number(out, member.rating.into()),
            "last_changed" => push_stamp(out, member.last_changed),
            "language" => {
                push_text(out, member.extra.as_ref().map_or("", |extra| &extra.language));
            }
            "vip" => out.extend_from_slice(if member.vip { b"true" } else { b"false" }),
            "location" => push_part(out, wanted, |out| out.extend_from_slice(LOCATION)),
            "source" => push_text(out, "API - Generic"),
            "tags_count" => {
                let count = member.extra.as_ref().map_or(0, |extra| extra.tags.len());
                push_number(out, count.try_into().unwrap_or(u64::MAX));
            }
            "tags" => {
                let tags = member.extra.as_ref().map_or(&[][..], |extra| &extra.tags);
                push_part(out, wanted, |out| {
                    // The listing shows at most fifty tags of a member.
                    let shown = tags.iter().take(50);
                    let shown = shown.map(|tag| json!({"id": tag.id, "name": tag.name}));
                    push_value(out, &shown.collect());
                });
            }
            "list_id" => push_text(out, self.facts.list_id),
            "_links" => push_part(out, wanted, |out| self.write_links(out, member)),
            // ip_signup, ip_opt, email_client, sms_*: never set here, and what is unset is "".
            _ => out.extend_from_slice(b"\"\""),
        }
    }

    fn write_merge_fields(&self, out: &mut Vec<u8>, wanted: &Selection, member: &Member) {
        let extra = member.extra.as_deref();
        if extra.is_some_and(|extra| extra.no_merge_fields) {
            out.extend_from_slice(b"null");
            return;
        }
        let raw = extra.map(|extra| &extra.merge_fields);
        let mut first = true;
        let mut name = |out: &mut Vec<u8>, tag: &str| {
            out.push(if first { b'{' } else { b',' });
            first = false;
            push_text(out, tag);
            out.push(b':');
        };
        for tag in &self.merge_fields {
            name(out, tag);
            match (raw.and_then(|raw| raw.get(*tag)), *tag) {
                (Some(value), _) => match wanted.child(tag) {
                    Some(wanted) if !wanted.is_everything() => {
                        push_value(out, &wanted.trim(value.clone()));
                    }
                    _ => push_value(out, value),
                },
                (None, "FNAME") => push_text(out, &member.first_name),
                (None, "LNAME") => push_text(out, &member.last_name),
                (None, _) => push_text(out, ""),
            }
        }
        // What was put at a field that the list does not have.
        for (tag, value) in raw.into_iter().flatten() {
            if !self.facts.merge_fields.contains(tag)
                && let Some(wanted) = wanted.child(tag)
            {
                name(out, tag);
                push_value(out, &wanted.trim(value.clone()));
            }
        }
        out.extend_from_slice(if first { b"{}" } else { b"}" });
    }

    fn write_links(&self, out: &mut Vec<u8>, member: &Member) {
        let list = format!("{BASE}/lists/{}/members", self.facts.list_id);
        let one = format!("{list}/{}", member::hex(&member.hash));
        out.push(b'[');
        for (number, (rel, base, suffix, method, schema)) in LINKS.into_iter().enumerate() {
            let base = if base == Base::List { &list } else { &one };
            let comma = if number == 0 { "" } else { "," };
            let target = if schema.is_empty() {
                String::new()
            } else {
                format!(r#","targetSchema":"{SCHEMA}/Definitions/Lists/{schema}.json""#)
            };
            write!(
                out,
                r#"{comma}{{"rel":"{rel}","href":"{base}{suffix}","method":"{method}"{target}}}"#
            )
            .expect("a link always fits into a buffer in memory");
        }
        out.push(b']');
    }
}

/// Writes a part of a member, whole if all of it is wanted, which is the common case; else it is
/// written aside and trimmed.
fn push_part(out: &mut Vec<u8>, wanted: &Selection, write: impl FnOnce(&mut Vec<u8>)) {
    if wanted.is_everything() {
        write(out);
        return;
    }
    let mut aside = Vec::new();
    write(&mut aside);
    let part = serde_json::from_slice(&aside).expect("what is written here is JSON");
    push_value(out, &wanted.trim(part));
}

#[derive(Clone, Copy, PartialEq)]
enum Base {
    Member,
    List,
}

/// The links of a member: relation, what it is relative to, the rest of the path, method, schema.
const LINKS: [(&str, Base, &str, &str, &str); 10] = [
    ("self", Base::Member, "", "GET", "Members/Response"),
    ("parent", Base::List, "", "GET", "Members/CollectionResponse"),
    ("update", Base::Member, "", "PATCH", "Members/Response"),
    ("upsert", Base::Member, "", "PUT", "Members/Response"),
    ("delete", Base::Member, "", "DELETE", ""),
    ("activity", Base::Member, "/activity", "GET", "Members/Activity/Response"),
    ("goals", Base::Member, "/goals", "GET", "Members/Goals/Response"),
    ("notes", Base::Member, "/notes", "GET", "Members/Notes/CollectionResponse"),
    ("events", Base::Member, "/events", "POST", "Members/Events/POST"),
    ("delete_permanent", Base::Member, "/actions/delete-permanent", "POST", ""),
];

/// One entry of `_links`; an empty schema is left out.
pub(crate) fn link(rel: &str, href: &str, method: &str, schema: &str) -> Value {
    if schema.is_empty() {
        return json!({"rel": rel, "href": href, "method": method});
    }
    let schema = format!("{SCHEMA}/Definitions/Lists/{schema}.json");
    json!({"rel": rel, "href": href, "method": method, "targetSchema": schema})
}

pub(crate) fn push_value(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a JSON value always fits into a buffer in memory");
}

pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text always fits into a buffer in memory");
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a number always fits into a buffer in memory");
}

fn push_hash(out: &mut Vec<u8>, hash: &member::Hash) {
    out.push(b'"');
    member::push_hex(out, hash);
    out.push(b'"');
}

/// 0 = never, shown as an empty string.
fn push_stamp(out: &mut Vec<u8>, seconds: i64) {
    if seconds == 0 {
        out.extend_from_slice(b"\"\"");
    } else {
        push_text(out, &stamp(seconds));
    }
}

fn full_name(member: &Member) -> String {
    format!("{} {}", member.first_name, member.last_name).trim().to_owned()
}
